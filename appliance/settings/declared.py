"""The declarations as a list: one ``Declared`` for each setting, and how its value is parsed, checked and shown."""

import difflib
import re
import types
import typing
from collections.abc import Callable, Sequence
from datetime import timedelta
from enum import Enum
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from appliance.components.archive import parse_place
from appliance.domain.database.dsn import Dsn
from appliance.domain.quantity import format_duration, format_size, parse_duration, parse_size
from appliance.egress.guard import parse_allowed
from appliance.observe.destinations import parse_headers, parse_sentry_dsn
from appliance.observe.masking import MASK, conceal
from appliance.settings.secret import Secret
from appliance.settings.sections import Settings

ENV_PREFIX = "DASH_"
AUTO = "auto"


class Declared(msgspec.Struct, frozen=True, kw_only=True):
    """One setting. ``default`` is ``msgspec.NODEFAULT`` for the one that has to be found out: ``server.data_dir``."""

    section: str
    name: str
    base: Any  # the type without Annotated and without None
    optional: bool
    description: str
    least: str | None
    most: str | None
    kind: str | None
    default: Any

    @property
    def key(self) -> str:
        return f"{self.section}.{self.name}"

    @property
    def variable(self) -> str:
        return f"{ENV_PREFIX}{self.section}_{self.name}".upper()

    @property
    def choices(self) -> list[str]:
        """The values allowed, where they can be counted."""
        return [str(one.value) for one in self.base] if isinstance(self.base, type(Enum)) else []

    def parse(self, value: Any) -> Any:
        """Return ``value``, as a file or a variable gives it, in this setting's type.

        Raises:
            ValueError: not such a value or out of bounds; the message says what was expected.
        """
        if self.optional and value in (None, ""):
            return None
        parsed = _parser(self)(value)
        if parsed is None:
            return None
        for bound, wrong in ((self.least, -1), (self.most, 1)):
            if bound is not None and (parsed > _parser(self)(bound)) - (parsed < _parser(self)(bound)) == wrong:
                side = "at least" if wrong < 0 else "at most"
                raise ValueError(f"expected {side} {bound}, got {self.show(parsed)}")
        return parsed

    def show(self, value: Any) -> str:
        """Return ``value`` as it would be written in a file, without quotes."""
        if isinstance(value, Secret):
            return MASK
        if value is None:
            return AUTO if self.kind == "auto_size" else ""
        if self.kind in ("size", "auto_size"):
            return format_size(value)
        if isinstance(value, timedelta):
            return format_duration(value)
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, Enum):
            return str(value.value)
        return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def declared() -> list[Declared]:
    """Return every setting, in the order of the declaration."""
    return [
        _declare(section.name, field, hints[field.name])
        for section in msgspec.structs.fields(Settings)
        for hints in (typing.get_type_hints(section.type, include_extras=True),)
        for field in msgspec.structs.fields(section.type)
    ]


def suggestion(name: str, known: Sequence[str]) -> str | None:
    """Return a hint with the name that ``name`` was probably meant to be."""
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f"did you mean {close[0]!r}?" if close else None


def _declare(section: str, field: msgspec.structs.FieldInfo, hint: Any) -> Declared:
    annotated, meta = typing.get_args(hint)
    union = typing.get_origin(annotated) in (types.UnionType, typing.Union)
    choices = [part for part in typing.get_args(annotated) if part is not types.NoneType] if union else [annotated]
    default = field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
    return Declared(
        section=section,
        name=field.name,
        base=choices[0],
        optional=union,
        description=meta.description,
        default=default,
        **meta.extra,
    )


def _parser(one: Declared) -> Callable[[Any], Any]:
    if one.kind is not None:
        return _KINDS[one.kind]
    if issubclass(one.base, Enum):
        return lambda value: _choice(one.base, value)
    return _TYPES[one.base]


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"expected a text, got {value!r}")
    return value.strip()


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError(f"expected a whole number, got {value!r}")
    try:
        return int(value)
    except ValueError:
        raise ValueError(f"expected a whole number, got {value!r}") from None


def _duration(value: Any) -> timedelta:
    return parse_duration(value if isinstance(value, str) else str(value))


def _size(value: Any) -> int:
    return parse_size(value if isinstance(value, str) else str(value))


def _auto_size(value: Any) -> int | None:
    return None if isinstance(value, str) and value.strip().lower() == AUTO else _size(value)


def _directory(value: Any) -> Path:
    path = Path(_text(value))
    if not path.is_absolute():
        path = Path.cwd() / path
    return path


def _choice(names: type[Enum], value: Any) -> Enum:
    try:
        return names(value.strip().lower() if isinstance(value, str) else value)
    except ValueError:
        wanted = ", ".join(str(one.value) for one in names)
        hint = suggestion(str(value), [str(one.value) for one in names])
        raise ValueError(f"expected one of {wanted}, got {value!r}" + (f": {hint}" if hint else "")) from None


def _url(value: Any) -> str:
    text = _text(value).rstrip("/")
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment or parts.username:
        raise ValueError(f"expected an address such as 'https://dash.example.org', got {text!r}")
    return text


def _many(value: Any) -> list[str]:
    if isinstance(value, str):
        return [part for part in (part.strip() for part in value.split(",")) if part]
    if isinstance(value, list | tuple) and all(isinstance(part, str) for part in value):
        return [part.strip() for part in value]
    raise ValueError(f"expected a list of texts, got {value!r}")


def _targets(value: Any) -> tuple[str, ...]:
    parts = tuple(_many(value))
    for part in parts:
        parse_allowed(part)
    return parts


def _dsn(value: Any) -> Dsn:
    if not isinstance(value, str):  # what was written is not quoted: it may hold a password
        raise ValueError("expected a text")
    dsn = Dsn.parse(value)
    conceal(*dsn.secrets)
    return dsn


def _dsns(value: Any) -> tuple[Dsn, ...]:
    """From a file a list; from the environment URLs between spaces, or a single one in keywords."""
    if isinstance(value, str):
        value = value.split() if "://" in value else [value] * bool(value.strip())
    if not isinstance(value, list | tuple):
        raise ValueError("expected a list of texts")
    return tuple(map(_dsn, value))


def _schema(value: Any) -> str:
    name = _text(value)
    if not re.fullmatch(r"[a-z_][a-z0-9_]{0,29}", name) or name.startswith("pg_"):
        told = "expected a name of at most 30 lower-case letters, digits and '_' that does not begin with 'pg_'"
        raise ValueError(f"{told}, got {name!r}")
    return name


def _secret(value: Any) -> Secret:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("expected a text")  # and not what was given: somebody may have to show this message
    return Secret(value.strip())


def _sentry_dsn(value: Any) -> Secret:
    conceal(parse_sentry_dsn(secret := _secret(value)).key)
    return secret


def _headers(value: Any) -> Secret:
    values = parse_headers(secret := _secret(value)).values()
    conceal(*values, *(one.rpartition(" ")[2] for one in values))  # a token stands behind its scheme
    return secret


def _place(value: Any) -> str:
    return parse_place(_text(value)).url


def _endpoint(value: Any) -> str:
    text = _url(value)
    try:
        link_local = ip_address(urlsplit(text).hostname or "").is_link_local
    except ValueError:
        return text  # a name
    if link_local:
        raise ValueError(f"expected the address of an object store, got {text!r}: a link-local address is never asked")
    return text


def _name(value: Any) -> str:
    text = _text(value)
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,62}", text):
        raise ValueError(f"expected lower-case letters, digits, '.', '-' and '_', got {text!r}")
    return text


_TYPES: dict[type, Callable[[Any], Any]] = {str: _text, int: _whole, timedelta: _duration, Path: _directory}
_KINDS: dict[str, Callable[[Any], Any]] = {
    "size": _size, "auto_size": _auto_size, "url": _url, "targets": _targets, "secret": _secret, "place": _place,
    "endpoint": _endpoint, "name": _name, "dsn": _dsn, "dsns": _dsns, "schema": _schema,
    "sentry_dsn": _sentry_dsn, "headers": _headers,
}  # fmt: skip
