"""The contract of the log: receive appends, everybody else reads."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Protocol

import msgspec

from appliance.domain.event import Delivery, Frame, Receipt, StoredEvent
from appliance.domain.ids import PipelineId


class SegmentInfo(msgspec.Struct, frozen=True):
    """One segment file of a pipeline. ``sha256`` and ``previous`` (hex) are None while the segment is open."""

    name: str
    first_seq: int
    last_seq: int
    size_bytes: int  # on disk
    closed: bool
    sha256: str | None = None
    previous: str | None = None


class Finding(msgspec.Struct, frozen=True):
    """One thing that ``verify`` found wrong, and what to do about it."""

    pipeline_id: PipelineId
    segment: str
    message: str
    remedy: str


class Correction(msgspec.Struct, frozen=True):
    """What shall be refined instead of event ``seq``: ``payload`` (one JSON value), or None: nothing, it is dropped.

    The event itself stays as it was received; the newest correction of an event counts.
    """

    seq: int
    payload: bytes | None
    reason: str
    by: str
    at: datetime


class Quarantine(msgspec.Struct, frozen=True):
    """Events that cannot be read any more; their bytes are kept where they are until somebody puts a copy back."""

    segment: str
    first_seq: int
    last_seq: int
    reason: str


class Expired(msgspec.Struct, frozen=True):
    """What ``expire`` removed. ``bytes_freed``: on this disk, and in an archive that had the only copy."""

    segments: int
    events: int
    bytes_freed: int


class LogUpkeep(Protocol):
    """What retention, erasure, repair and dead letters need of the log. All blocking, all durable when they return.

    Any may raise TransientError: the disk refuses. The same call again goes on where that one ended.
    """

    def first_seq(self, pipeline_id: PipelineId) -> int:
        """Return the oldest event still held; ``last_seq + 1`` where none is."""
        ...

    def seq_at(self, pipeline_id: PipelineId, moment: datetime) -> int:
        """Return the first event received at or after ``moment``; ``last_seq + 1`` where there is none yet."""
        ...

    def expire(
        self, pipeline_id: PipelineId, *, before: datetime | None, keep_bytes: int | None, up_to: int
    ) -> Expired:
        """Remove whole closed segments from the old end, and give their space back.

        Those whose newest event was received before ``before``, then the oldest until at most ``keep_bytes`` remain;
        never one with an event above ``up_to``. The manifest keeps their entries: the chain stays provable.
        """
        ...

    def erase(self, pipeline_id: PipelineId, seqs: Sequence[int], reason: str, by: str) -> int:
        """Replace the payloads of these events by a tombstone, for good; return how many were not erased before.

        Their segments are written again; the manifest keeps the former hash beside the new one and says why, so that
        ``verify`` proves what is left. Numbers, times and the other events do not change. Corrections of them go too,
        and so does what crashes and damage left aside for a person. Events that have expired are passed over. Where
        the log is archived, it returns when the archive holds nothing of them either.

        Raises:
            NotFound: there were never such events.
        """
        ...

    def correct(self, pipeline_id: PipelineId, corrections: Sequence[Correction]) -> None:
        """Remember what is refined instead of these events; from now on ``read`` answers accordingly.

        Nothing is remembered of events that were erased or have expired.

        Raises:
            NotFound: there were never such events.
            Conflict: more than a million events of the pipeline would be corrected.
        """
        ...

    def correction(self, pipeline_id: PipelineId, seq: int) -> Correction | None:
        """Return the newest correction of an event."""
        ...

    def corrected(self, pipeline_id: PipelineId, first_seq: int, last_seq: int) -> list[int]:
        """Return the events from ``first_seq`` to ``last_seq`` that have a correction, ascending; ``read`` answers
        these otherwise than they came."""
        ...

    def quarantined(self, pipeline_id: PipelineId) -> list[Quarantine]:
        """Return what reading found damaged so far; a damaged place is left out of it once it reads again."""
        ...

    def size(self, pipeline_id: PipelineId) -> int:
        """Return the bytes that the pipeline's log occupies in the file system, and in an archive that has the only
        copy; cheap."""
        ...


class BronzeLog(Protocol):
    """All events of this machine, one append-only sequence per pipeline, numbered from 1 without gaps.

    Closing order: stop appending, then ``close``. A second ``close`` does nothing.
    """

    @property
    def upkeep(self) -> LogUpkeep: ...

    async def append(self, pipeline_id: PipelineId, delivery: Delivery) -> Receipt:
        """Make ``delivery`` durable and answer its sequence numbers. Returns only after the disk has it (group commit).

        A delivery id seen within the window answers its first receipt with ``duplicate`` and writes nothing, also while
        the first is still on its way. A delivery without payloads moves only the checkpoint: ``count`` is 0.

        Raises:
            TransientError: not durable (disk error, full, overloaded, closing). It may still turn up after a crash
                (it was not acknowledged); the same delivery may be appended again.
            RateLimited: more of this pipeline waits to become durable than its share; nothing was taken.
        """
        ...

    def last_seq(self, pipeline_id: PipelineId) -> int:
        """Return the newest durable sequence number; 0 where there is none."""
        ...

    def checkpoint(self, pipeline_id: PipelineId) -> dict[str, Any] | None:
        """Return the pull source's checkpoint that was made durable last."""
        ...

    def read(self, pipeline_id: PipelineId, after_seq: int, max_events: int, max_bytes: int) -> list[Frame]:
        """Return durable frames with sequence numbers > ``after_seq``, in order, without gaps; blocking.

        At most ``max_events`` events; stops before ``max_bytes`` of lines, but answers at least one event if there is
        one. A frame that ``after_seq`` or a limit cuts through is answered in part. Empty: nothing newer is durable.
        Events that were corrected are answered as corrected; those dropped or erased are named in ``withdrawn``; events
        that cannot be read are a frame with ``damaged`` (see ``Frame``). What has expired is passed over: the first
        frame may begin later than ``after_seq + 1``.

        Raises:
            TransientError: the disk refuses, or the archive that has these events cannot be reached.
        """
        ...

    def event(self, pipeline_id: PipelineId, seq: int) -> StoredEvent:
        """Return one event verbatim, with its envelope and place; blocking.

        Raises:
            NotFound: no such event; or it has expired, was erased, or stands in quarantine: the message says which.
            TransientError: as ``read``.
        """
        ...

    def segments(self, pipeline_id: PipelineId) -> list[SegmentInfo]:
        """Return the pipeline's segments, oldest first."""
        ...

    def verify(self, pipeline_id: PipelineId) -> Iterator[Finding]:
        """Read every segment, check each frame and the hash chain; yield what is wrong (nothing: all is well)."""
        ...

    def reach(self, pipeline_id: PipelineId, seq: int) -> None:
        """Never give out a number up to ``seq`` again: a reader has had them, so where the log ends before, it has lost
        events. Those are damaged from now on. ``seq`` durable: nothing happens; blocking.

        Raises:
            TransientError: the disk refuses.
        """
        ...

    def pipelines(self) -> list[PipelineId]:
        """Return the pipelines that have a log here."""
        ...

    def delete(self, pipeline_id: PipelineId) -> None:
        """Remove the pipeline's log and give the space back; blocking. Unknown pipeline: nothing happens."""
        ...

    async def close(self) -> None:
        """Commit what was accepted, close the files. Later appends raise TransientError."""
        ...
