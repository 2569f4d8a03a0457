"""Compares what two mappings made of the same events: joined by event and item in DuckDB, in a database of its own."""

from dataclasses import dataclass
from typing import Any, Final

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from appliance.components.comparison import Cause, ChangedRow, Comparison, Rows
from appliance.components.mapper import Mapped
from appliance.components.rows import public_rows
from appliance.errors import TooLarge
from appliance.mapping import sandbox, sql

_THREADS: Final = 2
_MEMORY: Final = "1GB"
_MOST_CAUSES: Final = 50
_SEQS: Final = 5
_PLACE: Final = ("_seq", "_item")
_ADDED, _REMOVED, _CHANGED = "before_seq IS NULL", "after_seq IS NULL", "before_seq = after_seq AND differs"


@dataclass(frozen=True)
class _Sides:
    """The rows of the same events, before and after."""

    before: pa.Table
    after: pa.Table

    @property
    def columns(self) -> list[str]:
        """Return the columns that are compared, those of before first."""
        names = dict.fromkeys([*self.before.column_names, *self.after.column_names])
        return [name for name in names if name not in (*_PLACE, "_key")]

    @property
    def aligned(self) -> bool:
        """Return whether the rows are of the same events and items, so that they can be compared side by side."""
        same_length = self.before.num_rows == self.after.num_rows
        return same_length and all(self.before.column(name).equals(self.after.column(name)) for name in _PLACE)

    def differs(self, name: str) -> str:
        """Return SQL for whether the column ``name`` of a row differs."""
        column, sides = sql.identifier(name), [name in side.column_names for side in (self.before, self.after)]
        if not all(sides):
            return f"{'b' if sides[0] else 'a'}.{column} IS NOT NULL"
        kinds = [side.schema.field(name).type for side in (self.before, self.after)]
        if kinds[0] == kinds[1] or all(map(_is_number, kinds)):
            return f"b.{column} IS DISTINCT FROM a.{column}"
        return f"CAST(b.{column} AS VARCHAR) IS DISTINCT FROM CAST(a.{column} AS VARCHAR)"


def compare(before: Mapped, after: Mapped, most_examples: int) -> Comparison:
    """See ``components.comparison.Compare``."""
    try:
        return _compared(before, after, most_examples)
    except duckdb.OutOfMemoryException as error:
        told = (
            f"comparing {before.rows.num_rows:,} rows with {after.rows.num_rows:,} needs more than {_MEMORY} of memory"
        )
        raise TooLarge(f"{told}: choose a smaller range") from error


def _compared(before: Mapped, after: Mapped, most_examples: int) -> Comparison:
    last = min(before.last_seq, after.last_seq)
    sides = _Sides(*(_up_to(one.rows, "_seq", last) for one in (before, after)))
    with sandbox.connect(_THREADS, _MEMORY) as connection:
        for name, table in (("before", sides.before), ("after", sides.after)):
            connection.register(f"{name}_rows", table)
        connection.register("before_dead", _up_to(before.dead, "seq", last))
        connection.register("after_dead", _up_to(after.dead, "seq", last))
        connection.execute(_pairs(sides))
        counts, by_column = _counts(connection, sides.columns)
        added, removed, changed = (
            Rows(counts[kind], _examples(connection, sides, condition, most_examples) if counts[kind] else [])
            for kind, condition in (("added", _ADDED), ("removed", _REMOVED), ("changed", _CHANGED))
        )
        return Comparison(
            added=added,
            removed=removed,
            changed=changed,
            unchanged=counts["unchanged"],
            changed_by_column=by_column,
            new_dead=_causes(connection, "after_dead", "before_dead"),
            healed=_causes(connection, "before_dead", "after_dead"),
            duplicates=(_duplicates(sides.before), _duplicates(sides.after)),
        )


def _up_to(table: pa.Table, column: str, last: int) -> pa.Table:
    if not table.num_rows or pc.max(table.column(column)).as_py() <= last:
        return table
    return table.filter(pc.less_equal(table.column(column), last))


def _pairs(sides: _Sides) -> str:
    """Return the statement that makes ``pairs``: which rows belong together, and a flag for each column."""
    flags = [f"coalesce({sides.differs(name)}, false) AS d{at}" for at, name in enumerate(sides.columns)]
    join = "POSITIONAL JOIN after_rows a"
    if not sides.aligned:
        join = "FULL JOIN after_rows a ON b._seq = a._seq AND b._item = a._item"
    places = "coalesce(b._seq, a._seq) AS seq, coalesce(b._item, a._item) AS item"
    selected = ", ".join([places, "b._seq AS before_seq", "a._seq AS after_seq", *flags])
    names = [f"d{at}" for at in range(len(flags))]
    extended = f"*, {' OR '.join(names)} AS differs, hash({', '.join(names)}) AS kind"
    return (
        f"CREATE TEMP TABLE pairs AS SELECT {extended} FROM"  # noqa: S608 - quoted
        f" (SELECT {selected} FROM before_rows b {join})"
    )


def _counts(connection: duckdb.DuckDBPyConnection, columns: list[str]) -> tuple[dict[str, int], dict[str, int]]:
    """Return how many rows there are of each kind, and how many differ in each column."""
    kinds = {
        "added": _ADDED,
        "removed": _REMOVED,
        "changed": _CHANGED,
        "unchanged": "before_seq = after_seq AND NOT differs",
    }
    conditions = [*kinds.values(), *(f"before_seq = after_seq AND d{at}" for at in range(len(columns)))]
    counted = ", ".join(f"count(*) FILTER ({condition})" for condition in conditions)
    (found,) = connection.execute(f"SELECT {counted} FROM pairs").fetchall()  # noqa: S608 - quoted
    by_column = zip(columns, found[len(kinds) :], strict=True)
    return dict(zip(kinds, found, strict=False)), {name: count for name, count in by_column if count}


def _examples(connection: duckdb.DuckDBPyConnection, sides: _Sides, condition: str, most: int) -> list[ChangedRow]:
    flags = ", ".join(f"d{at}" for at in range(len(sides.columns)))
    nth = "row_number() OVER (PARTITION BY kind ORDER BY seq, item)"
    picked = connection.sql(
        f"SELECT seq, item, {flags} FROM (SELECT *, {nth} AS nth FROM pairs WHERE {condition})"  # noqa: S608 - quoted
        f" ORDER BY nth, seq, item LIMIT {int(most)}"
    ).to_arrow_table()
    picked = picked.sort_by([("seq", "ascending"), ("item", "ascending")])
    rows = {name: _rows(connection, name, picked) for name in ("before", "after")}
    found = []
    for seq, item, *differs in zip(*(picked.column(name).to_pylist() for name in picked.column_names), strict=True):
        one = {name: held.get((seq, item)) for name, held in rows.items()}
        names = [name for name, flag in zip(sides.columns, differs, strict=True) if flag] if all(one.values()) else []
        found.append(ChangedRow(seq=seq, item=item, before=one["before"], after=one["after"], columns=names))
    return found


def _rows(connection: duckdb.DuckDBPyConnection, side: str, picked: pa.Table) -> dict[tuple[int, int], dict[str, Any]]:
    """Return the rows of one side at the places ``picked``, without Dash's own columns."""
    connection.register("picked", picked.select(["seq", "item"]))
    table = connection.sql(
        f"SELECT r.* FROM {side}_rows r JOIN picked p ON r._seq = p.seq AND r._item = p.item"  # noqa: S608 - constants
    ).to_arrow_table()
    connection.unregister("picked")
    places = zip(*(table.column(name).to_pylist() for name in _PLACE), strict=True)
    return dict(zip(places, public_rows(table), strict=True))


def _causes(connection: duckdb.DuckDBPyConnection, these: str, not_those: str) -> list[Cause]:
    found = connection.execute(
        "SELECT reason, field, count(*), arg_min(message, (seq, item)), list(seq ORDER BY seq)"  # noqa: S608
        f" FROM {these} t ANTI JOIN {not_those} o ON t.seq = o.seq AND t.item = o.item"
        f" GROUP BY reason, field ORDER BY count(*) DESC, reason, field LIMIT {_MOST_CAUSES}"
    ).fetchall()
    return [
        Cause(reason=reason, field=field, count=count, message=message, seqs=seqs[:_SEQS])
        for reason, field, count, message, seqs in found
    ]


def _duplicates(rows: pa.Table) -> int:
    if "_key" not in rows.column_names:
        return 0
    distinct: int = pc.count_distinct(rows.column("_key")).as_py()
    return int(rows.num_rows) - distinct


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))
