"""What commands that speak of people, tokens and organisations share: whom they ask, what they read and say."""

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import click

from appliance.cli.answer import located_settings, say_json
from appliance.cli.client import Client, connected
from appliance.cli.exits import CannotCreate, Exit
from appliance.cli.table import table
from appliance.domain.quantity import parse_duration
from appliance.errors import ConfigError, Conflict, NotFound, Problem

STANDARD_INPUT: Final = "-"
Row = tuple[str, ...]


def asked(options: dict[str, Any]) -> Client:
    """Return the client that the options of ``reaching`` and ``located`` name."""
    settings = located_settings(options["data_dir"], options["config"]).settings
    return connected(settings, options["url"], options["token_file"])


def said(answer: Any, options: dict[str, Any], told: str) -> int:
    """Print ``answer`` as JSON where that is wanted, else the sentence ``told``; return the exit code."""
    if options["as_json"]:
        say_json(answer)
    else:
        click.echo(told)
    return Exit.FINE


def listed(items: list[Any], options: dict[str, Any], heads: Row, row: Callable[[Any], Row], nothing: str) -> int:
    """Print ``items`` as JSON where that is wanted, else as a table, a ``row`` of each; return the exit code."""
    if options["as_json"]:
        say_json(items)
    else:
        table(heads, [row(one) for one in items], nothing=nothing)
    return Exit.FINE


def password_in(file: str) -> str:
    """Return the first line of a file, ``-`` being standard input. Raises CannotCreate: it cannot be read."""
    try:
        text = sys.stdin.readline() if file == STANDARD_INPUT else Path(file).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CannotCreate(f"the password file {file!r} cannot be read: {error}") from error
    return text.partition("\n")[0].rstrip("\r")


def one_of(items: list[Any], wanted: str, name: str, noun: str) -> Any:
    """Return the item whose id or ``name`` is ``wanted``. Raises NotFound, Conflict: several have that name."""
    found = [one for one in items if wanted in (one["id"], one[name])]
    if len(found) > 1:
        raise Conflict(f"{len(found)} {noun}s are called {wanted!r}: say which by its id, see '{noun} list'")
    if not found:
        raise NotFound(f"there is no {noun} {wanted!r}: see '{noun} list'")
    return found[0]


def in_time(text: str | None) -> str | None:
    """Return the instant so long from now, as the API reads it; None: never. Raises ConfigError."""
    if text is None:
        return None
    try:
        return (datetime.now(UTC) + parse_duration(text)).isoformat()
    except (ValueError, OverflowError) as error:
        raise ConfigError([Problem("--expires-in", f"expected a time such as '90d', got {text!r}: {error}")]) from error


def day(at: str | None) -> str:
    """Return an instant of the API's as a table shows it."""
    return "-" if at is None else at[:16].replace("T", " ")
