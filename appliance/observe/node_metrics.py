"""Metrics of this node: its place among the others, its leases, its jobs, and the bus."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple, Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector


class BusNumbers(NamedTuple):
    """``latency_secs``: between sending a message and hearing it oneself; None: not known yet."""

    connected: bool
    sent: int
    received: int
    reconnects: int
    latency_secs: float | None


class NodeNumbers(Protocol):
    """Who knows this node; asked on the event loop, must not block. None: there are no other nodes to have it with."""

    def labels(self) -> tuple[str, str, str]:
        """Return id, name and role."""
        ...

    def draining(self) -> bool: ...
    def silent_secs(self) -> float: ...
    def jobs(self) -> int: ...
    def leases(self) -> tuple[int, int] | None:
        """Return how many are held, and how many were taken and left since the start."""
        ...

    def bus(self) -> BusNumbers | None: ...


class NodeMetrics(Collector):
    """Asks when somebody scrapes."""

    def __init__(self, numbers: NodeNumbers) -> None:
        self._numbers = numbers

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterator[Metric]:
        info = GaugeMetricFamily("dash_node_info", "This node; always 1.", labels=["node", "name", "role"])
        info.add_metric(self._numbers.labels(), 1)
        yield info
        yield _gauge("dash_node_draining", "1 while it takes on nothing new.", int(self._numbers.draining()))
        told = "Since the other nodes heard of this one last."
        yield _gauge("dash_node_heartbeat_age_seconds", told, self._numbers.silent_secs())
        yield _gauge("dash_jobs_running", "Jobs under way on this node.", self._numbers.jobs())
        if (leases := self._numbers.leases()) is not None:
            yield _gauge("dash_leases_held", "Leases that this node holds.", leases[0])
            yield _counter("dash_lease_changes_total", "Leases taken and left by this node.", leases[1])
        if (bus := self._numbers.bus()) is not None:
            yield from _bus(bus)


def _bus(bus: BusNumbers) -> Iterator[Metric]:
    yield _gauge("dash_bus_connected", "1 while messages between nodes are carried.", int(bus.connected))
    yield _counter("dash_bus_sent_total", "Messages sent to the other nodes.", bus.sent)
    yield _counter("dash_bus_received_total", "Messages heard of other nodes.", bus.received)
    yield _counter("dash_bus_reconnects_total", "Connections of the bus that were made anew.", bus.reconnects)
    if bus.latency_secs is not None:
        yield _gauge("dash_bus_round_trip_seconds", "From sending a message to hearing it oneself.", bus.latency_secs)


def _gauge(name: str, told: str, value: float) -> Metric:
    return GaugeMetricFamily(name, told, value=value)


def _counter(name: str, told: str, value: float) -> Metric:
    return CounterMetricFamily(name, told, value=value)
