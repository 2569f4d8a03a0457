"""``dash-appliance archive``: what is archived, and making a lost machine's log again from it."""

import sys
from collections.abc import Iterable, Mapping
from typing import Any

import click
import msgspec

from appliance.cli.answer import located_settings, say_json
from appliance.cli.client import connected, reaching
from appliance.cli.data_dir import owned, owner
from appliance.cli.exits import Exit
from appliance.cli.main import located
from appliance.components.archive import Restored
from appliance.domain.quantity import counted
from appliance.errors import ConfigError, Problem
from appliance.settings import Settings


@click.group("archive", short_help="Show what is archived; restore a lost machine's events.")
def command() -> None:
    """Show what is archived, and make a lost machine's log again from it."""


@command.command("status", short_help="Show what is archived and what is not.")
@reaching
@located
def status(**options: Any) -> int:
    """Show what the archive has, and what it has not yet: that is what a lost machine loses.

    Asks the running appliance, which needs a token; reads the data directory of a stopped one. Answers 1 if archiving
    is in trouble.
    """
    settings = located_settings(options["data_dir"], options["config"]).settings
    if owner(settings.server.data_dir) is None and options["url"] is None:
        state = _of_stopped(settings)
    else:
        with connected(settings, options["url"], options["token_file"]) as client:
            state = client.get("/storage")["archive"]
        if state is None:
            raise ConfigError([Problem("archive.url", "the running appliance has no archive")])
    if options["as_json"]:
        say_json(state)
    else:
        click.echo("\n".join(_lines(state)))
    return Exit.FINE if state["well"] else Exit.FAILED


@command.command("restore", short_help="Make the log of a lost machine again.")
@click.option("--from", "name", metavar="NAME", help="Name under which it archived [archive.name].")
@click.argument("pipelines", metavar="[PIPELINE]...", nargs=-1)
@located
def restore(**options: Any) -> int:
    """Fetch pipelines (all of them, without any named) from the archive into a data directory that has no log of them.

    Every byte is proved. Interrupted, the same command goes on. Events that were not archived are not there; the
    archive itself is not changed: 'take-over' is for that. Answers 1 if a segment was lost.
    """
    settings, quiet = located_settings(options["data_dir"], options["config"]).settings, options["as_json"]
    from appliance import archiving
    from appliance.observe import logs

    logs.configure("warning", settings.log.format.value)
    with owned(settings.server.data_dir):
        done = _shown(archiving.restore(settings, options["name"], options["pipelines"]), quiet=quiet)
    if quiet:
        say_json(done)
    else:
        click.echo(f"{counted(len(done), 'pipeline')} restored")
        click.echo("nothing is archived from here until 'dash-appliance archive take-over': the lost machine may live")
    return Exit.FAILED if any(one.lost for one in done) else Exit.FINE


@command.command("take-over", short_help="Archive in the place of a machine that is lost.")
@located
def take_over(data_dir: str | None, config: str | None, as_json: bool, debug: bool) -> int:
    """Archive from this data directory under the name it was restored from.

    The former machine, should it still live, archives nothing more, and says so.
    """
    settings = located_settings(data_dir, config).settings
    from appliance import archiving

    with owned(settings.server.data_dir):
        place = archiving.take_over(settings)
    if as_json:
        say_json({"place": place})
    else:
        click.echo(f"archiving goes on in {place}")
    return Exit.FINE


def _of_stopped(settings: Settings) -> dict[str, Any]:
    from appliance import archiving

    with owned(settings.server.data_dir):
        found: dict[str, Any] = msgspec.to_builtins(archiving.archive_state(settings))
    return found


def _lines(state: Mapping[str, Any]) -> list[str]:
    oldest = f", the oldest received {state['pending_since']}" if state["pending_since"] else ""
    return [
        f"{state['place']}, under the name {state['name']}: {state['told']}",
        f"archived: {state['archived_segments']:,} segments, {_mib(state['archived_bytes'])}, of which "
        f"{_mib(state['local_bytes'])} are on this disk too",
        f"not yet archived: {state['pending_events']:,} events, {_mib(state['pending_bytes'])}{oldest}",
    ]


def _mib(size: int) -> str:
    return f"{size / (1 << 20):,.1f} MiB"


def _shown(steps: Iterable[Restored], *, quiet: bool) -> list[Restored]:
    """Show how far it is, on a terminal, and what came of each pipeline; return that."""
    done = []
    for one in steps:
        if not quiet and sys.stderr.isatty():
            end = "\n" if one.finished else ""
            click.echo(f"\r{one.pipeline_id}: {one.done} of {one.segments} segments{end}", nl=False, err=True)
        if one.finished:
            done.append(one)
            if not quiet:
                click.echo("\n".join(_ended(one)))
    return done


def _ended(one: Restored) -> list[str]:
    told = [f"{one.pipeline_id}: {one.segments} segments up to event {one.last_seq:,}"]
    told += [f"  {segment} is lost: {reason}" for segment, reason in one.lost.items()]
    told += [f"  {segment} is from before an erasure: erase the same events again" for segment in one.erase_again]
    return told
