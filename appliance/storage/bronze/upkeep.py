"""FileLogUpkeep: the adapter of the LogUpkeep port on local disk."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TypeVar

from appliance.components.bronze import Correction, Expired, LogUpkeep, Quarantine
from appliance.domain.ids import PipelineId
from appliance.errors import NotFound, TransientError
from appliance.storage.bronze.keeper import Keeper

_RETRY_SECS = 5.0
T = TypeVar("T")


class FileLogUpkeep:
    """Finds the keeper of a pipeline and tells what the disk refused as a TransientError."""

    def __init__(self, keeper_of: Callable[[PipelineId], Keeper | None]) -> None:
        self._keeper_of = keeper_of

    def first_seq(self, pipeline_id: PipelineId) -> int:
        return self._asked(pipeline_id, "looking for the oldest event", lambda keeper: keeper.first_seq, 1)

    def seq_at(self, pipeline_id: PipelineId, moment: datetime) -> int:
        return self._asked(pipeline_id, "looking for a time", lambda keeper: keeper.seq_at(moment), 1)

    def expire(
        self, pipeline_id: PipelineId, *, before: datetime | None, keep_bytes: int | None, up_to: int
    ) -> Expired:
        nothing = Expired(0, 0, 0)
        return self._asked(
            pipeline_id, "removing old segments", lambda keeper: keeper.expire(before, keep_bytes, up_to), nothing
        )

    def erase(self, pipeline_id: PipelineId, seqs: Sequence[int], reason: str, by: str) -> int:
        return self._asked(pipeline_id, "erasing events", lambda keeper: keeper.erase(seqs, reason, by), 0)

    def correct(self, pipeline_id: PipelineId, corrections: Sequence[Correction]) -> None:
        if corrections and self._keeper_of(pipeline_id) is None:
            raise NotFound(f"correcting event {corrections[0].seq} of {pipeline_id}: nothing was received yet")
        self._asked(pipeline_id, "correcting events", lambda keeper: keeper.correct(corrections), None)

    def correction(self, pipeline_id: PipelineId, seq: int) -> Correction | None:
        return self._asked(
            pipeline_id, f"looking for a correction of event {seq}", lambda keeper: keeper.corrections.find(seq), None
        )

    def corrected(self, pipeline_id: PipelineId, first_seq: int, last_seq: int) -> list[int]:
        found: list[int] = self._asked(
            pipeline_id,
            f"looking for corrections of events {first_seq} to {last_seq}",
            lambda keeper: keeper.corrections.between(first_seq, last_seq),
            [],
        )
        return found

    def quarantined(self, pipeline_id: PipelineId) -> list[Quarantine]:
        return self._asked(pipeline_id, "looking at damaged places", lambda keeper: keeper.quarantined(), [])

    def size(self, pipeline_id: PipelineId) -> int:
        return self._asked(pipeline_id, "adding up the log", lambda keeper: keeper.size(), 0)

    def _asked(self, pipeline_id: PipelineId, doing: str, ask: Callable[[Keeper], T], nothing: T) -> T:
        """Return what the keeper answers; ``nothing`` where nothing was received yet."""
        keeper = self._keeper_of(pipeline_id)
        if keeper is None:
            return nothing
        try:
            return ask(keeper)
        except OSError as error:
            told = f"{doing} of {pipeline_id}: the disk refuses ({error}); do it again, it goes on where it ended"
            raise TransientError(told, _RETRY_SECS) from error


_: type[LogUpkeep] = FileLogUpkeep
