"""What commands print: text for people, JSON for scripts."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import msgspec

from appliance.settings import Loaded, resolve


def located_settings(data_dir: str | None, config: str | None, flags: Mapping[str, Any] | None = None) -> Loaded:
    """Return the settings for the options that ``located`` adds, and for ``flags`` (``server.port``: …)."""
    return resolve({"server.data_dir": data_dir, **(flags or {})}, file=Path(config) if config else None)


def say_json(answer: Any) -> None:
    """Print ``answer`` as indented JSON."""
    click.echo(msgspec.json.format(msgspec.json.encode(answer, enc_hook=str), indent=2).decode())


def plain(text: str) -> str:
    """Return ``text`` as it may go to a terminal: what somebody else wrote must not steer it."""
    return "".join(one if one.isprintable() or one == "\n" else repr(one)[1:-1] for one in text)
