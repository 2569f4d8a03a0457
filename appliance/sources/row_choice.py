"""Which rows and columns of another pipeline are taken: conditions and names, judged by what its table has."""

from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Final, Literal

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Meta

from appliance.components.arrow import ARROW_TYPES
from appliance.components.lint import suggest
from appliance.components.silver import Table
from appliance.domain.mapping import FieldType
from appliance.errors import ConfigError, Problem

ORIGIN: Final = ("_pipeline", "_seq", "_item", "_time")  # of every row that is handed on: what lineage goes by
EXTRA: Final = "_extra"

_SYSTEM: Final = {
    "_time": FieldType.TIMESTAMP,
    "_seq": FieldType.INTEGER,
    "_item": FieldType.INTEGER,
    EXTRA: FieldType.JSON,
}
_COMPARISONS: Final[dict[str, Callable[..., pa.Array]]] = {
    "=": pc.equal, "<>": pc.not_equal, "<": pc.less, "<=": pc.less_equal, ">": pc.greater, ">=": pc.greater_equal,
}  # fmt: skip
_TEXT: Final = (FieldType.STRING, FieldType.JSON)

Op = Literal["=", "<>", "<", "<=", ">", ">=", "in", "contains", "is_null", "not_null"]


class RowCondition(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``field op value``. Nulls satisfy ``is_null`` alone, as in SQL."""

    field: Annotated[str, Meta(title="Field", min_length=1)]
    op: Annotated[Op, Meta(title="Operator")] = "="
    value: Annotated[Any, Meta(title="Value", description="A list for 'in'; left out for is_null and not_null")] = None


Where = list[RowCondition] | dict[str, Any]


def chosen_schema(table: Table, fields: Sequence[str]) -> pa.Schema:
    """Return the columns that are handed on, JSON columns marked as such; ``fields`` empty: all of them.

    Raises:
        ConfigError: a field is none of the table's.
    """
    known = {name: kind for name, kind in _known(table).items() if name.lower() not in ORIGIN}
    if problems := [
        Problem(f"/source/fields/{place}", f"there is no field {name!r} to read", suggest(name, list(known)))
        for place, name in enumerate(fields)
        if name not in known and name not in ORIGIN
    ]:
        raise ConfigError(problems)
    wanted = [name for name in known if not fields or name in fields]
    origin = [pa.field(ORIGIN[0], pa.string()), *(pa.field(name, _arrow(_SYSTEM[name])) for name in ORIGIN[1:])]
    return pa.schema([*origin, *(_column(name, known[name]) for name in wanted)])


def filtered(table: Table, rows: pa.Table, where: Where) -> pa.Table:
    """Return the ``rows`` for which every condition holds.

    Raises:
        ConfigError: a field, operator or value does not fit the table, with every problem.
    """
    problems: list[Problem] = []
    masks = []
    for place, one in _conditions(where):
        try:
            masks.append(_mask(_known(table), rows, one))
        except ValueError as error:
            problems.append(Problem(f"/source/where/{place}", str(error)))
    if problems:
        raise ConfigError(problems)
    for mask in masks:
        rows = rows.filter(mask) if len(masks) == 1 else rows.append_column("", mask)
    if len(masks) > 1:
        rows = _all_of(rows, len(masks))
    return rows


def _all_of(rows: pa.Table, masks: int) -> pa.Table:
    own = rows.num_columns - masks
    together = rows.column(own)
    for place in range(own + 1, rows.num_columns):
        together = pc.and_(together, rows.column(place))
    return rows.select(range(own)).filter(together)


def _conditions(where: Where) -> list[tuple[object, RowCondition]]:
    if isinstance(where, list):
        return list(enumerate(where))
    return [
        (name, RowCondition(name, "in" if isinstance(value, list) else "=", value)) for name, value in where.items()
    ]


def _mask(known: dict[str, FieldType], rows: pa.Table, one: RowCondition) -> pa.ChunkedArray:
    kind = known.get(one.field)
    if kind is None:
        raise ValueError(f"there is no field {one.field!r} to read ({suggest(one.field, list(known))})")
    column = rows.column(one.field)
    match one.op:
        case "is_null":
            return column.is_null()
        case "not_null":
            return column.is_valid()
        case "contains":
            if kind not in _TEXT or not isinstance(one.value, str):
                raise ValueError(f"'contains' looks for text in text, and {one.field!r} is of type {kind.value}")
            return pc.match_substring(column, one.value)
    if kind is FieldType.JSON:
        raise ValueError(
            f"{one.op!r} does not fit {one.field!r}, which is of type json: it can be searched by contains"
        )
    if one.op == "in":
        return pc.is_in(column, pa.array([_scalar(value, kind, one.field) for value in _several(one)], _arrow(kind)))
    return _COMPARISONS[one.op](column, pa.scalar(_scalar(one.value, kind, one.field), _arrow(kind)))


def _several(one: RowCondition) -> list[Any]:
    if not isinstance(one.value, list) or not one.value:
        raise ValueError("'in' expects a list of values")
    return one.value


def _scalar(value: Any, kind: FieldType, name: str) -> Any:
    """Return ``value`` as a column of that kind holds it. Raises ValueError."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    match kind:
        case FieldType.STRING if isinstance(value, str):
            return value
        case FieldType.BOOLEAN if isinstance(value, bool):
            return value
        case FieldType.INTEGER if number and float(value).is_integer() and abs(value) < 1 << 63:
            return int(value)
        case FieldType.FLOAT if number:
            return float(value)
        case FieldType.DECIMAL if number or isinstance(value, str):
            try:
                return Decimal(str(value)).quantize(Decimal("1e-9"))
            except InvalidOperation as error:
                raise ValueError(f"expected a number for {name!r}, got {value!r}") from error
        case FieldType.TIMESTAMP if isinstance(value, str):
            moment = datetime.fromisoformat(value)
            if moment.tzinfo is not None:
                return moment
    raise ValueError(f"expected a value of type {kind.value} for {name!r}, got {value!r}")


def _known(table: Table) -> dict[str, FieldType]:
    return {**_SYSTEM, **{column.name: column.type for column in table.columns}}


def _arrow(kind: FieldType) -> pa.DataType:
    return ARROW_TYPES[kind]


def _column(name: str, kind: FieldType) -> pa.Field:
    return pa.field(name, _arrow(kind), metadata={"type": "json"} if kind is FieldType.JSON else None)
