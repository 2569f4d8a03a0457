"""Conditions on rows of one group, such that an index of rows by group finds them, where there is one.

They mean the same without. See ``silver_postgres.trees`` for the index.
"""

from collections.abc import Mapping, Sequence

from sqlglot import exp

from appliance.components.silver import Table
from appliance.domain.mapping import FieldType
from appliance.storage.sql.dialect import Dialect


def groups_of(table: Table) -> Mapping[str, FieldType]:
    """Return the fields that rollups of ``table`` group by, in one order, with their types."""
    kinds = {column.name: column.type for column in table.columns}
    named = sorted({field for rollup in table.rollups for field in rollup.group_by})
    return {field: kinds[field] for field in named if kinds.get(field, FieldType.JSON) is not FieldType.JSON}


def by_group(
    bounds: Sequence[exp.Expr],
    conditions: Sequence[tuple[str, exp.Expr]],
    groups: Mapping[str, FieldType],
    dialect: Dialect,
) -> list[exp.Expr]:
    """Return all conditions. ``bounds``: of ``_time``; ``conditions``: each with the field it is on.

    ``groups``: the types of fields that rollups group by.
    """
    written = [dialect.looked_up(one, groups[field]) if field in groups else one for field, one in conditions]
    named = any(field in groups and isinstance(one, (exp.EQ, exp.In)) for field, one in conditions)
    return [*bounds, *written, *(dialect.bounds_of_bins(bounds) if named else ())]
