"""What differs between two documents: by JSON pointer with before and after, and for pipelines in words."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal

import msgspec

Op = Literal["added", "removed", "changed"]
_NOTHING = "none"
_SHOWN = 120  # characters of a value in words


class Change(msgspec.Struct, frozen=True):
    """One place that differs. ``pointer`` (RFC 6901) is of the later document, for what was removed of the earlier."""

    op: Op
    pointer: str
    before: Any = None
    after: Any = None


def changes(before: Any, after: Any, pointer: str = "") -> list[Change]:
    """Return what differs, in order of the documents; lists of named objects by name, other lists as a whole."""
    if isinstance(before, dict) and isinstance(after, dict):
        return _members(before, after, pointer)
    if isinstance(before, list) and isinstance(after, list) and _named(before) and _named(after):
        return list(_items(before, after, pointer))
    return [] if _same(before, after) else [Change("changed", pointer, before, after)]


def _members(before: Mapping[str, Any], after: Mapping[str, Any], pointer: str) -> list[Change]:
    found: list[Change] = []
    for name in {**before, **after}:
        place = f"{pointer}/{name.replace('~', '~0').replace('/', '~1')}"
        if name not in before:
            found.append(Change("added", place, None, after[name]))
        elif name not in after:
            found.append(Change("removed", place, before[name], None))
        else:
            found += changes(before[name], after[name], place)
    return found


def _items(before: list[Any], after: list[Any], pointer: str) -> Iterator[Change]:
    earlier, later = ({item["name"]: (place, item) for place, item in enumerate(items)} for items in (before, after))
    for name, (place, item) in earlier.items():
        if name in later:
            at, now = later[name]
            yield from changes(item, now, f"{pointer}/{at}")
        else:
            yield Change("removed", f"{pointer}/{place}", item, None)
    for name, (place, item) in later.items():
        if name not in earlier:
            yield Change("added", f"{pointer}/{place}", None, item)
    kept = [name for name in earlier if name in later]
    if kept != [name for name in later if name in earlier]:
        yield Change("changed", pointer, list(earlier), list(later))  # only their order


def _named(items: list[Any]) -> bool:
    names = [item.get("name") if isinstance(item, dict) else None for item in items]
    return all(isinstance(name, str) for name in names) and len(set(names)) == len(names)


def _same(before: Any, after: Any) -> bool:
    return type(before) is type(after) and bool(before == after)  # true is not 1


def in_words(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Return what differs between two pipeline documents, a sentence for each field and for each other place."""
    fields = [document.get("mapping", {}).get("fields", []) for document in (before, after)]
    told = list(_field_words(*fields))
    for change in changes(before, after):
        if not change.pointer.startswith("/mapping/fields"):
            told.append(f"{change.pointer[1:].replace('/', '.')}: {_shown(change.before)} → {_shown(change.after)}")
    if [field["name"] for field in fields[0]] != [field["name"] for field in fields[1]] and not told:
        told.append("the fields stand in another order")
    return told


def _field_words(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> Iterator[str]:
    earlier, later = ({field["name"]: field for field in fields} for fields in (before, after))
    gone = [field for name, field in earlier.items() if name not in later]
    new = [field for name, field in later.items() if name not in earlier]
    for field in gone:
        successor = next((one for one in new if _origin(one) == _origin(field)), None)
        if successor is None:
            yield f"field {field['name']!r} removed"
            continue
        new.remove(successor)
        changed = "".join(f"; {one}" for one in _attributes(field, successor))
        yield f"field {field['name']!r} renamed to {successor['name']!r}{changed}"
    for name, field in earlier.items():
        if name in later and (changed := "; ".join(_attributes(field, later[name]))):
            yield f"field {name!r}: {changed}"
    for field in new:
        origin = f"read from {field['path']}" if field.get("path") else f"computed as {_shown(field.get('expr'))}"
        yield f"field {field['name']!r} added: {field.get('type')}, {origin}"


def _origin(field: Mapping[str, Any]) -> tuple[Any, Any]:
    return field.get("path"), field.get("expr")


def _attributes(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    for change in changes(before, after):
        if change.pointer != "/name":
            yield f"{change.pointer[1:]} {_shown(change.before)} → {_shown(change.after)}"


def _shown(value: Any) -> str:
    if value is None:
        return _NOTHING
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
