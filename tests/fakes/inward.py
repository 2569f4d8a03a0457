"""The opposite of a PartitionLog: numbers from 1 again, so that the contract suites can be asked of one.

Whatever comes out must lie in the partition: a number that the PartitionLog forgot to shift is noticed here.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from msgspec.structs import replace

from appliance.components.bronze import BronzeLog, Correction, Expired, Finding, LogUpkeep, Quarantine, SegmentInfo
from appliance.components.polls import PageEnd, PageLog
from appliance.domain.event import Delivery, Frame, Receipt, StoredEvent
from appliance.domain.ids import PipelineId

SHIFT = 44


class Inward:
    def __init__(self, log: BronzeLog, partition: int) -> None:
        self.log, self.base = log, partition << SHIFT
        self.upkeep: LogUpkeep = InwardUpkeep(self)

    def local(self, seq: int) -> int:
        assert self.base <= seq < self.base + (1 << SHIFT), f"{seq} is not an outward number of this partition"
        return seq - self.base

    async def append(self, pipeline_id: PipelineId, delivery: Delivery) -> Receipt:
        receipt = await self.log.append(pipeline_id, delivery)
        return Receipt(self.local(receipt.first_seq), self.local(receipt.last_seq), receipt.duplicate)

    def last_seq(self, pipeline_id: PipelineId) -> int:
        return self.local(self.log.last_seq(pipeline_id))

    def checkpoint(self, pipeline_id: PipelineId) -> dict[str, Any] | None:
        return self.log.checkpoint(pipeline_id)

    def read(self, pipeline_id: PipelineId, after_seq: int, max_events: int, max_bytes: int) -> list[Frame]:
        frames = self.log.read(pipeline_id, self.base + after_seq, max_events, max_bytes)
        return [
            replace(
                one,
                first_seq=self.local(one.first_seq),
                withdrawn=tuple(map(self.local, one.withdrawn)),
                delivery_seq=self.local(one.delivery_seq) if one.delivery_id is not None else one.delivery_seq,
            )
            for one in frames
        ]

    def event(self, pipeline_id: PipelineId, seq: int) -> StoredEvent:
        found = self.log.event(pipeline_id, self.base + seq)
        return replace(found, seq=self.local(found.seq))

    def page(self, pipeline_id: PipelineId, seq: int) -> PageEnd | None:
        assert isinstance(self.log, PageLog)
        found = self.log.page(pipeline_id, self.base + seq)
        return None if found is None else replace(found, last_seq=self.local(found.last_seq))

    def segments(self, pipeline_id: PipelineId) -> list[SegmentInfo]:
        return [
            replace(one, first_seq=self.local(one.first_seq), last_seq=self.local(one.last_seq))
            for one in self.log.segments(pipeline_id)
        ]

    def verify(self, pipeline_id: PipelineId) -> Iterator[Finding]:
        return self.log.verify(pipeline_id)

    def reach(self, pipeline_id: PipelineId, seq: int) -> None:
        self.log.reach(pipeline_id, self.base + seq)

    def pipelines(self) -> list[PipelineId]:
        return self.log.pipelines()

    def delete(self, pipeline_id: PipelineId) -> None:
        self.log.delete(pipeline_id)

    async def close(self) -> None:
        await self.log.close()


class InwardUpkeep:
    def __init__(self, inward: Inward) -> None:
        self._in = inward

    def first_seq(self, pipeline_id: PipelineId) -> int:
        return self._in.local(self._in.log.upkeep.first_seq(pipeline_id))

    def seq_at(self, pipeline_id: PipelineId, moment: datetime) -> int:
        return self._in.local(self._in.log.upkeep.seq_at(pipeline_id, moment))

    def expire(
        self, pipeline_id: PipelineId, *, before: datetime | None, keep_bytes: int | None, up_to: int
    ) -> Expired:
        up_to += self._in.base
        return self._in.log.upkeep.expire(pipeline_id, before=before, keep_bytes=keep_bytes, up_to=up_to)

    def erase(self, pipeline_id: PipelineId, seqs: Sequence[int], reason: str, by: str) -> int:
        return self._in.log.upkeep.erase(pipeline_id, [self._in.base + seq for seq in seqs], reason, by)

    def correct(self, pipeline_id: PipelineId, corrections: Sequence[Correction]) -> None:
        outward = [replace(one, seq=self._in.base + one.seq) for one in corrections]
        self._in.log.upkeep.correct(pipeline_id, outward)

    def correction(self, pipeline_id: PipelineId, seq: int) -> Correction | None:
        found = self._in.log.upkeep.correction(pipeline_id, self._in.base + seq)
        return found and replace(found, seq=self._in.local(found.seq))

    def corrected(self, pipeline_id: PipelineId, first_seq: int, last_seq: int) -> list[int]:
        base = self._in.base
        return list(map(self._in.local, self._in.log.upkeep.corrected(pipeline_id, base + first_seq, base + last_seq)))

    def quarantined(self, pipeline_id: PipelineId) -> list[Quarantine]:
        return [
            replace(one, first_seq=self._in.local(one.first_seq), last_seq=self._in.local(one.last_seq))
            for one in self._in.log.upkeep.quarantined(pipeline_id)
        ]

    def size(self, pipeline_id: PipelineId) -> int:
        return self._in.log.upkeep.size(pipeline_id)


_: type[BronzeLog] = Inward
_upkeep: type[LogUpkeep] = InwardUpkeep
