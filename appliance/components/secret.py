"""Find the secrets of a document by its declared type, so that they can be sealed, opened or masked in place.

A field is secret where its type carries ``Meta(extra={"secret": True})``; all text below it is then secret.
"""

from collections.abc import Callable, Mapping
from typing import Any

from appliance.components import shape


def secret_fields(type_: Any, pointer: str = "") -> list[str]:
    """Return where secrets may stand, as JSON pointers in which ``*`` is any list index or key: ``/auth/token``.

    A declaration that contains itself is not followed a second time.
    """
    return _fields_below(type_, pointer, ())


def map_secrets(type_: Any, data: Mapping[str, Any], fn: Callable[[str, str], str]) -> dict[str, Any]:
    """Return a copy of ``data`` in which each secret text is ``fn(pointer, text)``; all else is as it was.

    ``data`` should have passed ``lint``: in a part whose type cannot be told (an unknown ``type``), every text below a
    key that is secret in any of the possible types is taken for secret.
    """
    mapped: dict[str, Any] = _map(type_, data, "", fn)
    return mapped


def _fields_below(type_: Any, pointer: str, above: tuple[Any, ...]) -> list[str]:
    if shape.note(type_, "secret"):
        return [pointer + ("/*" if shape.item_type(type_) or shape.value_type(type_) else "")]
    found = []
    for inner in (shape.item_type(type_), shape.value_type(type_)):
        if inner is not None:
            found += _fields_below(inner, pointer + "/*", above)
    for struct in shape.structs(type_):
        if struct not in above:
            for name, field in shape.fields(struct).items():
                found += _fields_below(field.type, shape.child(pointer, name), (*above, struct))
    return list(dict.fromkeys(found))


def _map(type_: Any, data: Any, pointer: str, fn: Callable[[str, str], str]) -> Any:
    if shape.note(type_, "secret"):
        return _map_all(data, pointer, fn)
    if isinstance(data, Mapping):
        return {key: _map_key(type_, data, key, shape.child(pointer, key), fn) for key in data}
    item = shape.item_type(type_) if isinstance(data, list | tuple) else None
    if item is None:
        return data
    return [_map(item, part, shape.child(pointer, place), fn) for place, part in enumerate(data)]


def _map_key(type_: Any, data: Mapping[Any, Any], key: Any, pointer: str, fn: Callable[[str, str], str]) -> Any:
    struct = shape.struct_for(type_, data)
    for candidate in [struct] if struct else shape.structs(type_):
        field = shape.fields(candidate).get(key)
        if field is not None and (struct or shape.note(field.type, "secret")):
            return _map(field.type, data[key], pointer, fn)
    values = shape.value_type(type_)
    return data[key] if struct or values is None else _map(values, data[key], pointer, fn)


def _map_all(data: Any, pointer: str, fn: Callable[[str, str], str]) -> Any:
    if isinstance(data, str):
        return fn(pointer, data)
    if isinstance(data, Mapping):
        return {key: _map_all(part, shape.child(pointer, key), fn) for key, part in data.items()}
    if isinstance(data, list | tuple):
        return [_map_all(part, shape.child(pointer, place), fn) for place, part in enumerate(data)]
    return data
