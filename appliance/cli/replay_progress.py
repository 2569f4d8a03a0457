"""How a replay is shown while it runs: a bar on a terminal, a line now and then otherwise."""

import shutil
import sys
import time
from typing import Any, Final

import click

LINE_EVERY_SECS: Final = 5.0
_BAR: Final = 24
ENDS: Final = ("swapped", "cancelled", "failed", "undone")


class Shown:
    """Shows one replay after another; ``quiet``: shows nothing."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._bar = sys.stdout.isatty()
        self._lined_at = 0.0
        self._said = ""

    def show(self, name: str, replay: dict[str, Any]) -> None:
        """Show where ``replay`` (as the API answers it) stands now."""
        if self._quiet:
            return
        told = f"{name}: {state_of(replay)}"
        if self._bar:
            width = shutil.get_terminal_size().columns - 1
            click.echo(f"\r{told[:width]:<{width}}", nl=False)
        elif time.monotonic() - self._lined_at >= LINE_EVERY_SECS and told != self._said:
            self._lined_at, self._said = time.monotonic(), told
            click.echo(told)

    def end(self, told: str) -> None:
        """Show how it ended, on a line of its own."""
        if self._quiet:
            return
        if self._bar:
            click.echo(f"\r{'':<{shutil.get_terminal_size().columns - 1}}\r", nl=False)
        click.echo(told)


def state_of(replay: dict[str, Any]) -> str:
    """Return state and progress in words."""
    progress = replay.get("progress")
    parts = [replay["state"]]
    if progress and replay["state"] in ("rebuilding", "ready", "swapping"):
        parts = [bar(progress), _counts(progress)]
        if replay["state"] != "rebuilding":
            parts.append(replay["state"])
        if progress["throttled"]:
            parts.append("held back beside live traffic")
    if replay.get("error") and replay["state"] != "failed":
        parts.append(replay["error"])
    return ", ".join(parts)


def bar(progress: dict[str, Any]) -> str:
    """Return ``[######------]  50 %``."""
    share = progress["done_events"] / progress["total_events"] if progress["total_events"] else 1.0
    full = int(share * _BAR)
    return f"[{'#' * full}{'-' * (_BAR - full)}] {int(share * 100):>3} %"


def _counts(progress: dict[str, Any]) -> str:
    told = f"{progress['done_events']:,} of {progress['total_events']:,} events, {progress['rate_per_sec']:,.0f}/s"
    left = progress["secs_left"]
    return told if left is None else f"{told}, {duration(left)} left"


def duration(secs: float) -> str:
    """Return seconds as people say them: ``45 s``, ``12 min``, ``3 h 20 min``."""
    if secs < 90:
        return f"{secs:.0f} s"
    minutes = round(secs / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def ending_of(name: str, replay: dict[str, Any]) -> str:
    """Return how a replay ended, and what can be done about it."""
    match replay["state"]:
        case "swapped":
            made = f", rows that version {replay['version']} had made came out"
            same = {True: f"{made} the very same", False: f"{made} differently"}.get(replay["identical"], "")
            return (
                f"{name}: swapped in, version {replay['version']}{same}; undo it until {replay['undo_until']} with "
                f"'dash-appliance replay {name} --undo'"
            )
        case "ready":
            return f"{name}: rebuilt and kept up to date; swap it in with 'dash-appliance replay {name} --swap'"
        case "failed":
            return f"{name}: failed: {replay['error']}"
        case state:
            return f"{name}: {state}"
