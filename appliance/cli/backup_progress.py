"""How a backup or a restore is shown while it runs: a line that moves on a terminal, one now and then otherwise."""

import shutil
import sys
import time
from typing import Final

import click

from appliance.domain.quantity import format_size

LINE_EVERY_SECS: Final = 5.0
_MOVE_EVERY_SECS: Final = 0.1


class Shown:
    """Shows bytes; ``quiet``: shows nothing. On standard error."""

    def __init__(self, doing: str, *, quiet: bool) -> None:
        self._doing, self._quiet, self._began = doing, quiet, time.monotonic()
        self._at = 0.0

    def __call__(self, done: int, total: int | None, what: str) -> None:
        """Show how far it is."""
        now = time.monotonic()
        terminal = sys.stderr.isatty()
        if self._quiet or now - self._at < (_MOVE_EVERY_SECS if terminal else LINE_EVERY_SECS):
            return
        if not terminal and not self._at and now - self._began < LINE_EVERY_SECS:
            return
        self._at = now
        line = f"{self._doing}: {mib(done)}{f' of {mib(total)}' if total else ''}, {what}"
        if terminal:
            width = shutil.get_terminal_size().columns - 1
            click.echo(f"\r{line[:width]:<{width}}", nl=False, err=True)
        else:
            click.echo(line, err=True)

    def end(self) -> None:
        """Leave the line."""
        if not self._quiet and self._at and sys.stderr.isatty():
            click.echo(err=True)


def mib(size: int) -> str:
    """Return bytes as people read them."""
    return f"{size / (1 << 20):,.1f} MiB" if size >= 1 << 20 else format_size(size)
