"""Metrics of what this node told of itself to others; there are none where it tells nobody."""

from collections.abc import Iterable, Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector


class TelemetryMetrics(Collector):
    """``counts``: by where to, posts by how they ended; read when somebody scrapes."""

    def __init__(self, counts: Mapping[str, Mapping[str, int]]) -> None:
        self._counts = counts

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterator[Metric]:
        told = "Posts of failures and metrics of this node to where the settings say, by how they ended."
        posts = CounterMetricFamily("dash_telemetry_posts_total", told, labels=["to", "outcome"])
        for to, counts in self._counts.items():
            for outcome, count in counts.items():
                posts.add_metric([to, outcome], count)
        yield posts
