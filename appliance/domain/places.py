"""The places of a decoded event: each path with the JSON types found there. ``null`` is no value.

Paths are written as in mappings; ``[*]`` stands for the elements of an array, ``.*`` for the members of an object whose
keys are data.
"""

import functools
import re
from collections.abc import Collection, Iterator
from typing import Any, Final

import msgspec

ROOT: Final = "$"
_MOST_PLACES: Final = 1_000  # of one event
_MOST_ELEMENTS: Final = 20  # of one array
_DEEPEST: Final = 8
_STEPS: Final = re.compile(r"""\.\*|\.[^.\[\]*\s"'`]+|\[\*\]|\["(?:[^"\\]|\\.)*"\]""", re.DOTALL)
_PLAIN: Final = re.compile(r"""[^.\[\]*\s"'`]+""")


def places(event: Any, wide: Collection[str] = ()) -> dict[str, set[str]]:
    """Return the types at each path of ``event``; ``wide``: paths of objects whose keys are data."""
    found: dict[str, set[str]] = {}
    for count, (path, kind) in enumerate(_walk(event, ROOT, wide)):
        if count == _MOST_PLACES:
            break
        found.setdefault(path, set()).add(kind)
    return found


def step(name: str) -> str:
    """Return what leads from an object to its member ``name``."""
    return f".{name}" if _PLAIN.fullmatch(name) else f"[{msgspec.json.encode(name).decode()}]"


@functools.lru_cache(maxsize=10_000)
def parent_of(path: str) -> str:
    """Return the path that ``path`` is a member or an element of; "" for the root."""
    steps = _STEPS.findall(path, len(ROOT))
    return path[: -len(steps[-1])] if steps else ""


def ancestors(path: str) -> Iterator[str]:
    """Yield the paths above ``path``, nearest first."""
    while path := parent_of(path):
        yield path


def is_below(path: str, ancestor: str) -> bool:
    return path.startswith((f"{ancestor}.", f"{ancestor}["))


def kind_of(value: Any) -> str:
    """Return the JSON type of ``value``: boolean, integer, number, string, object, array."""
    match value:
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "string"
        case dict():
            return "object"
    return "array"


def _walk(value: Any, path: str, wide: Collection[str], depth: int = 0) -> Iterator[tuple[str, str]]:
    if value is None:
        return
    yield path, kind_of(value)
    if depth == _DEEPEST:
        return
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _walk(inner, f"{path}.*" if path in wide else path + step(name), wide, depth + 1)
    elif isinstance(value, list):
        for inner in value[:_MOST_ELEMENTS]:
            yield from _walk(inner, f"{path}[*]", wide, depth + 1)
