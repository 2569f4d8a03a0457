"""Rows in a hypertable: made so, and kept from having more chunks than the server bears."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final, NamedTuple

import pyarrow as pa

from appliance.components.silver import Table
from appliance.domain.ids import PipelineId
from appliance.storage.silver_postgres import names
from appliance.storage.silver_postgres.connections import Cursor
from appliance.storage.silver_postgres.places import Place
from appliance.storage.silver_postgres.timescale import Extension
from appliance.storage.silver_postgres.timescale_changes import chunk_us, take_apart
from appliance.storage.silver_postgres.timescale_wanted import Wanted
from appliance.storage.silver_postgres.timescale_widths import microseconds, slots_of, width_for
from appliance.storage.sql.postgresql import quoted
from appliance.storage.sql.source import rows_table

_MOST_KNOWN: Final = 100_000
_MAKE: Final = """
SELECT FROM {extension}.create_hypertable(%(rows)s::regclass,
    {extension}.by_range('_time', %(width)s * interval '1 microsecond'), create_default_indexes => false)
"""
_NOTE: Final = "UPDATE _generations SET chunk_us = %(width)s WHERE pipeline_id = %(id)s AND number = %(number)s"
_WIDTH: Final = """
SELECT {extension}.set_chunk_time_interval(%(rows)s::regclass, %(width)s * interval '1 microsecond')
"""
# Two that change it at once would fail, one of them.
_ONE_BY_ONE: Final = "SELECT pg_advisory_xact_lock(hashtextextended(current_schema() || '/width/' || %(rows)s, 0))"
_COUNT: Final = """
SELECT count(*) FROM timescaledb_information.chunks
WHERE hypertable_schema = current_schema() AND hypertable_name = %(name)s
"""
_SLOTS: Final = """
SELECT DISTINCT floor(extract(epoch FROM _time) * 1000000 / %(width)s)::bigint FROM {rows}
WHERE _seq BETWEEN %(first)s AND %(last)s ORDER BY 1
"""


class Chunk(NamedTuple):
    """A chunk known to be there: of a generation, and the place in time that its width gives it."""

    pipeline_id: PipelineId
    number: int
    width_us: int
    slot: int


class Chunks:
    """``extension`` None: the database has none, and everything is as without it."""

    def __init__(self, extension: Extension | None = None, wanted: Wanted | None = None) -> None:
        self.extension, self.wanted = extension, wanted or Wanted()
        self._known: set[Chunk] = set()

    @property
    def used(self) -> bool:
        """Whether new generations without keys become hypertables."""
        return self.wanted.use and self.extension is not None and self.extension.supported

    def make(self, cursor: Cursor, table: Table, number: int) -> None:
        """Make the rows of a generation, an empty table so far, a hypertable."""
        pipeline_id, width = table.pipeline_id, self._width(table)
        own = {"id": pipeline_id, "number": number, "rows": _told(pipeline_id, number), "width": width}
        cursor.execute(self._of(_MAKE), own)
        cursor.execute(_NOTE, own)

    def has_width(self, table: Table, place: Place) -> bool:
        """Return whether new chunks there are as wide as is wanted by now."""
        return place.chunk_us == self._width(table)

    def set_width(self, cursor: Cursor, table: Table, place: Place) -> None:
        """Let chunks to come be as wide as is wanted by now; those that are there stay as they are."""
        pipeline_id, width = table.pipeline_id, self._width(table)
        self._set(cursor, pipeline_id, place.number, width)
        cursor.execute(_NOTE, {"id": pipeline_id, "number": place.number, "width": width})

    def _width(self, table: Table) -> int:
        return microseconds(self.wanted.of(table).interval)

    @contextmanager
    def room(self, cursor: Cursor, pipeline_id: PipelineId, place: Place, rows: pa.Table) -> Iterator[None]:
        """Let ``rows`` be stored meanwhile without making too many chunks; inside the transaction that stores them."""
        if place.chunk_us is None:
            yield
        else:
            slots = slots_of(rows["_time"], place.chunk_us)
            with self._widened(cursor, pipeline_id, (place.number, place.chunk_us), slots):
                yield

    @contextmanager
    def room_like(
        self, cursor: Cursor, pipeline_id: PipelineId, pair: tuple[int, int], events: tuple[int, int]
    ) -> Iterator[None]:
        """Let rows of these events be stored meanwhile as in the first generation, in the second; see ``room``."""
        source, number = pair
        width = chunk_us(cursor, pipeline_id, number)
        if width is None:
            yield
        else:
            told = _SLOTS.format(rows=names.tables(pipeline_id, source)["rows"])
            bounds = {"width": width, "first": events[0], "last": events[1]}
            slots = [slot for (slot,) in cursor.execute(told, bounds).fetchall()]
            with self._widened(cursor, pipeline_id, (number, width), slots):
                yield

    @contextmanager
    def room_to_exchange(
        self, cursor: Cursor, pipeline_id: PipelineId, pair: tuple[int, int], events: tuple[int, int]
    ) -> Iterator[None]:
        """Let rows of these events change places between two generations, out of the columnstore too."""
        for number in pair:
            take_apart(cursor, pipeline_id, number, events)
        with (
            self.room_like(cursor, pipeline_id, pair, events),
            self.room_like(cursor, pipeline_id, (pair[1], pair[0]), events),
        ):
            yield

    @contextmanager
    def _widened(
        self, cursor: Cursor, pipeline_id: PipelineId, of: tuple[int, int], slots: Sequence[int]
    ) -> Iterator[None]:
        number, usual = of
        missing = [slot for slot in slots if Chunk(pipeline_id, number, usual, slot) not in self._known]
        width = usual
        if missing:
            ((there,),) = cursor.execute(_COUNT, {"name": rows_table(pipeline_id, number)}).fetchall()
            width = width_for(missing, there, usual)
        if width != usual:
            self._set(cursor, pipeline_id, number, width)
        yield
        if width != usual:
            self._set(cursor, pipeline_id, number, usual)
        self._learn(Chunk(pipeline_id, number, usual, slot) for slot in missing)

    def _learn(self, chunks: Iterator[Chunk]) -> None:
        """Remember them. That one is gone again, or its transaction was, costs a chunk too many and nothing else."""
        if len(self._known) > _MOST_KNOWN:
            self._known.clear()
        self._known.update(chunks)

    def _set(self, cursor: Cursor, pipeline_id: PipelineId, number: int, width: int) -> None:
        own = {"rows": _told(pipeline_id, number), "width": width}
        cursor.execute(_ONE_BY_ONE, own)
        cursor.execute(self._of(_WIDTH), own)

    def _of(self, statement: str) -> str:
        assert self.extension is not None  # noqa: S101 - only hypertables come here
        return statement.format(extension=self.extension.schema)


NO_CHUNKS: Final = Chunks()


def _told(pipeline_id: PipelineId, number: int) -> str:
    return quoted(rows_table(pipeline_id, number))
