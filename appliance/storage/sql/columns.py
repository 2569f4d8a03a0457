"""Which columns a table of rows may have, and whether those there are suffice."""

from collections.abc import Iterable

from appliance.components.silver import Table
from appliance.domain.mapping import FieldType
from appliance.errors import Conflict
from appliance.storage.sql.scope import SYSTEM_FIELDS
from appliance.storage.sql.source import Stored, physical_name
from appliance.storage.sql.widening import WIDER, widens


def covers(table: Table, stored: Stored) -> bool:
    """Return whether rows of ``table`` can be stored as the columns are now."""
    return all(stored.get(column.name.lower(), (None,))[-1] is column.type for column in table.columns)


def check(table: Table, stored: Stored) -> None:
    """Raise Conflict where ``table`` cannot have the columns it wants. Names do not differ by case alone."""
    names = {"_key", *SYSTEM_FIELDS}
    seconds = _second_names({column.name.lower() for column in table.columns} | set(stored))
    for column in table.columns:
        place = f"Preparing the rows of {table.pipeline_id}: column {column.name!r}"
        if column.name.lower() in names | seconds:
            raise Conflict(f"{place} is there twice or is one of Dash's own; give it another name.")
        names.add(column.name.lower())
        found = stored.get(column.name.lower(), (column.type,))[-1]
        if not widens(found, column.type):
            raise Conflict(
                f"{place} holds {found.value} and cannot become {column.type.value} ({_hint(found)});"
                " give the field another name, or save this as a candidate version and replay the pipeline with it."
            )


def _hint(kind: FieldType) -> str:
    wider = sorted(one.value for one in WIDER.get(kind, ()))
    return f"it can be widened to {' or '.join(wider)}" if wider else "it cannot be widened"


def _second_names(names: Iterable[str]) -> set[str]:
    """Return the names that are kept for what these columns may be widened to."""
    return {physical_name(name, (kind, kind)) for name in names for kind in FieldType}
