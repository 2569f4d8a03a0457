"""What a pipeline holds: rows, dead letters, events and their ledger."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta
from msgspec.structs import replace

from appliance.components.rows import encode_rows, public_rows
from appliance.components.silver import DeadLetterQuery, Order, RecordQuery, Table
from appliance.domain.access import Action, Principal, require
from appliance.domain.clock import Clock, utc_now
from appliance.domain.event import StoredEvent
from appliance.domain.ids import PipelineId
from appliance.domain.ledger import Ledger
from appliance.domain.mapping import FieldType
from appliance.errors import NotFound
from appliance.services.dead_letters import dead_letters_of
from appliance.services.ownership import Ownership
from appliance.services.paging import bounded, cursor_of, place_of
from appliance.services.pipeline_views import live_stats
from appliance.services.ports import Engine
from appliance.services.query_documents import ConditionDocument, Span, answer, conditions, read_span
from appliance.services.views import DeadLetter, Page

if TYPE_CHECKING:
    import pyarrow as pa

MOST_ROWS: Final = 10_000
_MOST_DEAD: Final = 1_000
_MOST_SEQ: Final = 2**63 - 1

Row = dict[str, Any]


class RecordsDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which rows, as people ask for them: what the parameters of ``…/records`` become."""

    start: str | None = msgspec.field(default=None, name="from")
    end: str | None = msgspec.field(default=None, name="to")
    where: list[ConditionDocument] | dict[str, Any] = []
    order: Literal["asc", "desc"] = "desc"
    cursor: str | None = None
    limit: Annotated[int, Meta(ge=1)] = 100


class Records:
    """Reads in the threads for reading. What belongs to another organisation does not exist."""

    def __init__(self, ownership: Ownership, engine: Engine, clock: Clock = utc_now) -> None:
        self._ownership, self._engine, self._clock = ownership, engine, clock

    async def query(self, who: Principal, pipeline_id: PipelineId, query: RecordQuery) -> "pa.Table":
        """Return rows as ``SilverStore.records`` does. Raises NotFound, Invalid (field, operator or value)."""
        table = await self._table(who, pipeline_id)
        silver = await self._engine.workers.run("control", self._engine.silver, who.organisation_id)
        return await self._engine.workers.run("read", silver.records, table, query)

    async def read(self, who: Principal, pipeline_id: PipelineId, document: RecordsDocument) -> "pa.Table":
        """Return the rows that ``document`` asks for.

        Raises:
            NotFound: there is no such pipeline.
            Invalid: with every problem of the document, by pointer.
        """
        table = await self._table(who, pipeline_id)
        silver = await self._engine.workers.run("control", self._engine.silver, who.organisation_id)
        span, problems = read_span(document.start, document.end, self._clock())
        after = place_of(document.cursor, tuple[datetime, int, int]) if document.cursor is not None else None
        asked = RecordQuery(
            where=conditions(document.where), order=Order(document.order), after=after, limit=document.limit
        )

        def ask(span: Span) -> "pa.Table":
            return silver.records(table, replace(asked, start=span.start, end=span.end))

        return await self._engine.workers.run("read", answer, ask, span, problems, document.where)

    async def page(self, who: Principal, pipeline_id: PipelineId, document: RecordsDocument) -> Page[Row]:
        """Return rows ready for ``msgspec.json.encode`` (JSON columns are ``msgspec.Raw``), and the cursor of the rest.

        Raises as ``read``.
        """
        limit = bounded(document.limit, MOST_ROWS)
        rows = await self.read(who, pipeline_id, replace(document, limit=limit + 1))
        names = json_columns(self._engine.table(pipeline_id))
        return await self._engine.workers.run("read", _page, rows, limit, names)

    async def recent(self, who: Principal, pipeline_id: PipelineId) -> list[Row]:
        """Return the last 100 rows, newest last, from memory, ready for JSON. Raises NotFound."""
        await self._check(who, pipeline_id)
        return self._engine.recent(pipeline_id)

    async def dead_letters(self, who: Principal, pipeline_id: PipelineId, query: DeadLetterQuery) -> list[DeadLetter]:
        """Return dead letters, newest first. Raises NotFound, Invalid (limit)."""
        await self._check(who, pipeline_id)
        bounded(query.limit, _MOST_DEAD)
        silver = await self._engine.workers.run("control", self._engine.silver, who.organisation_id)
        found = await self._engine.workers.run("read", silver.dead_letters, pipeline_id, query)
        return dead_letters_of(found)

    async def ledger(self, who: Principal, pipeline_id: PipelineId) -> Ledger:
        """Return where every received event went. Raises NotFound."""
        await self._check(who, pipeline_id)
        return live_stats(self._engine, pipeline_id).ledger

    async def event(self, who: Principal, pipeline_id: PipelineId, seq: int) -> StoredEvent:
        """Return one event verbatim, with its place in Bronze. Raises NotFound."""
        await self._check(who, pipeline_id)
        if not 1 <= seq <= _MOST_SEQ:
            raise NotFound(f"pipeline {pipeline_id!r} has no event {seq}: the first is 1")
        return await self._engine.workers.run("read", self._engine.bronze.event, pipeline_id, seq)

    async def _check(self, who: Principal, pipeline_id: PipelineId) -> None:
        require(who, Action.DATA_READ)
        await self._ownership.check(who, pipeline_id)

    async def _table(self, who: Principal, pipeline_id: PipelineId) -> Table:
        await self._check(who, pipeline_id)
        return self._engine.table(pipeline_id)


def json_columns(table: Table) -> frozenset[str]:
    """Return the names of the columns whose text is JSON."""
    return frozenset({"_extra"} | {column.name for column in table.columns if column.type is FieldType.JSON})


def _page(rows: "pa.Table", limit: int, names: frozenset[str]) -> Page[Row]:
    more = None
    if rows.num_rows > limit:
        last = rows.slice(limit - 1, 1).select(["_time", "_seq", "_item"]).to_pylist()[0]
        more = cursor_of(list(last.values()))
    return Page(encode_rows(public_rows(rows.slice(0, limit)), names), more)
