"""Where rows are read from: the pipeline's table, made to look as the mapping of today says."""

from collections.abc import Mapping, Sequence

from sqlglot import exp

from appliance.components.silver import Table
from appliance.domain.mapping import FieldType
from appliance.storage.sql.dialect import Dialect
from appliance.storage.sql.scope import SYSTEM_FIELDS
from appliance.storage.sql.statement import name
from appliance.storage.sql.widening import rank, widened

ALIAS = "r"


Stored = Mapping[str, tuple[FieldType, ...]]
"""Columns of a rows table, names in lower case: the types each has had, the last is what it holds now."""


def rows_table(pipeline_id: str, generation: int = 1) -> str:
    """Return the name of the table that holds the rows of a generation of the pipeline."""
    return f"rows_{pipeline_id}{_suffix(generation)}"


def dead_table(pipeline_id: str, generation: int = 1) -> str:
    """Return the name of the table that holds the dead letters of a generation of the pipeline."""
    return f"dead_{pipeline_id}{_suffix(generation)}"


def _suffix(generation: int) -> str:
    return "" if generation == 1 else f"#{generation}"


def physical_name(name: str, types: Sequence[FieldType]) -> str:
    """Return what the last of a column's ``types`` is called: the first has the column's own name.

    What the table calls it is up to the database: see ``Dialect.physical``.
    """
    return name if len(types) == 1 else f"{name}#{types[-1].value}"


def stored_columns(physical: Mapping[str, FieldType], dialect: Dialect) -> Stored:
    """Return the columns that a table's physical ones, by their names in lower case, make up."""
    told = {dialect.told(name): kind for name, kind in physical.items()}
    seconds = {name: _seconds(name, physical, dialect) for name in told}
    others = {dialect.physical(second) for of in seconds.values() for second in of}
    return {
        name: (kind, *sorted(seconds[name].values(), key=rank))
        for name, kind in told.items()
        if dialect.physical(name) not in others
    }


def _seconds(name: str, physical: Mapping[str, FieldType], dialect: Dialect) -> dict[str, FieldType]:
    wanted = {physical_name(name, (kind, kind)): kind for kind in FieldType}
    return {second: kind for second, kind in wanted.items() if physical.get(dialect.physical(second)) is kind}


def rows_of(table: Table, stored: Stored | None, dialect: Dialect, generation: int = 1) -> exp.Expr:
    """Return what to select from, under the alias ``r``: the rows of ``generation``.

    ``stored``: the columns there are; None: no table yet. Columns that the mapping has and the table lacks read as
    null, a table not there reads as empty: a reader never has to wait for ``prepare``. A column that was widened, or
    will be, reads as one of the wider type.
    """
    fields = {**SYSTEM_FIELDS, **{column.name: column.type for column in table.columns}}
    rows = rows_table(table.pipeline_id, generation)
    as_it_is = all(dialect.physical(field) == field for field in fields)
    if stored is not None and as_it_is and all(stored.get(field.lower()) == (kind,) for field, kind in fields.items()):
        return dialect.table(rows, ALIAS)
    known = stored or {}
    selected = [
        exp.alias_(value_of(field, known.get(field.lower(), ()), kind, dialect), name(field))
        for field, kind in fields.items()
    ]
    inner = exp.select(*selected)
    inner = inner.where(exp.false()) if stored is None else inner.from_(dialect.table(rows))
    return exp.Subquery(this=inner, alias=exp.TableAlias(this=name(ALIAS)))


def value_of(field: str, types: Sequence[FieldType], wanted: FieldType, dialect: Dialect) -> exp.Expr:
    """Return a column's value as ``wanted``, whichever of its ``types`` a row was stored with; none: null."""
    if not types:
        return exp.cast(exp.Null(), dialect.type_name(wanted), dialect=dialect.sqlglot_name)
    physical = [dialect.physical(physical_name(field, types[: place + 1])) for place in range(len(types))]
    places = [exp.column(name(one)) for one in physical]
    values = [widened(place, kind, wanted, dialect) for place, kind in zip(places, types, strict=True)]
    newest, *older = reversed(values)
    return exp.Coalesce(this=newest, expressions=older) if older else newest
