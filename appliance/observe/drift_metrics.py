"""Metric of drift: how many differences nobody has acknowledged yet."""

from collections.abc import Callable, Iterable, Iterator, Mapping

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from appliance.domain.ids import PipelineId


class DriftMetrics(Collector):
    """Asks when somebody scrapes."""

    def __init__(self, findings: Callable[[], Mapping[PipelineId, int]]) -> None:
        self._findings = findings

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterator[Metric]:
        told = "Differences from what a pipeline's events looked like that nobody has acknowledged."
        gauge = GaugeMetricFamily("dash_pipeline_drift_findings", told, labels=["pipeline"])
        for pipeline_id, findings in self._findings().items():
            gauge.add_metric([pipeline_id], findings)
        yield gauge
