"""The contract of generations: a pipeline's rows rebuilt beside those in use, then exchanged in one step."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

import msgspec

from appliance.components.silver import Progress, Table
from appliance.domain.ids import PipelineId
from appliance.domain.partition import base_of, partition, partition_of


class Eras(NamedTuple):
    """What a pipeline's era is thought to be, and what it becomes by a swap."""

    before: int
    after: int


class Stretch(NamedTuple):
    """Events of one partition, both ends included."""

    first_seq: int
    last_seq: int


class Generation(msgspec.Struct, frozen=True):
    """Rows, dead letters, rollups, spans and progress of one pipeline, wholly by one way of refining.

    ``first_seq``: the first event it was refined from; less than it, rows were carried over from the live generation.
    ``progress``: of this node's partition; ``partitions``: of each that something was stored of.
    ``era``: of the pipeline, the same in each: it rises when other rows are put in use, and who writes to the live ones
    must know it. A store that only one process writes to keeps none.
    """

    number: int
    live: bool
    first_seq: int
    progress: Progress
    created_at: datetime
    partitions: Mapping[int, Progress] = {}
    era: int = 0

    def of(self, number: int) -> Progress:
        """Return how far partition ``number`` is refined; nothing was stored of it: its begin."""
        if number in self.partitions:
            return self.partitions[number]
        own = partition_of(self.progress.seq) == number
        return self.progress if own else Progress(base_of(partition(number)))

    def short_of(self, other: "Generation") -> int | None:
        """Return the first partition that ``other`` is refined further in, None: there is none."""
        numbers = {*other.partitions, partition_of(other.progress.seq)}
        return next((one for one in sorted(numbers) if self.of(one).seq < other.of(one).seq), None)


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

    def begin(self, table: Table, first_seq: int = 1, *, carry: bool = True, elsewhere: Sequence[int] = ()) -> Table:
        """Make an empty generation for ``table``'s columns, refined from ``first_seq`` on; return it as a table.

        ``carry``: rows, dead letters and spans of the live generation below ``first_seq`` are copied into it (events
        that Bronze no longer has). Without it the generation is for ``splice``. Progress starts at ``first_seq - 1``.
        ``elsewhere``: the first event of each other partition, of which the same holds.
        ``prepare``, ``commit``, ``progress``, ``records``, ``aggregate`` and ``checksum`` work on it as on the live.
        """
        ...

    def all(self, pipeline_id: PipelineId) -> list[Generation]:
        """Return the generations there are, oldest first; exactly one is live. Empty for a pipeline never prepared."""
        ...

    def swap(self, pipeline_id: PipelineId, number: int, eras: Eras | None = None, *, behind: bool = True) -> int:
        """Make generation ``number`` the live one, in one transaction; return which was live before (kept as it is).

        Readers see the one or the other, never both. Live already: nothing happens, its own number is returned.
        With ``eras``, who writes to the live rows by an earlier one is refused from then on.

        Raises:
            NotFound: no such generation.
            TransientError: the era is not the one thought to be; or, with ``behind`` False, the rows in use are refined
                further than those of ``number``, of some partition. Nothing was done.
        """
        ...

    def hold(self, pipeline_id: PipelineId, secs: float) -> None:
        """Refuse commits to the live rows, of whatever node, for ``secs`` from now, or until the next call or swap.

        Of a store that only one process writes to nothing is held.
        """
        ...

    def splice(
        self, table: Table, number: int, first_seq: int, last_seq: int, elsewhere: Sequence[Stretch] = ()
    ) -> Progress:
        """Exchange the live rows, dead letters and spans of these events for those of ``number``, in one transaction.

        ``elsewhere``: stretches of other partitions, exchanged in the same transaction.

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
