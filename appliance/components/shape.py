"""What a declared type looks like inside: its members, items, fields and notes, for whoever walks a document by it."""

import enum
import types
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec
from msgspec import Meta
from msgspec.structs import FieldInfo

_LISTS = (list, tuple, set, frozenset)


def peel(type_: Any) -> tuple[Any, tuple[Meta, ...]]:
    """Return ``type_`` without ``Annotated`` and ``NewType``, and the notes that stood on it."""
    metas: tuple[Meta, ...] = ()
    while True:
        if get_origin(type_) is Annotated:
            metas += tuple(note for note in type_.__metadata__ if isinstance(note, Meta))
            type_ = get_args(type_)[0]
        elif hasattr(type_, "__supertype__"):
            type_ = type_.__supertype__
        else:
            return type_, metas


def members(type_: Any) -> list[Any]:
    """Return the types that a union consists of (flattened, notes kept); any other type: itself alone."""
    bare, _ = peel(type_)
    if get_origin(bare) in (Union, types.UnionType):
        return [inner for member in get_args(bare) for inner in members(member)]
    return [type_]


def note(type_: Any, key: str) -> Any:
    """Return what ``Meta(extra={key: …})`` says on ``type_`` or on a member of it; None where nothing does."""
    for candidate in (type_, *members(type_)):
        for meta in peel(candidate)[1]:
            if meta.extra and key in meta.extra:
                return meta.extra[key]
    return None


def example(type_: Any) -> Any:
    """Return the first of the ``examples`` on ``type_`` or on a member of it; None: there is none."""
    metas = (meta for candidate in (type_, *members(type_)) for meta in peel(candidate)[1])
    return next((meta.examples[0] for meta in metas if meta.examples), None)


def is_struct(type_: Any) -> bool:
    bare, _ = peel(type_)
    return isinstance(bare, type) and issubclass(bare, msgspec.Struct)


def structs(type_: Any) -> list[type[msgspec.Struct]]:
    """Return the Structs among the members of ``type_``."""
    return [peel(member)[0] for member in members(type_) if is_struct(member)]


def tag_of(struct: type[msgspec.Struct]) -> tuple[str | None, str | int | None]:
    """Return the name and the value of the field that tells a Struct from its siblings; (None, None): untagged."""
    config = struct.__struct_config__
    return config.tag_field, config.tag


def struct_for(type_: Any, value: Mapping[Any, Any]) -> type[msgspec.Struct] | None:
    """Return the Struct of ``type_`` that the object ``value`` says it is; None: no such Struct, or none at all."""
    candidates = structs(type_)
    if len(candidates) == 1 and tag_of(candidates[0])[0] not in value:
        return candidates[0]
    for struct in candidates:
        field, tag = tag_of(struct)
        if field is None or value.get(field) == tag:
            return struct
    return None


def item_type(type_: Any) -> Any | None:
    """Return the type of the items of a list, set or ``tuple[T, ...]`` among the members; None: no such member."""
    for member in members(type_):
        bare, _ = peel(member)
        if get_origin(bare) in _LISTS:
            return get_args(bare)[0]
    return None


def value_type(type_: Any) -> Any | None:
    """Return the type of the values of a dict among the members; None: no such member."""
    for member in members(type_):
        bare, _ = peel(member)
        if get_origin(bare) in (dict, Mapping):
            return get_args(bare)[1]
    return None


def choices(type_: Any) -> list[Any]:
    """Return the values that the enums and literals among the members allow, in order of declaration."""
    found: list[Any] = []
    for member in members(type_):
        bare, _ = peel(member)
        if isinstance(bare, type) and issubclass(bare, enum.Enum):
            found += [choice.value for choice in bare]
        elif get_origin(bare) is Literal:
            found += get_args(bare)
    return found


def fields(struct: type[msgspec.Struct]) -> dict[str, FieldInfo]:
    """Return the fields of ``struct`` by their name in a document."""
    return {field.encode_name: field for field in msgspec.structs.fields(struct)}


def child(pointer: str, key: object) -> str:
    """Return the JSON pointer (RFC 6901) of ``key`` below ``pointer``."""
    return f"{pointer}/{str(key).replace('~', '~0').replace('/', '~1')}"
