"""What a pipeline holds: rows, events and their ledger."""

import sys
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta
from msgspec.structs import replace

from appliance.components.rows import encode_rows, public_rows
from appliance.components.silver import Order, RecordQuery, SilverStore, Table
from appliance.domain.access import Action, Principal, require
from appliance.domain.clock import Clock, utc_now
from appliance.domain.event import StoredEvent
from appliance.domain.ids import PipelineId
from appliance.domain.ledger import Ledger
from appliance.domain.mapping import FieldType
from appliance.errors import NotFound
from appliance.services.ownership import Ownership
from appliance.services.paging import bounded, cursor_of, place_of
from appliance.services.pipeline_views import live_stats
from appliance.services.ports import Engine, Exporter
from appliance.services.query_documents import ConditionDocument, Span, answer, conditions, read_span
from appliance.services.row_reader import PAGE_ROWS, Place, RowReader, place_in
from appliance.services.views import Page

if TYPE_CHECKING:
    import pyarrow as pa

ROWS: Final = 100
MOST_ROWS: Final = 10_000
_MOST_SEQ: Final = 2**63 - 1

Row = dict[str, Any]


class RecordsDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which rows, as people ask for them: what the parameters of ``…/records`` become."""

    start: str | None = msgspec.field(default=None, name="from")
    end: str | None = msgspec.field(default=None, name="to")
    where: list[ConditionDocument] | dict[str, Any] = []
    order: Literal["asc", "desc"] = "desc"
    cursor: str | None = None
    limit: Annotated[int, Meta(ge=1, description="JSON: 100 if left out, at most 10,000. Files: all")] | None = None


class Records:
    """Reads in the threads for reading. What belongs to another organisation does not exist."""

    def __init__(self, ownership: Ownership, engine: Engine, exporter: Exporter, clock: Clock = utc_now) -> None:
        self._ownership, self._engine, self._exporter, self._clock = ownership, engine, exporter, clock

    async def query(self, who: Principal, pipeline_id: PipelineId, query: RecordQuery) -> "pa.Table":
        """Return rows as ``SilverStore.records`` does. Raises NotFound, Invalid (field, operator or value)."""
        silver, table = await self._store(who, pipeline_id)
        return await self._engine.workers.run("read", silver.look.records, table, query)

    async def page(self, who: Principal, pipeline_id: PipelineId, document: RecordsDocument) -> Page[Row]:
        """Return rows ready for ``msgspec.json.encode`` (JSON columns are ``msgspec.Raw``), and the cursor of the rest.

        Raises:
            NotFound: there is no such pipeline.
            Invalid: with every problem of the document, by pointer.
        """
        limit = bounded(document.limit or ROWS, MOST_ROWS)
        rows, reader = await self._read(who, pipeline_id, document, limit + 1)
        return await self._engine.workers.run("read", _page, rows, limit, json_columns(reader.table))

    async def export(
        self, who: Principal, pipeline_id: PipelineId, document: RecordsDocument, media_type: str
    ) -> AsyncIterator[bytes]:
        """Return the pieces of a file with the rows, all of them where ``document`` names no limit.

        Raises as ``page``, before the first piece, and UnsupportedMedia: no such format.
        """
        limit = document.limit or sys.maxsize
        first, reader = await self._read(who, pipeline_id, document, min(limit, PAGE_ROWS))
        return self._taken(self._exporter(reader.pages(first, limit), first.schema, media_type))

    async def _taken(self, pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
        """Take one piece after the other in a thread; none is held between two."""
        while (piece := await self._engine.workers.run("read", next, pieces, None)) is not None:
            yield piece

    async def _read(
        self, who: Principal, pipeline_id: PipelineId, document: RecordsDocument, limit: int
    ) -> "tuple[pa.Table, RowReader]":
        """Return the first rows that ``document`` asks for, at most ``limit``, and what reads on from there."""
        silver, table = await self._store(who, pipeline_id)
        span, problems = read_span(document.start, document.end, self._clock())
        after = place_of(document.cursor, Place) if document.cursor is not None else None
        asked = RecordQuery(where=conditions(document.where), order=Order(document.order), after=after, limit=limit)

        def ask(span: Span) -> "pa.Table":
            return silver.look.records(table, replace(asked, start=span.start, end=span.end))

        rows = await self._engine.workers.run("read", answer, ask, span, problems, document.where)
        return rows, RowReader(silver.look, table, replace(asked, start=span.start, end=span.end))

    async def recent(self, who: Principal, pipeline_id: PipelineId) -> list[Row]:
        """Return the last 100 rows, newest last, from memory, ready for JSON. Raises NotFound."""
        await self._check(who, pipeline_id)
        return self._engine.recent(pipeline_id)

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

    async def _store(self, who: Principal, pipeline_id: PipelineId) -> tuple[SilverStore, Table]:
        await self._check(who, pipeline_id)
        table = self._engine.table(pipeline_id)
        return await self._engine.workers.run("read", self._engine.silver, who.organisation_id), table


def json_columns(table: Table) -> frozenset[str]:
    """Return the names of the columns whose text is JSON."""
    return frozenset({"_extra"} | {column.name for column in table.columns if column.type is FieldType.JSON})


def _page(rows: "pa.Table", limit: int, names: frozenset[str]) -> Page[Row]:
    more = cursor_of(list(place_in(rows, limit - 1))) if rows.num_rows > limit else None
    return Page(encode_rows(public_rows(rows.slice(0, limit)), names), more)
