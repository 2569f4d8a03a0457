"""How a move is shown while it runs: a bar on a terminal, a line now and then otherwise; on standard error."""

import shutil
import sys
import time
from typing import TYPE_CHECKING

import click

from appliance.cli.replay_progress import LINE_EVERY_SECS, bar, duration

if TYPE_CHECKING:
    from appliance.moving import Step


class Shown:
    """Shows rows and tables of the control plane on their way; ``quiet``: shows nothing."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._bar = sys.stderr.isatty()
        self._lined_at = 0.0

    def rows(self, step: "Step") -> None:
        """Show how far rows are."""
        if self._quiet:
            return
        last = step.done >= step.total
        if self._bar:
            width = shutil.get_terminal_size().columns - 1
            click.echo(f"\r{told(step)[:width]:<{width}}", nl=last, err=True)
        elif last or time.monotonic() - self._lined_at >= LINE_EVERY_SECS:
            self._lined_at = time.monotonic()
            click.echo(told(step), err=True)

    def control(self, table: str, rows: int, total: int) -> None:
        """Show how far a table of the control plane is."""
        if not self._quiet:
            click.echo(f"{table:<18} {rows:>9} of {total}", err=True)


def told(step: "Step") -> str:
    """Return ``[######------]  50 % comparing boiler-room, 1,000 of 2,000 lines, 80,000/s, 12 s left``."""
    shown = bar({"done_events": step.done, "total_events": step.total})
    line = f"{shown} {step.doing.value} {step.pipeline}, {step.done:,} of {step.total:,} lines"
    line = f"{line}, {step.rate_per_sec:,.0f}/s"
    return line if step.secs_left is None else f"{line}, {duration(step.secs_left)} left"
