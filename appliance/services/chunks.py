"""Chunks of one pipeline: how its rows lie, by what rules, what others would change, and changing them."""

from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

import msgspec
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from appliance.components.chunks import Chunk, Edition, RowsCut
from appliance.components.lint import lint
from appliance.domain.access import Action, Principal, require
from appliance.domain.chunks import ChunkRules, Cutting, chunk_rules, cutting
from appliance.domain.clock import Clock, utc_now
from appliance.domain.ids import PipelineId
from appliance.domain.job import JobState
from appliance.domain.pipeline import Chunks
from appliance.domain.quantity import format_duration
from appliance.domain.retention import FOREVER, bounds
from appliance.errors import Conflict, Invalid
from appliance.services.chunk_effects import Circumstances, effects, missing, notes, share_left, waiting
from appliance.services.chunk_rules import apache_problems, chunk_problems
from appliance.services.pipelines import Pipelines
from appliance.services.ports import Engine
from appliance.services.retention_rules import default_retention
from appliance.services.upkeep import ROUND
from appliance.services.views import PipelineView
from appliance.storage.control.plane import ControlPlane
from appliance.storage.control.tables import JobRow

MOST_SHOWN: Final = 50
_PENDING: Final = (JobState.READY.value, JobState.RUNNING.value)


class ChunksView(msgspec.Struct, frozen=True, kw_only=True):
    """How a pipeline's rows lie. ``chunks``: what it says itself; ``usual``: what counts where it says nothing.

    ``missing``: what has to be there for them to be adjusted; None: they can be. ``width``: of chunks to come, by now.
    ``count``, ``columnar``, ``bytes``: of all chunks; ``share_left``: what part is left of rows that went into columns.
    ``due``: chunks that are old enough and not in columns yet, or changed since; ``next_round``: when it is gone on
    with. ``kept``: the age at which rows go, or ``forever``. ``newest``: at most fifty chunks.
    """

    pipeline_id: PipelineId
    chunks: Chunks
    in_force: Chunks | None
    usual: Chunks | None
    missing: str | None
    notes: list[str]
    edition: Edition | None
    version: str | None
    width: str | None = None
    ordered_by: str | None = None
    count: int = 0
    columnar: int = 0
    bytes: int = 0
    share_left: float | None = None
    due: int = 0
    next_round: datetime | None = None
    kept: str = FOREVER
    newest: list[Chunk] = []


class ChunksPreview(msgspec.Struct, frozen=True, kw_only=True):
    """What would count, and in sentences what that changes. Nothing was saved."""

    in_force: Chunks
    effects: list[str]


class _Found(NamedTuple):
    """A pipeline, its rows as they lie, and what counts beside them."""

    view: PipelineView
    rows: RowsCut | None
    around: Circumstances

    @property
    def rules(self) -> ChunkRules:
        return chunk_rules(self.view.chunks)


class PipelineChunks:
    """What people see of the chunks of a pipeline, and say about them."""

    def __init__(self, plane: ControlPlane, engine: Engine, pipelines: Pipelines, clock: Clock = utc_now) -> None:
        self._plane, self._engine, self._pipelines, self._clock = plane, engine, pipelines, clock

    async def get(self, who: Principal, pipeline_id: PipelineId) -> ChunksView:
        """Return how the rows lie now. Raises NotFound."""
        found = await self._find(who, pipeline_id)
        view, rows, around = found
        if rows is None:
            return ChunksView(
                pipeline_id=view.id, chunks=view.chunks, in_force=None, usual=None, missing=missing(rows), notes=[],
                edition=None, version=None, kept=_age(around),
            )  # fmt: skip
        now = cutting(found.rules, rows.usual)
        return ChunksView(
            pipeline_id=view.id,
            chunks=view.chunks,
            in_force=now.told(),
            usual=rows.usual.told(),
            missing=missing(rows),
            notes=notes(rows),
            edition=rows.edition,
            version=rows.version,
            width=_width(rows),
            ordered_by=rows.ordered_by,
            count=len(rows.chunks),
            columnar=sum(one.columnar for one in rows.chunks),
            bytes=sum(one.bytes for one in rows.chunks),
            share_left=share_left(rows.chunks),
            due=len(waiting(rows, now.compress_after, around.now)),
            next_round=await self._plane.read(_next_round),
            kept=_age(around),
            newest=list(rows.chunks[:MOST_SHOWN]),
        )

    async def preview(self, who: Principal, pipeline_id: PipelineId, document: Any) -> ChunksPreview:
        """Return what ``document`` would change.

        Raises:
            NotFound: no such pipeline.
            Invalid: with every problem of the document.
            Conflict: nothing can be adjusted; it says what is missing.
        """
        found, rows = await self._judged(who, pipeline_id, document)
        before, after = cutting(found.rules, rows.usual), _wanted(document, rows)
        return ChunksPreview(in_force=after.told(), effects=effects(before, after, rows, found.around))

    async def put(self, who: Principal, pipeline_id: PipelineId, document: Any) -> ChunksView:
        """Replace what the pipeline says of its chunks: a new version of it runs. Raises as ``preview``."""
        require(who, Action.PIPELINE_WRITE)
        await self._judged(who, pipeline_id, document)
        wanted = msgspec.convert(document, Chunks)
        await self._pipelines.adjust(
            who, pipeline_id, lambda one: msgspec.structs.replace(one, chunks=wanted), "pipeline.chunks"
        )
        return await self.get(who, pipeline_id)

    async def _judged(self, who: Principal, pipeline_id: PipelineId, document: Any) -> tuple[_Found, RowsCut]:
        found = await self._find(who, pipeline_id)
        problems = lint(Chunks, document) + list(chunk_problems(document, found.view.mapping, ""))
        if not problems and found.rows is not None and found.rows.edition is Edition.APACHE:
            problems = apache_problems(document)
        if problems:
            raise Invalid(problems)
        lacking = missing(found.rows)
        if lacking is not None or found.rows is None:
            raise Conflict(f"chunks of {found.view.name!r} cannot be adjusted. {lacking}")
        return found, found.rows

    async def _find(self, who: Principal, pipeline_id: PipelineId) -> _Found:
        view = await self._pipelines.get(who, pipeline_id)
        rows = await self._engine.workers.run("read", self._rows, who, pipeline_id)
        usual = await self._plane.read(lambda tx: default_retention(tx, who.organisation_id))
        age = bounds(view.retention, usual).silver_age
        return _Found(view, rows, Circumstances(self._clock(), age, len(view.rollups)))

    def _rows(self, who: Principal, pipeline_id: PipelineId) -> RowsCut | None:
        table = self._engine.table(pipeline_id)
        return self._engine.silver(who.organisation_id).upkeep.chunks(table)


def _wanted(document: Any, rows: RowsCut) -> Cutting:
    return cutting(chunk_rules(msgspec.convert(document, Chunks)), rows.usual)


def _width(rows: RowsCut) -> str | None:
    return None if rows.width_secs is None else format_duration(timedelta(seconds=rows.width_secs))


def _age(around: Circumstances) -> str:
    return FOREVER if around.kept is None else format_duration(around.kept)


def _next_round(tx: Session) -> datetime | None:
    """Return when the next round of retention begins, on whichever node; None: none is planned."""
    asked = select(func.min(JobRow.run_at)).where(JobRow.kind == ROUND, JobRow.state.in_(_PENDING))
    return tx.scalar(asked)
