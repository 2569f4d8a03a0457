"""ClusterBronze: the logs of all nodes as one, each event at the node that received it."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from threading import Lock
from typing import Any

import msgspec

from appliance.components.bronze import BronzeLog, Correction, Expired, Finding, LogUpkeep, Quarantine, SegmentInfo
from appliance.components.partitions import Holder, Holders, Partitioned, Shared
from appliance.components.polls import PageEnd, PageLog
from appliance.domain.event import Delivery, Frame, Receipt, StoredEvent
from appliance.domain.ids import PipelineId
from appliance.domain.partition import Partition, partition_of, spoken
from appliance.errors import NotFound
from appliance.storage.bronze_cluster.by_partition import by_partition


class Own(msgspec.Struct, frozen=True):
    """The partition of this node, and its log, which speaks outward numbers; None: a ``NoLog``, it receives nothing."""

    partition: Partition | None
    log: BronzeLog


class ClusterBronze:
    """Routes what names an event to the partition of its number; everything else goes to this node's own log.

    ``dial`` makes the log of another node; nothing is sent before it is asked something.
    """

    def __init__(self, own: Own, holders: Holders, dial: Callable[[Holder], BronzeLog]) -> None:
        self._own, self._holders, self._dial = own, holders, dial
        self._dialled: dict[Holder, BronzeLog] = {}
        self._dialling = Lock()
        self._upkeep = ClusterUpkeep(self)

    @property
    def upkeep(self) -> LogUpkeep:
        return self._upkeep

    @property
    def local(self) -> BronzeLog:
        """Return this node's own log."""
        return self._own.log

    @property
    def holders(self) -> Holders:
        """Return what is known of who holds which partition."""
        return self._holders

    def partitions(self, pipeline_id: PipelineId) -> list[int]:
        own = [] if self._own.partition is None else [self._own.partition]
        return sorted({*own, *self._holders.holding(pipeline_id)})

    def of(self, partition: int) -> BronzeLog:
        if self._own.partition == partition:
            return self._own.log
        holder = self._holders.holder(partition)
        if holder is None:
            told = "its number was never given, or its node was forgotten"
            raise NotFound(f"partition {partition} of Bronze is at no node: {told}")
        with self._dialling:
            if holder not in self._dialled:
                self._dialled[holder] = self._dial(holder)
            return self._dialled[holder]

    def holding(self, pipeline_id: PipelineId, seq: int, doing: str) -> BronzeLog:
        """Return the log that has, or would have, event ``seq``. Raises NotFound: no log can have it."""
        try:
            return self.of(partition_of(seq))
        except ValueError as error:
            raise NotFound(f"{doing} event {spoken(seq)} of {pipeline_id}: {error}") from error
        except NotFound as error:
            raise NotFound(f"{doing} event {spoken(seq)} of {pipeline_id}: {error}") from error

    async def append(self, pipeline_id: PipelineId, delivery: Delivery) -> Receipt:
        return await self.local.append(pipeline_id, delivery)

    def last_seq(self, pipeline_id: PipelineId) -> int:
        return self.local.last_seq(pipeline_id)

    def checkpoint(self, pipeline_id: PipelineId) -> dict[str, Any] | None:
        return self.local.checkpoint(pipeline_id)

    def read(self, pipeline_id: PipelineId, after_seq: int, max_events: int, max_bytes: int) -> list[Frame]:
        log = self.holding(pipeline_id, after_seq, "reading after")
        return log.read(pipeline_id, after_seq, max_events, max_bytes)

    def event(self, pipeline_id: PipelineId, seq: int) -> StoredEvent:
        return self.holding(pipeline_id, seq, "looking for").event(pipeline_id, seq)

    def page(self, pipeline_id: PipelineId, seq: int) -> PageEnd | None:
        """See ``PageLog.page``; of this node's own events only: nobody asks for the pages of others."""
        return self.local.page(pipeline_id, seq) if isinstance(self.local, PageLog) else None

    def segments(self, pipeline_id: PipelineId) -> list[SegmentInfo]:
        return self.local.segments(pipeline_id)

    def verify(self, pipeline_id: PipelineId) -> Iterator[Finding]:
        return self.local.verify(pipeline_id)

    def reach(self, pipeline_id: PipelineId, seq: int) -> None:
        self.local.reach(pipeline_id, seq)

    def pipelines(self) -> list[PipelineId]:
        return self.local.pipelines()

    def delete(self, pipeline_id: PipelineId) -> None:
        """Remove what this node has of the pipeline; the others remove theirs when they hear that it is deleted."""
        self.local.delete(pipeline_id)

    async def close(self) -> None:
        with self._dialling:
            logs, self._dialled = list(self._dialled.values()), {}
        for log in logs:
            await log.close()
        await self._own.log.close()


class ClusterUpkeep:
    """The upkeep of all logs: events by their numbers, everything else of this node's own log."""

    def __init__(self, cluster: ClusterBronze) -> None:
        self._cluster = cluster

    @property
    def _local(self) -> LogUpkeep:
        return self._cluster.local.upkeep

    def first_seq(self, pipeline_id: PipelineId) -> int:
        return self._local.first_seq(pipeline_id)

    def seq_at(self, pipeline_id: PipelineId, moment: datetime) -> int:
        return self._local.seq_at(pipeline_id, moment)

    def expire(
        self, pipeline_id: PipelineId, *, before: datetime | None, keep_bytes: int | None, up_to: int
    ) -> Expired:
        return self._local.expire(pipeline_id, before=before, keep_bytes=keep_bytes, up_to=up_to)

    def erase(self, pipeline_id: PipelineId, seqs: Sequence[int], reason: str, by: str) -> int:
        """See ``LogUpkeep.erase``; partition by partition: where a node does not answer, those before it are done."""
        groups = by_partition(pipeline_id, seqs, lambda seq: seq, "erasing")
        logs = [self._cluster.holding(pipeline_id, group[0], "erasing") for group in groups]
        return sum(
            log.upkeep.erase(pipeline_id, group, reason, by) for log, group in zip(logs, groups, strict=True)
        )  # fmt: skip

    def correct(self, pipeline_id: PipelineId, corrections: Sequence[Correction]) -> None:
        """See ``LogUpkeep.correct``; partition by partition, as ``erase``."""
        groups = by_partition(pipeline_id, corrections, lambda one: one.seq, "correcting")
        logs = [self._cluster.holding(pipeline_id, group[0].seq, "correcting") for group in groups]
        for log, group in zip(logs, groups, strict=True):
            log.upkeep.correct(pipeline_id, group)

    def correction(self, pipeline_id: PipelineId, seq: int) -> Correction | None:
        log = self._cluster.holding(pipeline_id, seq, "looking for a correction of")
        return log.upkeep.correction(pipeline_id, seq)

    def corrected(self, pipeline_id: PipelineId, first_seq: int, last_seq: int) -> list[int]:
        """See ``LogUpkeep.corrected``; both numbers are of one partition. Raises ValueError: they are not."""
        if partition_of(first_seq) != partition_of(last_seq):
            raise ValueError(f"events {first_seq} to {last_seq} of {pipeline_id} are not in one partition")
        log = self._cluster.holding(pipeline_id, first_seq, "looking for corrections from")
        return log.upkeep.corrected(pipeline_id, first_seq, last_seq)

    def quarantined(self, pipeline_id: PipelineId) -> list[Quarantine]:
        return self._local.quarantined(pipeline_id)

    def size(self, pipeline_id: PipelineId) -> int:
        return self._local.size(pipeline_id)


_: type[BronzeLog] = ClusterBronze
_pages: type[PageLog] = ClusterBronze
_partitioned: type[Partitioned] = ClusterBronze
_shared: type[Shared] = ClusterBronze
_upkeep: type[LogUpkeep] = ClusterUpkeep
