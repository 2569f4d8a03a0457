"""Metrics in the Prometheus text format: names ``dash_*`` with base units, clean under ``promtool check metrics``.

What the engine already counts is read when somebody scrapes; only requests and batches are counted here as they happen.
"""

import shutil
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Final, Protocol

import msgspec
from prometheus_client import CollectorRegistry, Gauge, Histogram, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector

from appliance.domain.clock import utc_now
from appliance.domain.ids import PipelineId
from appliance.domain.ledger import Ledger

CONTENT_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4
UNKNOWN: Final = "unknown"  # one label for every pipeline id that does not exist, so that senders cannot make series up
_BATCH_SECS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class PipelineNumbers(msgspec.Struct, frozen=True):
    """One pipeline at the moment of a scrape."""

    pipeline: PipelineId
    running: bool
    lag_events: int
    lag_secs: float
    ledger: Ledger
    oldest_dead_at: datetime | None = None  # received; of the events that are dead letters now


class Numbers(Protocol):
    """Who knows the pipelines: the engine."""

    def knows(self, pipeline_id: str) -> bool:
        """Return whether the pipeline exists here; called on the event loop, must not block."""
        ...

    def numbers(self) -> Iterable[PipelineNumbers]:
        """Return every pipeline's numbers; called once a scrape."""
        ...


class Metrics:
    """All metrics of this process, in a registry of their own. Belongs to the event loop."""

    def __init__(self, version: str, data_dir: Path, numbers: Numbers) -> None:
        self._numbers = numbers
        self._requests: dict[tuple[str, str], list[int]] = {}  # (pipeline, outcome) -> [requests, bytes]
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        Gauge("dash_build_info", "The version that runs; always 1.", ["version"], registry=self._registry).labels(
            version
        ).set(1)
        self._batches = Histogram(
            "dash_refine_batch_seconds",
            "Time from reading a batch from Bronze to its commit in Silver.",
            ["pipeline"],
            buckets=_BATCH_SECS,
            registry=self._registry,
        )
        self._registry.register(_Scrape(self._requests, numbers, data_dir))

    def add(self, collector: Collector) -> None:
        """Show what another collector has, too."""
        self._registry.register(collector)

    def request(self, pipeline_id: str, outcome: str, body_bytes: int) -> None:
        """Count one ingest request: ``accepted``, ``duplicate``, ``refused``, ``unavailable`` or ``failed``."""
        counts = self._requests.get((pipeline_id, outcome))
        if counts is None:
            name = pipeline_id if self._numbers.knows(pipeline_id) else UNKNOWN
            counts = self._requests.setdefault((name, outcome), [0, 0])
        counts[0] += 1
        counts[1] += body_bytes

    def batch(self, pipeline_id: str, took_secs: float) -> None:
        """Count one refined and committed batch."""
        self._batches.labels(pipeline_id).observe(took_secs)

    def forget(self, pipeline_id: str) -> None:
        """Show a deleted pipeline no more."""
        for key in [key for key in self._requests if key[0] == pipeline_id]:
            del self._requests[key]
        self._batches.remove_by_labels({"pipeline": pipeline_id})

    def collect(self) -> Iterable[Metric]:
        """Return what ``render`` shows, before it is text."""
        return self._registry.collect()

    def render(self) -> bytes:
        """Return the exposition, of type ``CONTENT_TYPE``."""
        return generate_latest(self._registry)


class _Scrape(Collector):
    """What is read at the moment of a scrape."""

    def __init__(self, requests: dict[tuple[str, str], list[int]], numbers: Numbers, data_dir: Path) -> None:
        self._requests = requests
        self._numbers = numbers
        self._data_dir = data_dir

    def describe(self) -> Iterable[Metric]:
        return ()  # nothing is collected before the first scrape

    def collect(self) -> Iterator[Metric]:
        yield from self._ingest()
        yield from self._pipelines()
        yield from self._disk()

    def _ingest(self) -> Iterator[Metric]:
        requests = CounterMetricFamily(
            "dash_ingest_requests_total", "Requests to /in/, by how they ended.", labels=["pipeline", "outcome"]
        )
        size = CounterMetricFamily(
            "dash_ingest_bytes_total", "Bytes of the bodies of accepted requests, as sent.", labels=["pipeline"]
        )
        for (pipeline, outcome), (count, body_bytes) in list(self._requests.items()):
            requests.add_metric([pipeline, outcome], count)
            if outcome == "accepted":
                size.add_metric([pipeline], body_bytes)
        yield requests
        yield size

    def _pipelines(self) -> Iterator[Metric]:
        received = CounterMetricFamily("dash_events_received_total", "Events durable in Bronze.", labels=["pipeline"])
        ledger = GaugeMetricFamily(
            "dash_ledger_events",
            "Where the received events of a pipeline are; the sum is what was received.",
            labels=["pipeline", "place"],
        )
        lag = GaugeMetricFamily("dash_lag_events", "Events durable but not yet refined.", labels=["pipeline"])
        age = GaugeMetricFamily("dash_lag_seconds", "Age of the oldest event not yet refined.", labels=["pipeline"])
        dead_age = GaugeMetricFamily(
            "dash_dead_letter_age_seconds", "Age of the oldest event that is a dead letter.", labels=["pipeline"]
        )
        running = GaugeMetricFamily("dash_pipeline_running", "1 while the pipeline runs.", labels=["pipeline"])
        for one in self._numbers.numbers():
            received.add_metric([one.pipeline], one.ledger.received)
            for place in ("stored", "filtered", "duplicate", "dead", "pending"):
                ledger.add_metric([one.pipeline, place], getattr(one.ledger, place))
            lag.add_metric([one.pipeline], one.lag_events)
            age.add_metric([one.pipeline], one.lag_secs)
            running.add_metric([one.pipeline], int(one.running))
            if one.oldest_dead_at is not None:
                dead_age.add_metric([one.pipeline], (utc_now() - one.oldest_dead_at).total_seconds())
        yield from (received, ledger, lag, age, dead_age, running)

    def _disk(self) -> Iterator[Metric]:
        usage = shutil.disk_usage(self._data_dir)
        yield GaugeMetricFamily("dash_disk_free_bytes", "Free space where the data directory is.", value=usage.free)
        yield GaugeMetricFamily("dash_disk_size_bytes", "Size of the disk of the data directory.", value=usage.total)
