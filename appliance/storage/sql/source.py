"""Where rows are read from: the pipeline's table, made to look as the mapping of today says."""

from collections.abc import Mapping

from sqlglot import exp

from appliance.components.silver import Table
from appliance.domain.mapping import FieldType
from appliance.storage.sql.dialect import Dialect
from appliance.storage.sql.scope import SYSTEM_FIELDS
from appliance.storage.sql.statement import name

ALIAS = "r"


def rows_table(pipeline_id: str) -> str:
    """Return the name of the table that holds the pipeline's rows."""
    return f"rows_{pipeline_id}"


def dead_table(pipeline_id: str) -> str:
    """Return the name of the table that holds the pipeline's dead letters."""
    return f"dead_{pipeline_id}"


def rows_of(table: Table, stored: Mapping[str, FieldType] | None, dialect: Dialect) -> exp.Expr:
    """Return what to select from, under the alias ``r``.

    ``stored``: the columns there are (names in lower case); None: no table yet. Columns that the mapping has and the
    table lacks read as null, a table not there reads as empty: a reader never has to wait for ``prepare``.
    """
    fields = {**SYSTEM_FIELDS, **{column.name: column.type for column in table.columns}}
    if stored is not None and all(field.lower() in stored for field in fields):
        return exp.Table(this=name(rows_table(table.pipeline_id)), alias=_alias())
    known = stored or {}
    selected = [
        exp.alias_(exp.column(name(field)), name(field))
        if field.lower() in known
        else exp.alias_(exp.cast(exp.Null(), dialect.type_name(kind), dialect=dialect.sqlglot_name), name(field))
        for field, kind in fields.items()
    ]
    inner = exp.select(*selected)
    if stored is None:
        inner = inner.where(exp.false())
    else:
        inner = inner.from_(exp.Table(this=name(rows_table(table.pipeline_id))))
    return exp.Subquery(this=inner, alias=_alias())


def _alias() -> exp.TableAlias:
    return exp.TableAlias(this=name(ALIAS))
