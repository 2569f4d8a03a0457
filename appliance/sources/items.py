"""The items of a polled page: found by a path and split off verbatim, without building objects of them."""

import re
from collections.abc import Sequence

import msgspec
from msgspec import Raw

from appliance.errors import ConfigError, Problem
from appliance.sources.body import Kind, checked, split

MAX_ITEMS = 100_000
PATH = r"^\$(\.[^.\[\]'\"\s]+|\[[0-9]{1,9}\]|\['[^']+'\]|\[\"[^\"]+\"\])*$"

_STEP = re.compile(r"\.([^.\[\]'\"\s]+)|\[([0-9]+)\]|\['([^']+)'\]|\[\"([^\"]+)\"\]")
_OBJECT = msgspec.json.Decoder(dict[str, Raw])
_ARRAY = msgspec.json.Decoder(list[Raw])
_VALUE = msgspec.json.Decoder()

Path = tuple[str | int, ...]


def parse_path(text: str) -> Path:
    """Return the steps of a JSONPath without wildcards: ``$.data['my items'][0]``.

    Raises:
        ValueError: not such a path.
    """
    if not re.match(PATH, text):
        raise ValueError(f"expected a path such as '$.data.items' or '$', got {text!r}")
    return tuple(int(step[2]) if step[2] else step[1] or step[3] or step[4] for step in _STEP.finditer(text))


def split_items(body: bytes, path: Path) -> Sequence[Raw]:
    """Return the items of a page: of an array at ``path`` the elements, an object as one, of null none.

    Raises:
        BadRequest: the page is not JSON.
        ConfigError: there is nothing at ``path``, or a plain value.
        TooLarge: more than 100,000 items.
    """
    if not body.strip():
        return ()
    if not path and _is_array(body):
        return _split(body)
    whole = checked(body)
    found = value_at(whole, path)
    if found is None:
        raise ConfigError([Problem("/source/items", f"nothing at {_written(path)!r} in the answer: {_shown(whole)}")])
    data = bytes(found)
    if data == b"null":
        return ()
    if _is_array(data):
        return _split(data)
    if not data.startswith(b"{"):
        told = f"expected a list or an object at {_written(path)!r} in the answer, got {_shown(found)}"
        raise ConfigError([Problem("/source/items", told)])
    return (Raw(data),)


def value_at(data: Raw | bytes, path: Path) -> Raw | bytes | None:
    """Return the JSON text at ``path`` in ``data`` (valid JSON); None: nothing is there."""
    for step in path:
        try:
            data = _ARRAY.decode(data)[step] if isinstance(step, int) else _OBJECT.decode(data)[step]
        except (msgspec.ValidationError, KeyError, IndexError):
            return None
    return data


def text_at(data: Raw | bytes, path: Path) -> str | None:
    """Return the string, or the number as it is written, at ``path``; None: neither is there."""
    found = value_at(data, path)
    if found is None:
        return None
    written = bytes(found).strip()
    if written[:1] == b'"':
        return str(_VALUE.decode(written))
    return written.decode() if written[:1] in b"-0123456789" else None


def split_page(body: bytes, content_type: str, path: Path) -> Sequence[Raw]:
    """Return the items of an answer of that type: NDJSON by line, all else as ``split_items`` does.

    Raises:
        as ``split_items``.
    """
    if "ndjson" in content_type or "jsonl" in content_type:
        return split(body, Kind.LINES, MAX_ITEMS) if body.strip() else ()
    return split_items(body, path)


def _is_array(data: bytes) -> bool:
    return data.lstrip(b" \t\r\n")[:1] == b"["


def _split(array: bytes) -> Sequence[Raw]:
    return () if array.strip(b"[] \t\r\n") == b"" and array.count(b"[") == 1 else split(array, Kind.JSON, MAX_ITEMS)


def _shown(found: Raw | bytes) -> str:
    """Return what stands there, in words short enough for a message and without values."""
    data = bytes(found).lstrip()
    if data[:1] == b"{":
        names = list(_OBJECT.decode(data))
        return f"an object with {', '.join(map(repr, names[:10]))}" if names else "an empty object"
    return {b"[": "a list", b'"': "a string", b"t": "true", b"f": "false", b"n": "null"}.get(data[:1], "a number")


def _written(path: Path) -> str:
    return "$" + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
