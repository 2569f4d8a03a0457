"""Metrics of read replicas: who answers what people look at, and how far each replica is behind."""

from collections.abc import Callable, Iterable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from appliance.domain.database.replicas import ReadState


class ReplicaMetrics(Collector):
    """``dash_database_*``; ``replica`` is the place in ``database.replicas``: hosts are nobody's business here."""

    def __init__(self, state: Callable[[], ReadState | None]) -> None:
        self._state = state

    def describe(self) -> Iterable[Metric]:
        return ()  # nothing is collected before the first scrape

    def collect(self) -> Iterator[Metric]:
        state = self._state()
        if state is None:
            return
        reads = CounterMetricFamily(
            "dash_database_reads_total",
            "Reads of rows for screens, API and exports, by who answered: primary, or the number of a replica.",
            labels=["place"],
        )
        reads.add_metric(["primary"], state.primary)
        again = CounterMetricFamily(
            "dash_database_reads_again_total",
            "Reads that a replica could not answer, and the primary did.",
            labels=["replica"],
        )
        used = GaugeMetricFamily("dash_database_replica_used", "1 while it is read from.", labels=["replica"])
        lag = GaugeMetricFamily(
            "dash_database_replica_lag_seconds",
            "At most so far behind the primary; missing: not known.",
            labels=["replica"],
        )
        for one in state.replicas:
            name = str(one.number)
            reads.add_metric([name], one.reads)
            again.add_metric([name], one.again)
            used.add_metric([name], float(one.trouble is None))
            if one.lag_secs is not None:
                lag.add_metric([name], one.lag_secs)
        yield from (reads, again, used, lag)
