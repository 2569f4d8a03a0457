"""``dash-appliance maintenance``: tell everybody to change nothing for a while."""

from datetime import UTC, datetime
from typing import Any

import click

from appliance.cli.answer import say_json
from appliance.cli.asking import asked
from appliance.cli.client import reaching
from appliance.cli.exits import Exit
from appliance.cli.main import located
from appliance.domain.quantity import parse_duration


@click.group("maintenance", short_help="Switch maintenance mode on and off.")
def command() -> None:
    """Switch the maintenance mode of a running installation on and off.

    Receiving, reading and signing in go on. Changes by people who are no administrators are refused, jobs and replays
    that have not begun wait, incidents are muted, and every page shows the message. On every node, and over restarts.
    """


@command.command("on", short_help="Begin it, or change what is told of it.")
@click.argument("message")
@click.option("--for", "lasting", metavar="DURATION", help="How long, such as 2h30m; then it ends by itself.")
@click.option("--until", metavar="TIME", help="When it ends by itself, such as 2026-05-01T22:00:00Z.")
@reaching
@located
def on(message: str, lasting: str | None, until: str | None, **options: Any) -> int:
    """Begin maintenance and tell everybody MESSAGE; without --for or --until it lasts until 'maintenance off'."""
    if lasting is not None and until is not None:
        raise click.UsageError("--for and --until say the same: give one of them")
    if lasting is not None:
        try:
            until = (datetime.now(UTC) + parse_duration(lasting)).isoformat()
        except (ValueError, OverflowError) as error:
            raise click.BadParameter(str(error), param_hint="--for") from None
    with asked(options) as client:
        return _tell(client.post("/maintenance", {"message": message, "until": until}), options)


@command.command("off", short_help="End it.")
@reaching
@located
def off(**options: Any) -> int:
    """End maintenance; what waited begins within seconds."""
    with asked(options) as client:
        client.delete("/maintenance")
        return _tell(client.get("/maintenance"), options)


@command.command("show", short_help="Tell whether it is on.")
@reaching
@located
def show(**options: Any) -> int:
    """Tell whether the installation is under maintenance, since when, until when and by whom."""
    with asked(options) as client:
        return _tell(client.get("/maintenance"), options)


def _tell(answer: dict[str, Any], options: dict[str, Any]) -> int:
    if options["as_json"]:
        say_json(answer)
    elif answer["on"]:
        click.echo(f"on: {answer['told']} (since {answer['since']}, by {answer['by']})")
    else:
        click.echo("off")
    return Exit.FINE
