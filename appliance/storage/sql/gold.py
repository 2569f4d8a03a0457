"""What a rollup is in the database: sheets of partial counts, and from what they can be counted.

A *sheet* is a table of keys and states. Rows of it with the same keys add up: a commit appends its own, readers merge.
One sheet has a row by bucket and group; another one, for percentiles, a row by bucket, group, field and bin.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

import msgspec

from appliance.components.silver import Column, Table
from appliance.domain.mapping import FieldType
from appliance.domain.rollup import Rollup
from appliance.errors import Conflict
from appliance.storage.sql.shape import Kept


class Op(Enum):
    """What a state keeps of the rows counted so far."""

    ROWS = "rows"
    SEQ = "seq"  # the last event of which a row was counted
    COUNT = "count"  # of values that are not null
    SUM = "sum"
    REST = "rest"  # of decimals: the sum of those so large that adding them exactly might overflow; as float
    MIN = "min"
    MAX = "max"
    LAST = "last"  # the value at PLACE
    PLACE = "place"  # where the last value stands, as ``Dialect.place`` numbers it


class Part(Enum):
    """Where a row of a sheet comes from."""

    COUNTED = 0  # from rows that can be counted again, by a look at all of them or by merging
    FRESH = 1  # likewise, by one commit: to be merged when such have piled up
    KEPT = 2  # from rows that retention has removed: they cannot be counted again


_KEEPS: Final[dict[str, tuple[Op, ...]]] = {
    "count": (Op.COUNT,), "sum": (Op.SUM,), "avg": (Op.SUM, Op.COUNT), "min": (Op.MIN,), "max": (Op.MAX,),
    "last": (Op.LAST, Op.PLACE), "percentiles": (),
}  # fmt: skip
_golds: Final = Kept[Sequence["Gold"]]()
BIN: Final = Column("_bin", FieldType.INTEGER)
_FIELD: Final = Column("_field", FieldType.STRING)


@dataclass(frozen=True)
class State:
    """A column of a sheet. Fields begin with a letter and have no dots: no two things have one name."""

    op: Op
    field: Column | None = None

    @property
    def name(self) -> str:
        return f"_{self.op.value}.{self.field.name}" if self.field else f"_{self.op.value}"


ROWS: Final = State(Op.ROWS)
SEQ: Final = State(Op.SEQ)


@dataclass(frozen=True)
class Sheet:
    """``keys``: beside ``_time``, where the bucket starts. A table has them all, and ``_part``."""

    name: str
    keys: tuple[Column, ...]
    states: tuple[State, ...]

    @property
    def order(self) -> tuple[str, ...]:
        """By which columns rows lie best that are put in together, where an index tells pages: by group, then time."""
        return (*(key.name for key in self.keys if key != BIN), "_time")


@dataclass(frozen=True)
class Gold:
    """A rollup of one generation. ``sketched``: the fields whose percentiles are kept, in the sheet ``bins``."""

    name: str
    bucket_us: int
    main: Sheet
    sketched: tuple[Column, ...]
    bins: Sheet

    @property
    def groups(self) -> tuple[Column, ...]:
        return self.main.keys

    @property
    def sheets(self) -> tuple[Sheet, ...]:
        return (self.main, self.bins) if self.sketched else (self.main,)

    def covers(self, other: "Gold") -> bool:
        """Return whether ``other`` can be counted from this one's sheets instead of from rows."""
        return (
            other.bucket_us % self.bucket_us == 0
            and set(other.groups) <= set(self.groups)
            and set(other.main.states) <= set(self.main.states)
            and set(other.sketched) <= set(self.sketched)
        )


def gold_prefix(pipeline_id: str, number: int | None = None) -> str:
    """Return how the names of all sheets of a generation begin; None: of every generation."""
    return f"gold_{pipeline_id}." if number is None else f"gold_{pipeline_id}.{number}."


def golds_of(table: Table, number: int) -> Sequence[Gold]:
    """Return the rollups that ``table`` declares for generation ``number``, finest buckets first.

    What decides about the content is in the names of the sheets: where there is a sheet, it holds what its name says.

    Raises:
        Conflict: a rollup names a field that ``table`` does not have.
    """
    if not table.rollups:
        return []
    shape = (table.pipeline_id, number, msgspec.msgpack.encode((table.columns, table.rollups)))
    return _golds.get(shape) or _golds.keep(shape, _golds_of(table, number))


def _golds_of(table: Table, number: int) -> list[Gold]:
    columns = {column.name: column for column in table.columns}
    golds = [_gold(table, rollup, columns, gold_prefix(table.pipeline_id, number)) for rollup in table.rollups]
    return sorted(golds, key=lambda gold: (gold.bucket_us, -len(gold.groups), -len(gold.main.states)))


def different_golds(table: Table, number: int) -> list[Gold]:
    """Return the rollups, finest first; of those that keep the same, under two names, one."""
    return list({gold.main.name: gold for gold in golds_of(table, number)}.values()) if table.rollups else []


def states(ops: Iterable[tuple[str, Column | None]]) -> tuple[State, ...]:
    """Return what has to be kept for these measures of a rollup, in one order whatever theirs is; always the rows."""
    wanted = {ROWS}
    for op, field in ops:
        if field is not None:
            wanted |= {State(kept, field) for kept in _KEEPS[op]}
            if Op.SUM in _KEEPS[op] and field.type is FieldType.DECIMAL:
                wanted.add(State(Op.REST, field))
    return tuple(sorted(wanted, key=lambda state: state.name))


def bins_sheet(name: str, groups: tuple[Column, ...], states: tuple[State, ...] = (ROWS,)) -> Sheet:
    """Return a sheet of bins by these groups."""
    return Sheet(name, (*groups, _FIELD, BIN), states)


def _gold(table: Table, rollup: Rollup, columns: dict[str, Column], prefix: str) -> Gold:
    def column(name: str) -> Column:
        if name not in columns:
            raise Conflict(
                f"Preparing the rollup {rollup.name!r} of {table.pipeline_id}: there is no field {name!r};"
                " take it out of the rollup, or put the field back."
            )
        return Column(name, columns[name].type)  # without the unit, which changes nothing

    measures = [(one.op, column(one.field) if one.field is not None else None) for one in rollup.measures]
    groups = tuple(column(name) for name in sorted(set(rollup.group_by)))
    kept = (*states(measures), SEQ)
    sketched = {field.name: field for op, field in measures if op == "percentiles" and field is not None}
    fields = tuple(sketched[name] for name in sorted(sketched))
    told = (rollup.bucket_us, [(one.name, one.type.value) for one in groups], list(map(_told, kept)), sorted(sketched))
    name = f"{prefix}{hashlib.blake2b(repr(told).encode(), digest_size=6).hexdigest()}"
    bins = bins_sheet(f"{name}.bins", groups, (ROWS, SEQ))
    return Gold(rollup.name, rollup.bucket_us, Sheet(name, groups, kept), fields, bins)


def _told(state: State) -> tuple[str, str | None]:
    return state.name, state.field.type.value if state.field else None
