"""PartitionLog: a log that numbers from 1, as the other nodes know it."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import msgspec

from appliance.components.bronze import BronzeLog, Correction, Expired, Finding, LogUpkeep, Quarantine, SegmentInfo
from appliance.components.polls import PageEnd, PageLog
from appliance.domain.event import Delivery, Frame, Receipt, StoredEvent
from appliance.domain.ids import PipelineId
from appliance.storage.bronze_cluster.numbers import Numbers


class PartitionLog:
    """Speaks outward numbers of partition ``number`` over ``log``, which holds local ones; of partition 0: as it is.

    Names of segments, and what errors and findings say, come from the files and name local numbers; texts say so.
    """

    def __init__(self, log: BronzeLog, number: int) -> None:
        self._log = log
        self._numbers = Numbers(number)

    @property
    def upkeep(self) -> LogUpkeep:
        return PartitionUpkeep(self._log.upkeep, self._numbers)

    async def append(self, pipeline_id: PipelineId, delivery: Delivery) -> Receipt:
        return self._numbers.receipt(await self._log.append(pipeline_id, delivery))

    def last_seq(self, pipeline_id: PipelineId) -> int:
        return self._numbers.out(self._log.last_seq(pipeline_id))

    def checkpoint(self, pipeline_id: PipelineId) -> dict[str, Any] | None:
        return self._log.checkpoint(pipeline_id)

    def read(self, pipeline_id: PipelineId, after_seq: int, max_events: int, max_bytes: int) -> list[Frame]:
        after = self._numbers.within(pipeline_id, after_seq, "reading after")
        with self._numbers.telling():
            return [self._numbers.frame(one) for one in self._log.read(pipeline_id, after, max_events, max_bytes)]

    def event(self, pipeline_id: PipelineId, seq: int) -> StoredEvent:
        local = self._numbers.within(pipeline_id, seq, "looking for")
        with self._numbers.telling():
            return self._numbers.event(self._log.event(pipeline_id, local))

    def page(self, pipeline_id: PipelineId, seq: int) -> PageEnd | None:
        """See ``PageLog.page``."""
        local = self._numbers.within(pipeline_id, seq, "looking for the page of")
        found = self._log.page(pipeline_id, local) if isinstance(self._log, PageLog) else None
        return None if found is None else msgspec.structs.replace(found, last_seq=self._numbers.out(found.last_seq))

    def segments(self, pipeline_id: PipelineId) -> list[SegmentInfo]:
        return [self._numbers.segment(one) for one in self._log.segments(pipeline_id)]

    def verify(self, pipeline_id: PipelineId) -> Iterator[Finding]:
        return map(self._numbers.finding, self._log.verify(pipeline_id))

    def reach(self, pipeline_id: PipelineId, seq: int) -> None:
        local = self._numbers.within(pipeline_id, seq, "reaching")
        with self._numbers.telling():
            self._log.reach(pipeline_id, local)

    def pipelines(self) -> list[PipelineId]:
        return self._log.pipelines()

    def delete(self, pipeline_id: PipelineId) -> None:
        self._log.delete(pipeline_id)

    async def close(self) -> None:
        await self._log.close()


class PartitionUpkeep:
    """The upkeep of such a log."""

    def __init__(self, upkeep: LogUpkeep, numbers: Numbers) -> None:
        self._upkeep, self._numbers = upkeep, numbers

    def first_seq(self, pipeline_id: PipelineId) -> int:
        return self._numbers.out(self._upkeep.first_seq(pipeline_id))

    def seq_at(self, pipeline_id: PipelineId, moment: datetime) -> int:
        return self._numbers.out(self._upkeep.seq_at(pipeline_id, moment))

    def expire(
        self, pipeline_id: PipelineId, *, before: datetime | None, keep_bytes: int | None, up_to: int
    ) -> Expired:
        """See ``LogUpkeep.expire``. Of what lies below this partition nothing expires. Raises NotFound: above it."""
        local = self._numbers.clamped(up_to)
        if local:
            local = self._numbers.within(pipeline_id, up_to, "expiring up to")
        return self._upkeep.expire(pipeline_id, before=before, keep_bytes=keep_bytes, up_to=local)

    def erase(self, pipeline_id: PipelineId, seqs: Sequence[int], reason: str, by: str) -> int:
        local = [self._numbers.within(pipeline_id, seq, "erasing") for seq in seqs]
        with self._numbers.telling():
            return self._upkeep.erase(pipeline_id, local, reason, by)

    def correct(self, pipeline_id: PipelineId, corrections: Sequence[Correction]) -> None:
        local = [
            msgspec.structs.replace(one, seq=self._numbers.within(pipeline_id, one.seq, "correcting"))
            for one in corrections
        ]
        with self._numbers.telling():
            self._upkeep.correct(pipeline_id, local)

    def correction(self, pipeline_id: PipelineId, seq: int) -> Correction | None:
        local = self._numbers.within(pipeline_id, seq, "looking for a correction of")
        with self._numbers.telling():
            found = self._upkeep.correction(pipeline_id, local)
        return None if found is None else self._numbers.correction(found)

    def corrected(self, pipeline_id: PipelineId, first_seq: int, last_seq: int) -> list[int]:
        first, last = self._numbers.clamped(first_seq), self._numbers.clamped(last_seq)
        with self._numbers.telling():
            return [self._numbers.out(seq) for seq in self._upkeep.corrected(pipeline_id, max(1, first), last)]

    def quarantined(self, pipeline_id: PipelineId) -> list[Quarantine]:
        return [self._numbers.place(one) for one in self._upkeep.quarantined(pipeline_id)]

    def size(self, pipeline_id: PipelineId) -> int:
        return self._upkeep.size(pipeline_id)


_: type[BronzeLog] = PartitionLog
_pages: type[PageLog] = PartitionLog
_upkeep: type[LogUpkeep] = PartitionUpkeep
