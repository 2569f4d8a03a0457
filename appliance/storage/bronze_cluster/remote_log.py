"""RemoteLog: the log of another node, read over internal calls."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar

import msgspec

from appliance.components import log_calls as calls
from appliance.components.bronze import BronzeLog, Correction, Expired, Finding, LogUpkeep, Quarantine, SegmentInfo
from appliance.components.partitions import Holder
from appliance.domain.event import Delivery, Frame, Receipt, StoredEvent
from appliance.domain.ids import PipelineId
from appliance.errors import Conflict

if TYPE_CHECKING:
    from appliance.storage.bronze_cluster.caller import Caller

T = TypeVar("T")

_CORRECTIONS_BYTES: Final = 16 << 20  # of one call; one correction may be larger
_PATIENCE_SECS: Final = 600.0  # of erasing and expiring: segments are written again


class RemoteLog:
    """Reads and keeps the log of ``holder``; blocking, for threads. It speaks the numbers of the holder's partition.

    Receiving, and what belongs to the start and end of a log, is done by its own node: asked for here it is refused.
    Any method may raise TransientError, which names the node.
    """

    def __init__(self, holder: Holder, caller: "Caller") -> None:
        self._holder, self._caller = holder, caller
        self._upkeep = RemoteUpkeep(holder, caller)

    @property
    def upkeep(self) -> LogUpkeep:
        return self._upkeep

    async def append(self, pipeline_id: PipelineId, delivery: Delivery) -> Receipt:
        self._refuse("receiving")

    def last_seq(self, pipeline_id: PipelineId) -> int:
        return self._ask(calls.LastSeq(pipeline_id), int)

    def checkpoint(self, pipeline_id: PipelineId) -> dict[str, Any] | None:
        found: dict[str, Any] | None = msgspec.json.decode(self._ask(calls.Checkpoint(pipeline_id), bytes))
        return found

    def read(self, pipeline_id: PipelineId, after_seq: int, max_events: int, max_bytes: int) -> list[Frame]:
        """See ``BronzeLog.read``; one answer has at most 200,000 events and 16 MiB of lines, or one event."""
        return self._ask(calls.Read(pipeline_id, after_seq, max_events, max_bytes), list[Frame])

    def event(self, pipeline_id: PipelineId, seq: int) -> StoredEvent:
        return self._ask(calls.Event(pipeline_id, seq), calls.Verbatim).stored()

    def segments(self, pipeline_id: PipelineId) -> list[SegmentInfo]:
        return self._ask(calls.Segments(pipeline_id), list[SegmentInfo])

    def verify(self, pipeline_id: PipelineId) -> Iterator[Finding]:
        self._refuse("verifying")

    def reach(self, pipeline_id: PipelineId, seq: int) -> None:
        self._refuse("closing a gap")

    def pipelines(self) -> list[PipelineId]:
        self._refuse("listing its pipelines")

    def delete(self, pipeline_id: PipelineId) -> None:
        self._refuse("deleting")

    async def close(self) -> None:
        """Do nothing: the log is open at its node, and the connections belong to the caller."""

    def _ask(self, call: calls.Call, type_: type[T]) -> T:
        return self._caller.ask(self._holder, calls.BRONZE_PATH, msgspec.msgpack.encode(call), type_)

    def _refuse(self, doing: str) -> NoReturn:
        holder = self._holder
        raise Conflict(f"{doing} in partition {holder.partition} is done by node {holder.name!r} itself: do it there")


class RemoteUpkeep:
    """The upkeep of such a log. What was begun there goes on there, also where its answer does not arrive."""

    def __init__(self, holder: Holder, caller: "Caller") -> None:
        self._holder, self._caller = holder, caller

    def first_seq(self, pipeline_id: PipelineId) -> int:
        return self._ask(calls.FirstSeq(pipeline_id), int)

    def seq_at(self, pipeline_id: PipelineId, moment: datetime) -> int:
        return self._ask(calls.SeqAt(pipeline_id, moment), int)

    def expire(
        self, pipeline_id: PipelineId, *, before: datetime | None, keep_bytes: int | None, up_to: int
    ) -> Expired:
        return self._change(calls.Expire(pipeline_id, before, keep_bytes, up_to), Expired)

    def erase(self, pipeline_id: PipelineId, seqs: Sequence[int], reason: str, by: str) -> int:
        return self._change(calls.Erase(pipeline_id, list(seqs), reason, by), int)

    def correct(self, pipeline_id: PipelineId, corrections: Sequence[Correction]) -> None:
        """See ``LogUpkeep.correct``; a great many go in several calls, each as a whole."""
        for some in _pieces(corrections) or [[]]:
            self._change(calls.Correct(pipeline_id, some), type(None))

    def correction(self, pipeline_id: PipelineId, seq: int) -> Correction | None:
        found = self._ask(calls.FindCorrection(pipeline_id, seq), list[Correction])
        return found[0] if found else None

    def corrected(self, pipeline_id: PipelineId, first_seq: int, last_seq: int) -> list[int]:
        return self._ask(calls.Corrected(pipeline_id, first_seq, last_seq), list[int])

    def quarantined(self, pipeline_id: PipelineId) -> list[Quarantine]:
        return self._ask(calls.Quarantined(pipeline_id), list[Quarantine])

    def size(self, pipeline_id: PipelineId) -> int:
        return self._ask(calls.Size(pipeline_id), int)

    def _ask(self, call: calls.Call, type_: type[T]) -> T:
        return self._caller.ask(self._holder, calls.BRONZE_PATH, msgspec.msgpack.encode(call), type_)

    def _change(self, call: calls.Call, type_: type[T]) -> T:
        body = msgspec.msgpack.encode(call)
        return self._caller.ask(self._holder, calls.BRONZE_PATH, body, type_, patience_secs=_PATIENCE_SECS)


def _pieces(corrections: Sequence[Correction]) -> list[list[Correction]]:
    pieces: list[list[Correction]] = []
    room = 0
    for one in corrections:
        size = len(one.payload or b"") + len(one.reason) + 64
        if not pieces or size > room:
            pieces.append([])
            room = _CORRECTIONS_BYTES
        pieces[-1].append(one)
        room -= size
    return pieces


_: type[BronzeLog] = RemoteLog
_upkeep_type: type[LogUpkeep] = RemoteUpkeep
