"""What services need from the rest of the house. Compose hands it in; nobody here knows the concrete classes."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar

import msgspec

from appliance.components.bronze import BronzeLog
from appliance.domain.event import Frame
from appliance.domain.ids import OrganisationId, PipelineId
from appliance.domain.ledger import Outcome
from appliance.domain.mapping import Mapping as MappingDocument
from appliance.domain.pipeline import Pipeline, State
from appliance.domain.replay import Replay, ReplayProgress
from appliance.domain.stats import LiveStats

if TYPE_CHECKING:
    import pyarrow as pa

    from appliance.components.mapper import Mapped
    from appliance.components.partitions import Share
    from appliance.components.silver import Progress, SilverStore, Table
    from appliance.engine.drift import Drifts

T = TypeVar("T")
WorkKind = Literal["read", "refine", "control", "upkeep"]


class Workers(Protocol):
    """Bounded thread pools, one for each kind of work, so that looking never waits for refining."""

    async def run(self, kind: WorkKind, fn: Callable[..., T], *args: Any) -> T:
        """Run blocking ``fn(*args)`` in a thread of that kind. Raises what it raises, TransientError when full."""
        ...


class Engine(Protocol):
    """The running appliance: pipelines that receive and refine, and the stores they work on."""

    @property
    def bronze(self) -> BronzeLog: ...

    @property
    def workers(self) -> Workers: ...

    @property
    def drifts(self) -> "Drifts": ...

    @property
    def looks(self) -> bool:
        """Return whether other nodes run the pipelines, and this one only shows them."""
        ...

    @property
    def elsewhere(self) -> "Mapping[PipelineId, Mapping[int, Share]]":
        """What other nodes have of each pipeline, by partition, as it was about a second ago."""
        ...

    async def start_pipeline(self, pipeline: Pipeline) -> None:
        """Run ``pipeline`` in its state and version; one that runs already is replaced without losing an event."""
        ...

    async def stop_pipeline(self, pipeline_id: PipelineId) -> None:
        """Stop asking the source and refuse ingest; what Bronze holds is still refined. Unknown: nothing happens."""
        ...

    async def delete_pipeline(self, pipeline_id: PipelineId) -> None:
        """Stop it and remove its events, rows and dead letters. A second call does nothing."""
        ...

    def running_ids(self) -> set[PipelineId]:
        """Return the pipelines of this process, also those that are paused or have failed."""
        ...

    def pipeline(self, pipeline_id: PipelineId) -> Pipeline | None:
        """Return the pipeline as it runs here; None: it does not."""
        ...

    def state(self, pipeline_id: PipelineId, meant: State) -> State:
        """Return FAILED where starting failed or refining ended on a FatalError, else what was ``meant``."""
        ...

    def stats(self, pipeline_id: PipelineId) -> LiveStats:
        """Return how it is doing, on all nodes. Raises NotFound."""
        ...

    def recent(self, pipeline_id: PipelineId) -> list[dict[str, Any]]:
        """Return the last 100 rows, newest last, from memory. Raises NotFound."""
        ...

    def silver(self, organisation_id: OrganisationId) -> "SilverStore":
        """Return the organisation's row store."""
        ...

    def table(self, pipeline_id: PipelineId) -> "Table":
        """Return the pipeline's table. Raises NotFound."""
        ...

    def erased(self, pipeline_id: PipelineId, seqs: Collection[int], progress: "Progress | None" = None) -> None:
        """Show rows of these events no longer among the newest, and the ledger as it is without them."""
        ...

    async def preview(self, mapping: MappingDocument, frames: list[Frame]) -> "Mapped":
        """Map ``frames``, or their beginning, and store nothing. ``mapping`` was checked before."""
        ...


class Redone(Protocol):
    """What became of events refined again: as ``engine.amend.Redone``."""

    @property
    def outcome(self) -> Outcome: ...
    @property
    def rows(self) -> "pa.Table": ...
    @property
    def dead(self) -> "pa.Table": ...
    @property
    def missing(self) -> tuple[int, ...]: ...


class Amender(Protocol):
    """Refines chosen events (ascending, not empty) of a running pipeline again."""

    async def attempt(
        self, pipeline_id: PipelineId, seqs: Sequence[int], replaced: Mapping[int, bytes | None]
    ) -> Redone:
        """Say what would become of them, with other payloads where ``replaced`` has one (None: dropped)."""
        ...

    async def redo(self, organisation_id: OrganisationId, pipeline_id: PipelineId, seqs: Sequence[int]) -> Redone:
        """Store what becomes of them now, in place of what there was."""
        ...


class Replaying(Protocol):
    """The replays of this process. ``engine.replays.Replays`` satisfies it."""

    def begin(self, replay: Replay) -> None:
        """Start a replay that is saved, or let it wait for its organisation's turn."""
        ...

    def now(self, replay: Replay) -> tuple[Replay, ReplayProgress | None]:
        """Return a saved replay as it is at this moment; no progress: it is not under way."""
        ...

    async def cancel(self, replay: Replay) -> None:
        """End it and discard what it rebuilt. Raises Conflict: too late, or not under way."""
        ...

    async def swap(self, replay: Replay) -> None:
        """Swap it in as soon as it is ready. Raises Conflict: it is not under way."""
        ...

    async def undo(self, replay: Replay) -> Replay:
        """Put the former rows and version back. Raises Conflict: they are kept no more, or it was not the last."""
        ...

    async def recover(self) -> None:
        """Settle exchanges that a crash cut short, before any pipeline runs."""
        ...

    async def resume(self) -> None:
        """Go on with what is not finished, when pipelines run."""
        ...

    async def forget(self, now: datetime | None = None) -> int:
        """Discard former rows that are kept no longer than ``now``; return of how many replays."""
        ...

    async def close(self) -> None:
        """End every replay after what is under way; they go on at the next start."""
        ...

    def slot(self, organisation_id: OrganisationId) -> AbstractAsyncContextManager[Any]:
        """Return what a replay of the organisation holds while it rebuilds."""
        ...

    def exchanging(self, replay_id: str) -> bool:
        """Return whether a replay exchanges rows, or waits for its turn to."""
        ...

    def under_way(self) -> list[tuple[Replay, ReplayProgress]]:
        """Return every replay that is not finished, and how far it is."""
        ...


class Catalog(Protocol):
    """The components in this binary. The module ``appliance.catalog`` satisfies it."""

    @property
    def SOURCES(self) -> Mapping[str, Any]: ...

    def source_config_type(self, type_name: str, /) -> type[msgspec.Struct] | None:
        """Return the frozen Struct that declares this source, or None: there is no such source."""
        ...


class Exporter(Protocol):
    """Writes pages of rows as one file, piece by piece; blocking: taken from in threads."""

    def __call__(self, pages: Iterable["pa.Table"], schema: "pa.Schema", media_type: str, /) -> Iterator[bytes]:
        """Return the pieces of the file. ``pages`` have ``schema`` and are asked for as they are needed.

        Raises:
            UnsupportedMedia: no such format.
        """
        ...


class Mailbox(Protocol):
    """What one listener has not read yet. When it is full the oldest payload is dropped, nobody else waits."""

    def follow(self, topic: str) -> None:
        """Receive what is published on ``topic`` from now on."""
        ...

    async def get(self) -> bytes:
        """Wait for the oldest payload not yet read."""
        ...


class Hub(Protocol):
    """Topics in process: ``pipeline:<id>`` gets one payload (JSON text) for each commit."""

    def mailbox(self) -> AbstractAsyncContextManager[Mailbox]:
        """Give a mailbox that leaves all its topics at the end."""
        ...


class Health(Protocol):
    """Whether the parts work."""

    def checks(self) -> dict[str, tuple[bool, str]]:
        """Return for each part whether it is ready, and the reason in one sentence."""
        ...
