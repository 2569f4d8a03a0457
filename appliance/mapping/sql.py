"""The one place where text becomes part of SQL: literals, lists, quoted identifiers."""

from collections.abc import Iterable


def text(value: str) -> str:
    """Return ``value`` as a string literal. It must hold no NUL (lint refuses them): SQL text ends there."""
    return "'" + value.replace("'", "''") + "'"


def identifier(name: str) -> str:
    """Return ``name`` quoted, whatever characters it has."""
    return '"' + name.replace('"', '""') + '"'


def array(items: Iterable[str]) -> str:
    """Return a list of SQL expressions."""
    return "[" + ", ".join(items) + "]"


def texts(values: Iterable[str]) -> str:
    """Return a list of string literals."""
    return array(map(text, values))


def any_of(conditions: Iterable[str]) -> str:
    """Return a condition that holds if one of ``conditions`` does; unknown (NULL) counts as no."""
    joined = " OR ".join(conditions)
    return f"coalesce({joined}, false)" if joined else "false"
