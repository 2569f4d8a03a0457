"""How a table's columns would change with a mapping, and what that asks for."""

from collections.abc import Mapping as Counts
from typing import Literal

import msgspec

from appliance.domain.mapping import Field, FieldType, Mapping
from appliance.domain.widening import widens

Kind = Literal["added", "removed", "widened", "retyped", "same"]


class ColumnChange(msgspec.Struct, frozen=True, kw_only=True):
    """A column of either mapping. ``rows``: those looked at, there before and after, in which it differs.

    ``needs_replay``: the new version cannot simply be saved; as a candidate it can be replayed.
    """

    name: str
    before: FieldType | None
    after: FieldType | None
    change: Kind
    needs_replay: bool
    rows: int
    told: str


def column_changes(before: Mapping, after: Mapping, rows: Counts[str, int]) -> list[ColumnChange]:
    """Return the columns that change in type or, by ``rows`` (by column), in what they hold; system columns first."""
    earlier, later = ({field.name: field for field in one.fields} for one in (before, after))
    found = [_system(name, rows[name]) for name in ("_time", "_extra") if rows.get(name)]
    for name in dict.fromkeys([*earlier, *later]):
        change = _change(earlier.get(name), later.get(name), rows.get(name, 0))
        if change.change != "same" or change.rows:
            found.append(change)
    return found


def _system(name: str, rows: int) -> ColumnChange:
    kind = FieldType.TIMESTAMP if name == "_time" else FieldType.JSON
    told = "rows stored before keep their value until a replay"
    return ColumnChange(name=name, before=kind, after=kind, change="same", needs_replay=False, rows=rows, told=told)


def _change(before: Field | None, after: Field | None, rows: int) -> ColumnChange:
    either = before or after
    kind, told = _kind(before.type if before else None, after.type if after else None)
    return ColumnChange(
        name=either.name if either else "",
        before=before.type if before else None,
        after=after.type if after else None,
        change=kind,
        needs_replay=kind == "retyped",
        rows=rows,
        told=told,
    )


def _kind(before: FieldType | None, after: FieldType | None) -> tuple[Kind, str]:
    if before is None:
        return "added", "empty in rows stored before, until a replay"
    if after is None:
        return "removed", "no longer filled or shown; what it read stays in Bronze"
    if before is after:
        return "same", "rows stored before keep their value until a replay"
    if widens(before, after):
        return "widened", f"rows stored before are read as {after.value} from then on"
    return "retyped", f"a column of {before.value} cannot become {after.value} in place: save a candidate and replay it"
