"""The contract of the log: receive appends, everybody else reads."""

from collections.abc import Iterator
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


class BronzeLog(Protocol):
    """All events of this machine, one append-only sequence per pipeline, numbered from 1 without gaps.

    Closing order: stop appending, then ``close``. A second ``close`` does nothing.
    """

    async def append(self, pipeline_id: PipelineId, delivery: Delivery) -> Receipt:
        """Make ``delivery`` durable and answer its sequence numbers. Returns only after the disk has it (group commit).

        A delivery id seen within the window answers its first receipt with ``duplicate`` and writes nothing, also while
        the first is still on its way. A delivery without payloads moves only the checkpoint: ``count`` is 0.

        Raises:
            TransientError: not durable (disk error, full, overloaded, closing). It may still turn up after a crash
                (it was not acknowledged); the same delivery may be appended again.
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

        Raises:
            FatalError: a segment is damaged or missing.
        """
        ...

    def event(self, pipeline_id: PipelineId, seq: int) -> StoredEvent:
        """Return one event verbatim, with its envelope and place; blocking.

        Raises:
            NotFound: no such event.
        """
        ...

    def segments(self, pipeline_id: PipelineId) -> list[SegmentInfo]:
        """Return the pipeline's segments, oldest first."""
        ...

    def verify(self, pipeline_id: PipelineId) -> Iterator[Finding]:
        """Read every segment, check each frame and the hash chain; yield what is wrong (nothing: all is well)."""
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
