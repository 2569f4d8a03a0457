"""The contract of generations: a pipeline's rows rebuilt beside those in use, then exchanged in one step."""

from datetime import datetime
from typing import Protocol

import msgspec

from appliance.components.silver import Progress, Table
from appliance.domain.ids import PipelineId


class Generation(msgspec.Struct, frozen=True):
    """Rows, dead letters, rollups, spans and progress of one pipeline, wholly by one way of refining.

    ``first_seq``: the first event it was refined from; less than it, rows were carried over from the live generation.
    """

    number: int
    live: bool
    first_seq: int
    progress: Progress
    created_at: datetime


class Span(msgspec.Struct, frozen=True):
    """Consecutive events of one day (UTC, of receipt) refined by one version: a line of the ledger.

    ``gone``: of the events stored, those whose rows retention has removed since.
    """

    first_seq: int
    last_seq: int
    day: str  # 2026-11-22
    version: int
    stored: int
    filtered: int
    duplicate: int
    dead: int
    gone: int = 0


class Generations(Protocol):
    """Shadows of a pipeline. One writer at a time per generation. Errors as ``SilverStore``."""

    def begin(self, table: Table, first_seq: int = 1, *, carry: bool = True) -> Table:
        """Make an empty generation for ``table``'s columns, refined from ``first_seq`` on; return it as a table.

        ``carry``: rows, dead letters and spans of the live generation below ``first_seq`` are copied into it (events
        that Bronze no longer has). Without it the generation is for ``splice``. Progress starts at ``first_seq - 1``.
        ``prepare``, ``commit``, ``progress``, ``records``, ``aggregate`` and ``checksum`` work on it as on the live.
        """
        ...

    def all(self, pipeline_id: PipelineId) -> list[Generation]:
        """Return the generations there are, oldest first; exactly one is live. Empty for a pipeline never prepared."""
        ...

    def swap(self, pipeline_id: PipelineId, number: int) -> int:
        """Make generation ``number`` the live one, in one transaction; return which was live before (kept as it is).

        Readers see the one or the other, never both. Live already: nothing happens, its own number is returned.

        Raises:
            NotFound: no such generation.
        """
        ...

    def splice(self, table: Table, number: int, first_seq: int, last_seq: int) -> Progress:
        """Exchange the live rows, dead letters and spans of these events for those of ``number``, in one transaction.

        ``number`` holds the former ones afterwards: a second call undoes the first. Rollups and progress follow.

        Raises:
            Conflict: ``table`` is keyed (what a range would do to keys elsewhere is not known), or either generation is
                not refined up to ``last_seq``.
        """
        ...

    def discard(self, pipeline_id: PipelineId, number: int) -> None:
        """Remove a generation that is not live and give its space back. Unknown: nothing happens. Conflict: live."""
        ...

    def checksum(self, table: Table, first_seq: int = 1, last_seq: int | None = None) -> str:
        """Return a digest of these events' rows (all columns but ``_key``), whatever order they are stored in."""
        ...

    def spans(self, pipeline_id: PipelineId, generation: int | None = None) -> list[Span]:
        """Return the ledger by span, in order of events; the sums of each partition's are its progress."""
        ...
