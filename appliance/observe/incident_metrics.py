"""Metrics of what an operator should know: open incidents, failures, lines of the log."""

from collections.abc import Callable, Iterable, Iterator

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from appliance.domain.incident import Incident, Severity
from appliance.observe.log_book import LogBook


class IncidentMetrics(Collector):
    """Asks when somebody scrapes."""

    def __init__(
        self, incidents: Callable[[], Iterable[Incident]], book: LogBook, maintenance: Callable[[], bool]
    ) -> None:
        self._incidents, self._book, self._maintenance = incidents, book, maintenance

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterator[Metric]:
        open_now = [one.condition.severity for one in self._incidents() if one.open]
        found = GaugeMetricFamily("dash_incidents_open", "Incidents of this node that are open.", labels=["severity"])
        for severity in Severity:
            found.add_metric([severity.value], open_now.count(severity))
        yield found
        rests = "1 while the installation is under maintenance: changes wait, and incidents are muted."
        yield GaugeMetricFamily("dash_maintenance", rests, value=int(self._maintenance()))
        failures = self._book.failures()
        told = "Kinds of failures of this node that nobody has set aside; each counts how often it came."
        yield GaugeMetricFamily("dash_failure_kinds", told, value=len(failures))
