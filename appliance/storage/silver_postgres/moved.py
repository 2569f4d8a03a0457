"""The shares of a generation as SQL: read by stretches of events, written by COPY."""

from typing import Any, Final

import pyarrow as pa

from appliance.components.transfer import SHARE_SCHEMAS, Share, Stock, rows_schema
from appliance.domain.partition import ALONE
from appliance.storage.silver_postgres import by_column, names
from appliance.storage.silver_postgres.connections import Cursor
from appliance.storage.silver_postgres.copying import copy
from appliance.storage.silver_postgres.summaries import by_range
from appliance.storage.sql.dead_letters import DEAD_COLUMNS
from appliance.storage.sql.statement import Statement
from appliance.storage.sql.transferred import physical_columns

_FROM: Final = {
    Share.ROWS: ("{rows} WHERE true", "_seq", None),  # as they lie: sorting 100,000 takes longer than sending them
    Share.DEAD: ("{dead} WHERE true", "seq", "seq, item"),
    Share.SPANS: ("_spans WHERE pipeline_id = %(id)s AND generation = %(number)s", "first_seq", "first_seq"),
    Share.AMENDMENTS: ("_amendments WHERE pipeline_id = %(id)s", "seq", "seq, item"),
    Share.AMENDED: ("_amended WHERE pipeline_id = %(id)s AND generation = %(number)s", "seq", "seq"),
}
_READ: Final = "SELECT {fields} FROM {source} AND {event} >= %(first)s AND {event} <= %(last)s{order}"
_FIRST_EVENTS: Final = 1_000
_GROWS: Final = 8
_ROWS: Final = 100_000
_BYTES: Final = 64 << 20
_SPANS: Final = """
INSERT INTO _spans (pipeline_id, generation, partition, first_seq, last_seq, day, version, stored, filtered, duplicate,
    dead, gone, dead_gone)
SELECT %(id)s, %(number)s, %(partition)s, told.* FROM unnest(%(first_seq)s::bigint[], %(last_seq)s::bigint[],
    %(day)s::date[], %(version)s::integer[], %(stored)s::bigint[], %(filtered)s::bigint[], %(duplicate)s::bigint[],
    %(dead)s::bigint[], %(gone)s::bigint[], %(dead_gone)s::bigint[]) AS told
"""


class Stretches:
    """Cuts a share into stretches of events, each about as large as memory is given for, by how large the last was."""

    def __init__(self, stock: Stock, share: Share) -> None:
        self._next, self._last = 0, stock.progress.seq
        self._events = _FIRST_EVENTS if share is not Share.SPANS else self._last + 1  # a line a day: all at once

    def next(self) -> tuple[int, int] | None:
        """Return the first and the last event to read next; None: that was all."""
        if self._next > self._last:
            return None
        return self._next, min(self._last, self._next + self._events - 1)

    def had(self, part: pa.Table) -> None:
        """Take note of what the stretch of ``next`` held."""
        self._next += self._events
        full = max(part.num_rows / _ROWS, part.nbytes / _BYTES, 1 / _GROWS)
        self._events = max(1, int(self._events / full))


def read(cursor: Cursor, stock: Stock, share: Share, bounds: tuple[int, int]) -> pa.Table:
    """Return the share of these events."""
    by_range(cursor)
    schema = SHARE_SCHEMAS[share] if share is not Share.ROWS else rows_schema(physical_columns(stock))
    # Names of columns may be longer than the server lets one be: for the way they are numbers.
    asked = pa.schema([(f"c{place}", _asked(field)) for place, field in enumerate(schema)])
    fields = ", ".join(f"{_told(field, share)} AS c{place}" for place, field in enumerate(schema))
    source, event, order = _FROM[share]
    source = source.format(**names.tables(stock.pipeline_id, stock.generation))
    sql = _READ.format(fields=fields, source=source, event=event, order=f" ORDER BY {order}" if order else "")
    found = by_column.as_schema(cursor, Statement(sql, {**_own(stock), "first": bounds[0], "last": bounds[1]}), asked)
    columns = [_held(found.column(place), field) for place, field in enumerate(schema)]
    return pa.Table.from_arrays(columns, schema=schema)


def write(cursor: Cursor, stock: Stock, share: Share, part: pa.Table) -> None:
    """Put in one part of any share but what rollups keep."""
    named, own = names.tables(stock.pipeline_id, stock.generation), _own(stock)
    match share:
        case Share.ROWS:
            copy(cursor, f"{named['rows']} ({names.columns(part.column_names)})", part)
        case Share.DEAD:
            copy(cursor, f"{named['dead']} ({names.columns(DEAD_COLUMNS)})", part.select(DEAD_COLUMNS))
        case Share.SPANS:
            cursor.execute(_SPANS, {**own, "partition": ALONE, **part.to_pydict()})
        case Share.AMENDMENTS:
            copy(cursor, "_amendments (pipeline_id, number, seq, item)", _with(part, pipeline_id=own["id"]))
        case _:
            beside = {"pipeline_id": own["id"], "generation": pa.scalar(own["number"], pa.int32())}
            into = "_amended (pipeline_id, generation, seq, outcome, version, amended_at)"
            copy(cursor, into, _with(part, **beside))


def counts(cursor: Cursor, stock: Stock) -> dict[Share, int]:
    """Return how many lines there are of each share."""
    named = names.tables(stock.pipeline_id, stock.generation)
    return {
        share: cursor.execute(f"SELECT count(*) FROM {source.format(**named)}", _own(stock)).fetchall()[0][0]  # noqa: S608
        for share, (source, _, _) in _FROM.items()
    }


def analyse(cursor: Cursor, stock: Stock) -> None:
    """Let the planner know what has come, which autovacuum would look at a minute later."""
    for table in names.tables(stock.pipeline_id, stock.generation).values():
        cursor.execute(f"ANALYZE {table}", {})


def _asked(field: pa.Field) -> pa.DataType:
    return pa.string() if field.name == "_key" else field.type


def _told(field: pa.Field, share: Share) -> str:
    """Return a column as SQL: a key by its digits, a day by its text."""
    own = names.column(field.name) if share is Share.ROWS else names.quoted(field.name)
    if field.name == "_key":
        return f"replace({own}::text, '-', '')"
    return f"{own}::text" if field.name == "day" else own


def _held(column: pa.ChunkedArray, field: pa.Field) -> pa.ChunkedArray:
    return column if field.name != "_key" else _bytes_of(column.combine_chunks())


def _bytes_of(digits: pa.Array) -> pa.Array:
    """Return keys by their 16 bytes. All digits are turned at once, and null by way of zeros."""
    if isinstance(digits, pa.ChunkedArray):
        digits = pa.concat_arrays(digits.chunks) if digits.num_chunks else pa.array([], pa.string())
    if digits.null_count == len(digits):
        return pa.nulls(len(digits), pa.binary(16))
    whole = digits.fill_null("0" * 32)
    body = bytes.fromhex("".join(whole.to_pylist()))
    valid = digits.is_valid().buffers()[1] if digits.null_count else None
    return pa.Array.from_buffers(pa.binary(16), len(digits), [valid, pa.py_buffer(body)])


def _with(part: pa.Table, **constants: Any) -> pa.Table:
    """Return ``part`` with columns before it that are the same in every line."""
    beside = {name: pa.repeat(value, part.num_rows) for name, value in constants.items()}
    return pa.table({**beside, **dict(zip(part.column_names, part.columns, strict=True))})


def _own(stock: Stock) -> dict[str, Any]:
    return {"id": stock.pipeline_id, "number": stock.generation}
