"""Suggests a first mapping for events that nobody has mapped yet. Pure: looks at samples, asks nobody."""

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

from appliance.components.suggestion import SuggestedExplode, SuggestedField, SuggestedTime, Suggestion
from appliance.domain.mapping import Field, FieldType, Mapping, TimeField
from appliance.mapping import moments
from appliance.mapping.inference import NUMBERS
from appliance.mapping.path import Path, parse_path
from appliance.mapping.samples import Place, places, type_of
from appliance.mapping.units import unit_of, words_of

ENOUGH: Final = 3  # samples: with fewer nothing is required
MOST_FIELDS: Final = 200
_MANY: Final = 20  # samples: from so many on what they have in common is taken for the rule
_MOSTLY: Final = 0.8
_TIMES: Final = (
    "ts", "time", "timestamp", "datetime", "eventtime", "occurredat", "measuredat", "recordedat", "createdat", "sentat",
    "date", "at", "when", "published", "updatedat",
)  # fmt: skip
_TIME_WORDS: Final = frozenset({"ts", "time", "timestamp", "at", "date", "datetime"})


def suggest(samples: Sequence[Any]) -> Suggestion:
    """See ``components.suggestion.Suggest``."""
    explode, found = _found(samples)
    time = _time(found, explode)
    base = parse_path(explode.path) if explode else Path()
    fields: list[SuggestedField] = []
    kept = {id(place) for place in sorted(found, key=lambda one: -one.share)[:MOST_FIELDS]}
    for place in found:
        if id(place) in kept and (time is None or str(place.path) != time.path):
            fields.append(_field(place, {field.name.casefold() for field in fields}, base))
    return Suggestion(
        mapping=_mapping(fields, time, explode),
        samples=len(samples),
        fields=fields,
        time=time,
        explode=explode,
        notes=list(_notes(samples, len(found), time, explode)),
    )


def _notes(
    samples: Sequence[Any], found: int, time: SuggestedTime | None, explode: SuggestedExplode | None
) -> Iterator[str]:
    if found > MOST_FIELDS:
        yield f"{found:,} paths were found and the {MOST_FIELDS} most frequent are fields"
    if time is None:
        yield "no value looks like the event's own time: the moment of receipt is used"
    if len(samples) < ENOUGH:
        yield "too few samples to require anything: look at more of them before relying on this"
    wanted = list if explode is not None and explode.path == "$" else dict
    if others := sum(not isinstance(one, wanted) for one in samples):
        yield f"{others} of {len(samples)} samples are of another shape and would be dead letters"


def _mapping(fields: list[SuggestedField], time: SuggestedTime | None, explode: SuggestedExplode | None) -> Mapping:
    return Mapping(
        fields=[
            Field(name=one.name, type=one.type, path=one.path, required=one.required, unit=one.unit) for one in fields
        ],
        time=TimeField(path=time.path, format=time.format) if time else None,
        explode=explode.path if explode else None,
    )


def _found(samples: Sequence[Any]) -> tuple[SuggestedExplode | None, list[Place]]:
    """Return the array to make rows of, and the places in its elements and around it."""
    lists = [one for one in samples if isinstance(one, list)]
    if samples and len(lists) >= _MOSTLY * len(samples):
        elements = [one for each in lists for one in each if isinstance(one, dict)]
        reason = f"{len(lists)} of {len(samples)} samples are arrays: a row for each element"
        explode = SuggestedExplode(path="$", confidence=_sure(len(lists) / len(samples), len(samples)), reason=reason)
        return explode, list(places(elements))
    around = list(places(samples))
    arrays = [place for place in around if len(place.path.steps) == 1 and _is_list_of_objects(place)]
    if len(arrays) != 1:
        return None, around
    (array,) = arrays
    elements = [one for value in array.values for one in value]
    told = f"{array.path} is the one array of objects, with {len(elements) / len(array.values):.1f} elements on average"
    explode = SuggestedExplode(
        path=str(array.path), confidence=_sure(array.share, array.of), reason=f"{told}: a row for each"
    )
    return explode, [*(place for place in around if place is not array), *places(elements, array.path)]


def _is_list_of_objects(place: Place) -> bool:
    lists = [value for value in place.values if isinstance(value, list)]
    elements = [one for value in lists for one in value]
    whole = len(lists) == len(place.values) and place.share >= _MOSTLY
    return whole and bool(elements) and all(isinstance(one, dict) for one in elements)


def _time(found: Sequence[Place], explode: SuggestedExplode | None) -> SuggestedTime | None:
    """Return the place that is most likely the event's own time."""
    best: tuple[float, SuggestedTime] | None = None
    for place in found:
        form = moments.format_of(place.values)
        name = "".join(words_of(str(place.path.steps[-1])))
        named = name in _TIMES
        if form is None or (form.startswith("unix") and not named and not _sounds_like_time(place)):
            continue
        score = 3.0 * named - 0.1 * (_TIMES.index(name) if named else 0) + 2.0 * place.always + (form == "auto")
        score -= 0.5 * len(place.path.steps)
        if explode is not None and str(place.path).startswith(explode.path):
            score += 1.5  # an element's own time is nearer to it than the event's
        reasons = [moments.told(form), "in every sample" if place.always else f"in {place.share:.0%} of the samples"]
        if named:
            reasons.append(f"called {place.path.steps[-1]!r}")
        sure = _sure((0.5 + 0.3 * place.share) + 0.2 * named, place.of)
        one = SuggestedTime(path=str(place.path), format=form, confidence=sure, reason=", ".join(reasons))
        if best is None or score > best[0]:
            best = score, one
    return best[1] if best else None


def _sounds_like_time(place: Place) -> bool:
    return not _TIME_WORDS.isdisjoint(words_of(str(place.path.steps[-1]))[-1:])


def _field(place: Place, taken: set[str], base: Path) -> SuggestedField:
    kind, sure, told = type_of(place.values)
    form = moments.format_of(place.values) if kind in NUMBERS else None
    name = _name(place.path.below(base) or place.path, taken)
    if form is not None and _sounds_like_time(place):
        kind, sure, told = FieldType.TIMESTAMP, 0.7, f"{moments.told(form)}, by its name a time"
    unit = unit_of(str(place.path.steps[-1])) if kind in NUMBERS else None
    required = place.always and place.of >= ENOUGH
    reasons = [told, "in every sample" if place.always else f"in {place.share:.0%} of the samples"]
    if unit is not None:
        reasons.append(f"the name says {unit}")
    return SuggestedField(
        name=name,
        path=str(place.path),
        type=kind,
        required=required,
        unit=unit,
        confidence=_sure(sure, len(place.values)),
        reason=", ".join(reasons),
    )


def _name(path: Path, taken: set[str]) -> str:
    """Return a column name for ``path`` that is not taken: its keys, with what no name may hold left out."""
    words = "_".join(word for step in path.steps for word in re.findall(r"[A-Za-z0-9_]+", str(step))).strip("_")
    near = words if words[:1].isalpha() else f"f_{words}"
    near, number = near[:58].rstrip("_") or "field", 1
    name = near
    while name.casefold() in taken:
        number += 1
        name = f"{near}_{number}"
    return name


def _sure(share: float, count: int) -> float:
    """Return a confidence: ``share``, less where there are few values to go by."""
    return round(min(1.0, share) * (0.5 + 0.5 * min(1.0, count / _MANY)), 2)
