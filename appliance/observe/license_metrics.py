"""Metrics of the licence: when it ends, how it stands, what it allows and how much of that there is."""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple, Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector


class LicenseNumbers(NamedTuple):
    """``expires_in_secs``: None where there is no licence. ``standings``: every one there is. Limits by their names."""

    edition: str
    standing: str
    standings: Iterable[str]
    expires_in_secs: float | None
    limits: Mapping[str, int | None]
    used: Mapping[str, int]
    refused: Mapping[str, int]
    clock_set_back: bool
    counts: bool  # what is installed counts, or nothing is installed


class Licensed(Protocol):
    """Who knows; asked on the event loop, must not block."""

    def __call__(self) -> LicenseNumbers: ...


class LicenseMetrics(Collector):
    """Asks when somebody scrapes."""

    def __init__(self, numbers: Licensed) -> None:
        self._numbers = numbers

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterator[Metric]:
        now = self._numbers()
        info = GaugeMetricFamily("dash_license_info", "The edition in force; always 1.", labels=["edition"])
        info.add_metric([now.edition], 1)
        yield info
        if now.expires_in_secs is not None:
            told = "Until the end of the licence's last day, below 0 afterwards; absent without a licence."
            yield GaugeMetricFamily("dash_license_expires_in_seconds", told, value=now.expires_in_secs)
        standing = GaugeMetricFamily("dash_license_standing", "1 for how the licence stands.", labels=["standing"])
        for one in now.standings:
            standing.add_metric([one], int(one == now.standing))
        yield standing
        yield from _by_thing(now)
        told = "1 while the document that is installed does not count, such as one that was taken back."
        yield GaugeMetricFamily("dash_license_not_valid", told, value=int(not now.counts))
        told = "1 while the clock is behind what it showed before."
        yield GaugeMetricFamily("dash_license_clock_set_back", told, value=int(now.clock_set_back))


def _by_thing(now: LicenseNumbers) -> Iterator[Metric]:
    limits = GaugeMetricFamily("dash_license_limit", "How many there may be; absent: unlimited.", labels=["of"])
    for name, limit in now.limits.items():
        if limit is not None:
            limits.add_metric([name], limit)
    used = GaugeMetricFamily("dash_license_used", "How many there are, a minute old at most.", labels=["of"])
    for name, count in now.used.items():
        used.add_metric([name], count)
    told = "New things, and changes of features, that were refused on this node since its start."
    refused = CounterMetricFamily("dash_license_refused_total", told, labels=["of"])
    for name in (*now.limits, *sorted(now.refused.keys() - now.limits.keys())):
        refused.add_metric([name], now.refused.get(name, 0))
    yield from (limits, used, refused)
