"""Metrics of what the data occupies: what watch, guard and retention found last, never measured for a scrape."""

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from appliance.components.archive import ArchiveState
from appliance.components.upkeep import StoreSize
from appliance.domain.clock import Clock, utc_now
from appliance.domain.disk import DiskState
from appliance.domain.ids import OrganisationId
from appliance.engine.disk_guard import DiskGuard
from appliance.engine.storage_watch import StorageWatch
from appliance.services.retention import RetentionJob

NO_STORE: Final = StoreSize(0, 0, {})


class ArchiveMetrics(Collector):
    """``dash_archive_*``: what a lost machine would lose, and whether archiving goes on."""

    def __init__(self, state: Callable[[], ArchiveState], clock: Clock = utc_now) -> None:
        self._state, self._clock = state, clock

    def describe(self) -> Iterable[Metric]:
        return ()  # nothing is collected before the first scrape

    def collect(self) -> Iterator[Metric]:
        state = self._state()
        age = (self._clock() - state.pending_since).total_seconds() if state.pending_since else 0.0
        for name, told, value in (
            ("dash_archive_up", "1 while archiving goes on, 0 while something is in its way.", float(state.well)),
            ("dash_archive_segments", "Segments that are archived.", state.archived_segments),
            ("dash_archive_bytes", "Bytes of archived segments.", state.archived_bytes),
            ("dash_archive_local_bytes", "Bytes of archived segments that are on this disk too.", state.local_bytes),
            ("dash_archive_pending_events", "Events that are not archived yet.", state.pending_events),
            ("dash_archive_pending_bytes", "Bytes of what is not archived yet.", state.pending_bytes),
            ("dash_archive_pending_age_seconds", "Age of the oldest event that is not archived yet.", max(age, 0.0)),
        ):
            yield GaugeMetricFamily(name, told, value=value)


class StorageMetrics(Collector):
    """``dash_storage_*``, ``dash_retention_*`` and the state of the disk."""

    def __init__(self, watch: StorageWatch, disk: DiskGuard, retention: RetentionJob) -> None:
        self._watch, self._disk, self._retention = watch, disk, retention

    def describe(self) -> Iterable[Metric]:
        return ()  # nothing is collected before the first scrape

    def collect(self) -> Iterator[Metric]:
        yield from self._disk_state()
        yield from self._occupied()
        yield from self._removed()

    def _disk_state(self) -> Iterator[Metric]:
        state = GaugeMetricFamily(
            "dash_disk_state", "1 for the state that the disk is in: fine, warning, slow, stopped.", labels=["state"]
        )
        for one in DiskState:
            state.add_metric([one.value], int(one is self._disk.state))
        yield state
        told = "Size of the file that is given up when the disk is full."
        yield GaugeMetricFamily("dash_disk_reserve_bytes", told, value=self._disk.held_back)

    def _occupied(self) -> Iterator[Metric]:
        found = self._watch.latest
        size = GaugeMetricFamily(
            "dash_storage_bytes", "Bytes that a pipeline occupies, by layer.", labels=["pipeline", "layer"]
        )
        for pipeline_id, owner in found.owners.items():
            store = found.silver.get(owner, NO_STORE)
            size.add_metric([pipeline_id, "bronze"], found.bronze.get(pipeline_id, 0))
            size.add_metric([pipeline_id, "silver"], store.pipelines.get(pipeline_id, 0))
            size.add_metric([pipeline_id, "gold"], store.gold.get(pipeline_id, 0))
        yield size
        yield from self._files(found.silver)

    def _files(self, stores: dict[OrganisationId, StoreSize]) -> Iterator[Metric]:
        label = ["organisation"]
        whole = GaugeMetricFamily("dash_storage_silver_file_bytes", "Size of an organisation's rows.", labels=label)
        free = GaugeMetricFamily("dash_storage_free_block_bytes", "Of it, blocks that hold nothing.", labels=label)
        for organisation_id, store in stores.items():
            whole.add_metric([organisation_id], store.file_bytes)
            free.add_metric([organisation_id], store.free_bytes)
        yield from (whole, free)

    def _removed(self) -> Iterator[Metric]:
        for name, told, value in (
            ("dash_retention_freed_bytes_total", "Bytes given back to the file system.", self._retention.freed_bytes),
            (
                "dash_retention_events_total",
                "Events removed from Bronze by age or size.",
                self._retention.removed_events,
            ),
            ("dash_retention_rows_total", "Rows removed from Silver by age.", self._retention.removed_rows),
        ):
            yield CounterMetricFamily(name, told, value=value)
