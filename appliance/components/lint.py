"""Judge a document by its declared type and tell every problem, where msgspec alone stops at the first."""

import difflib
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgspec

from appliance.components import shape
from appliance.components.secret import map_secrets, secret_fields
from appliance.domain.quantity import parse_duration, parse_size
from appliance.errors import Invalid, Problem

__all__ = ["decode", "lint", "map_secrets", "secret_fields"]

T = TypeVar("T")

_WORDS = {
    "int": "an integer", "float": "a number", "str": "a string", "bool": "true or false", "array": "a list",
    "object": "an object", "null": "null", "dict": "an object", "list": "a list", "set": "a list",
}  # fmt: skip
_QUANTITIES: dict[str, Callable[[str], Any]] = {"duration": parse_duration, "size": parse_size}
_PLACE = re.compile(r" - at `(?:key in )?\$(.*)`$")


def lint(type_: Any, data: Any, pointer: str = "") -> list[Problem]:
    """Return everything that is wrong with ``data`` (decoded JSON or TOML) as a ``type_``; empty: it can be decoded.

    Beside what msgspec checks, text declared as ``quantity.Duration`` or ``quantity.Size`` is parsed and held against
    the ``min`` and ``max`` of its ``Meta(extra=…)``. Rules in ``__post_init__`` are tried once all fields are right.
    """
    problems = _inside(type_, data, pointer)
    return problems or _whole(type_, data, pointer)


def decode(type_: type[T], data: Any, pointer: str = "") -> T:
    """Return ``data`` as a ``type_``.

    Raises:
        Invalid: with every problem that ``lint`` finds.
    """
    if problems := lint(type_, data, pointer):
        raise Invalid(problems)
    return msgspec.convert(data, type_)


def suggest(word: object, known: list[Any]) -> str | None:
    """Return "did you mean …" or, where nothing comes near, what is known; None: nothing is."""
    near = difflib.get_close_matches(str(word), [str(name) for name in known], n=1)
    if near:
        return f"did you mean {near[0]!r}?"
    return f"known: {', '.join(map(str, known))}" if known else None


def _inside(type_: Any, data: Any, pointer: str) -> list[Problem]:
    """Return the problems of the parts of ``data``; those of the whole are not looked for."""
    if isinstance(data, Mapping):
        return _inside_object(type_, data, pointer)
    item = shape.item_type(type_) if isinstance(data, list | tuple) else None
    if item is None:
        return []
    return [p for place, part in enumerate(data) for p in lint(item, part, shape.child(pointer, place))]


def _inside_object(type_: Any, data: Mapping[Any, Any], pointer: str) -> list[Problem]:
    struct = shape.struct_for(type_, data)
    if struct is not None:
        return _inside_struct(struct, data, pointer)
    values = shape.value_type(type_)
    if values is not None:
        return [p for key, part in data.items() for p in lint(values, part, shape.child(pointer, key))]
    return _no_such_struct(shape.structs(type_), data, pointer)


def _inside_struct(struct: type[msgspec.Struct], data: Mapping[Any, Any], pointer: str) -> list[Problem]:
    fields, tag_field = shape.fields(struct), shape.tag_of(struct)[0]
    problems = []
    for key, part in data.items():
        if key in fields:
            problems += lint(fields[key].type, part, shape.child(pointer, key))
        elif key != tag_field and struct.__struct_config__.forbid_unknown_fields:
            problems.append(Problem(shape.child(pointer, key), f"unknown key {key!r}", suggest(key, list(fields))))
    return problems + [
        Problem(shape.child(pointer, name), f"required {_expected(field.type)}is missing")
        for name, field in fields.items()
        if field.required and name not in data
    ]


def _expected(type_: Any) -> str:
    allowed = shape.choices(type_)
    return f"one of {', '.join(map(repr, allowed))} " if allowed else "value "


def _no_such_struct(candidates: list[type[msgspec.Struct]], data: Mapping[Any, Any], pointer: str) -> list[Problem]:
    """Return what is wrong with the tag of ``data``; nothing where it is not a tag that is wrong."""
    if not candidates:
        return []
    field = shape.tag_of(candidates[0])[0]
    if field is None:
        return []
    tags = [shape.tag_of(struct)[1] for struct in candidates]
    if field not in data:
        known = ", ".join(map(repr, tags))
        return [Problem(shape.child(pointer, field), f"required one of {known} is missing")]
    return [Problem(shape.child(pointer, field), f"unknown {field} {data[field]!r}", suggest(data[field], tags))]


def _whole(type_: Any, data: Any, pointer: str) -> list[Problem]:
    """Return the one problem of ``data`` as a whole, its parts being right."""
    try:
        msgspec.convert(data, type_)
    except msgspec.ValidationError as error:
        return [_told(type_, data, pointer, str(error))]
    except (OverflowError, RecursionError):
        return [Problem(pointer, "the value is too large or too deep")]
    return _quantity(type_, data, pointer)


def _told(type_: Any, data: Any, pointer: str, said: str) -> Problem:
    """Return msgspec's complaint in the house's words: expected before actual, no secret."""
    if place := _PLACE.search(said):
        said = said[: place.start()]
        pointer += re.sub(r"\[(\d+)\]|\.", lambda part: f"/{part[1] or ''}", place[1])
    hidden = shape.note(type_, "secret") or not isinstance(data, str | int | float)
    actual = "" if hidden else f", got {data!r}"
    if said.startswith("Invalid enum value") or (said.startswith("Invalid value") and shape.choices(type_)):
        allowed = shape.choices(type_)
        return Problem(pointer, f"expected one of {', '.join(map(repr, allowed))}{actual}", _near(data, allowed))
    example = shape.example(type_)
    if "matching regex" in said and example is not None:
        return Problem(pointer, f"expected something like {example!r}{actual}")
    if data == "" and "length >= 1" in said:
        return Problem(pointer, "expected some text, got none")
    if said.startswith("Expected"):
        said = "expected" + re.sub(r"`([^`]+)`", _in_words, said.removeprefix("Expected"))
        return Problem(pointer, said if ", got" in said else said + actual)
    return Problem(pointer, said)


def _in_words(types: re.Match[str]) -> str:
    return " or ".join(_WORDS.get(name, name) for name in types[1].split(" | "))


def _near(word: object, known: list[Any]) -> str | None:
    hint = suggest(word, known)
    return hint if hint and hint.startswith("did you") else None


def _quantity(type_: Any, data: Any, pointer: str) -> list[Problem]:
    parse = _QUANTITIES.get(shape.note(type_, "quantity") or "")
    if parse is None or not isinstance(data, str):
        return []
    try:
        value = parse(data)
    except ValueError as error:
        return [Problem(pointer, str(error))]
    least, most = shape.note(type_, "min"), shape.note(type_, "max")
    if least is not None and value < parse(least):
        return [Problem(pointer, f"expected at least {least}, got {data!r}")]
    if most is not None and value > parse(most):
        return [Problem(pointer, f"expected at most {most}, got {data!r}")]
    return []
