"""The log of a node that receives nothing: empty for ever. What it does not have is at other nodes."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any, NoReturn

from appliance.components.bronze import BronzeLog, Correction, Expired, Finding, LogUpkeep, Quarantine, SegmentInfo
from appliance.domain.event import Delivery, Frame, Receipt, StoredEvent
from appliance.domain.ids import PipelineId
from appliance.errors import Conflict


class NoLog:
    """``elsewhere``: says where there are logs. Whatever needs an event raises Conflict with that."""

    def __init__(self, elsewhere: Callable[[], str]) -> None:
        self._elsewhere = elsewhere

    @property
    def upkeep(self) -> LogUpkeep:
        return NoUpkeep(self)

    def refuse(self, doing: str) -> NoReturn:
        raise Conflict(f"{doing} is not possible on this node, which keeps no events: ask {self._elsewhere()}")

    async def append(self, pipeline_id: PipelineId, delivery: Delivery) -> Receipt:
        self.refuse("receiving events")

    def last_seq(self, pipeline_id: PipelineId) -> int:
        return 0

    def checkpoint(self, pipeline_id: PipelineId) -> dict[str, Any] | None:
        return None

    def read(self, pipeline_id: PipelineId, after_seq: int, max_events: int, max_bytes: int) -> list[Frame]:
        self.refuse("reading events as they were received")

    def event(self, pipeline_id: PipelineId, seq: int) -> StoredEvent:
        self.refuse(f"looking at event {seq} as it was received")

    def segments(self, pipeline_id: PipelineId) -> list[SegmentInfo]:
        return []

    def verify(self, pipeline_id: PipelineId) -> Iterator[Finding]:
        return iter(())

    def reach(self, pipeline_id: PipelineId, seq: int) -> None:
        """There are no numbers to keep."""

    def pipelines(self) -> list[PipelineId]:
        return []

    def delete(self, pipeline_id: PipelineId) -> None:
        """There is nothing."""

    async def close(self) -> None:
        """There is nothing."""


class NoUpkeep:
    """The upkeep of nothing."""

    def __init__(self, log: NoLog) -> None:
        self._log = log

    def first_seq(self, pipeline_id: PipelineId) -> int:
        return 1

    def seq_at(self, pipeline_id: PipelineId, moment: datetime) -> int:
        return 1

    def expire(
        self, pipeline_id: PipelineId, *, before: datetime | None, keep_bytes: int | None, up_to: int
    ) -> Expired:
        return Expired(segments=0, events=0, bytes_freed=0)

    def erase(self, pipeline_id: PipelineId, seqs: Sequence[int], reason: str, by: str) -> int:
        self._log.refuse("erasing events")

    def correct(self, pipeline_id: PipelineId, corrections: Sequence[Correction]) -> None:
        self._log.refuse("correcting events")

    def correction(self, pipeline_id: PipelineId, seq: int) -> Correction | None:
        self._log.refuse(f"looking for a correction of event {seq}")

    def corrected(self, pipeline_id: PipelineId, first_seq: int, last_seq: int) -> list[int]:
        self._log.refuse("looking for corrections")

    def quarantined(self, pipeline_id: PipelineId) -> list[Quarantine]:
        return []

    def size(self, pipeline_id: PipelineId) -> int:
        return 0


_: type[BronzeLog] = NoLog
_upkeep: type[LogUpkeep] = NoUpkeep
