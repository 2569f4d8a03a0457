"""Metrics of backups: what became of them on this node, as it was noted last."""

from collections.abc import Callable, Iterable, Iterator

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from appliance.domain.backup_plan import BackupRecord


class BackupMetrics(Collector):
    """``dash_backup_*``. Nothing where backups go nowhere."""

    def __init__(self, place: str | None, record: Callable[[], BackupRecord | None]) -> None:
        self._place, self._record = place, record

    def describe(self) -> Iterable[Metric]:
        return ()  # nothing is collected before the first scrape

    def collect(self) -> Iterator[Metric]:
        record = self._record()
        if self._place is None or record is None:
            return
        values: list[tuple[str, str, float]] = [
            ("failures", "Backups that failed since the last that succeeded.", record.failures)
        ]
        if record.last_at is not None:
            values += [
                ("last_success_timestamp_seconds", "When the last good backup began.", record.last_at.timestamp()),
                ("last_bytes", "Bytes of all files of the last backup.", record.bytes),
                ("last_new_bytes", "Bytes that the last backup added to what was there.", record.new_bytes),
                ("last_seconds", "How long the last backup took.", record.took_secs),
            ]
        if record.verified_at is not None:
            at, good = record.verified_at.timestamp(), float(record.wrong is None)
            values += [
                ("verified_timestamp_seconds", "When a backup was read whole last.", at),
                ("verified_good", "1 if it was good, 0 if not.", good),
            ]
        for name, told, value in values:
            yield GaugeMetricFamily(f"dash_backup_{name}", told, value=value)
