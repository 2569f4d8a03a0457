"""What a pipeline's rollups must hold to: judged whole, every problem at its place."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Final

from appliance.components.lint import suggest
from appliance.domain.mapping import FieldType
from appliance.domain.quantity import parse_duration
from appliance.domain.rollup import GROUPS, MEASURES, MOST_GROUPS, MOST_ROLLUPS, Rollup, RollupMeasure
from appliance.errors import Problem

_DAY: Final = timedelta(days=1)
_SECOND: Final = timedelta(seconds=1)


def rollup_problems(rollups: Sequence[Rollup], fields: Mapping[str, FieldType], *, persist: bool) -> Iterator[Problem]:
    """Yield everything that is wrong with ``rollups`` of a mapping with these ``fields``."""
    if rollups and not persist:
        yield Problem("/rollups", "rollups count rows that are stored, and 'persist' is false", "leave one of them out")
    if len(rollups) > MOST_ROLLUPS:
        yield Problem("/rollups", f"expected at most {MOST_ROLLUPS} rollups, got {len(rollups)}")
    seen: dict[str, int] = {}
    for place, rollup in enumerate(rollups):
        pointer = f"/rollups/{place}"
        first = seen.setdefault(rollup.name, place)
        if first != place:
            yield Problem(f"{pointer}/name", f"the name {rollup.name!r} is taken by /rollups/{first}")
        yield from _bucket_problems(rollup.bucket, f"{pointer}/bucket")
        yield from _group_problems(rollup.group_by, fields, f"{pointer}/group_by")
        for number, measure in enumerate(rollup.measures):
            yield from _measure_problems(measure, fields, f"{pointer}/measures/{number}")


def _bucket_problems(bucket: str, pointer: str) -> Iterator[Problem]:
    try:
        width = parse_duration(bucket)
    except ValueError as error:
        yield Problem(pointer, str(error))
        return
    if width < _SECOND or width % _SECOND or width > _DAY or _DAY % width:
        told = f"expected whole seconds of which a day is a multiple, got {bucket!r}"
        yield Problem(pointer, told, "such as 10s, 1m, 5m, 15m, 1h, 6h or 1d")


def _group_problems(group_by: Sequence[str], fields: Mapping[str, FieldType], pointer: str) -> Iterator[Problem]:
    if len(group_by) > MOST_GROUPS:
        yield Problem(pointer, f"expected at most {MOST_GROUPS} fields to group by, got {len(group_by)}")
    for place, name in enumerate(group_by):
        at = f"{pointer}/{place}"
        if name in group_by[:place]:
            yield Problem(at, f"the field {name!r} is there twice")
        elif name not in fields:
            yield _no_such_field(at, name, fields)
        elif fields[name] not in GROUPS:
            yield Problem(at, f"rows cannot be grouped by {name!r}, which is of type {fields[name].value}")


def _measure_problems(measure: RollupMeasure, fields: Mapping[str, FieldType], pointer: str) -> Iterator[Problem]:
    fits = MEASURES.get(measure.op)
    if fits is None:
        yield Problem(f"{pointer}/op", f"there is no measure {measure.op!r}", suggest(measure.op, list(MEASURES)))
    if measure.field is None:
        if fits is not None and measure.op != "count":
            yield Problem(f"{pointer}/field", f"{measure.op!r} needs a field")
    elif measure.field not in fields:
        yield _no_such_field(f"{pointer}/field", measure.field, fields)
    elif fits is not None and fields[measure.field] not in fits:
        told = f"{measure.op!r} does not fit {measure.field!r}, which is of type {fields[measure.field].value}"
        yield Problem(f"{pointer}/op", told, f"it needs {' or '.join(sorted(one.value for one in fits))}")


def _no_such_field(pointer: str, name: str, fields: Mapping[str, FieldType]) -> Problem:
    return Problem(pointer, f"the mapping has no field {name!r}", suggest(name, list(fields)))
