"""``dash-appliance backup snapshot``: control plane and rows copied on this disk, and put back."""

from typing import Any

import click

from appliance.cli.answer import located_settings, say_json
from appliance.cli.backup_progress import mib
from appliance.cli.data_dir import owned
from appliance.cli.main import located


@click.group("snapshot", short_help="Copy control plane and rows on this disk, and put them back.")
def snapshot() -> None:
    """Before a change that may have to be undone: control plane and rows of a stopped appliance, copied on this disk.

    Events are not copied: what came since is refined again after putting a snapshot back. It is no backup.
    """


@snapshot.command("take", short_help="Take one.")
@click.option("--why", default="by hand", show_default=True, help="For whoever finds it.")
@located
def take(**options: Any) -> None:
    """Copy control plane and rows of a stopped appliance into snapshots/ of its data directory."""
    from appliance.backups.snapshots import take_snapshot

    settings = located_settings(options["data_dir"], options["config"]).settings
    with owned(settings.server.data_dir):
        made = take_snapshot(settings, options["why"])
    if options["as_json"]:
        say_json(made)
    else:
        click.echo(f"{made.id}: {mib(made.bytes)}")


@snapshot.command("list", short_help="List those that there are.")
@located
def list_snapshots(**options: Any) -> None:
    """List snapshots, oldest first."""
    from appliance.backups.snapshots import snapshots

    found = snapshots(located_settings(options["data_dir"], options["config"]).settings)
    if options["as_json"]:
        say_json({"items": found})
        return
    for one in found:
        click.echo(f"{one.id}  version {one.version}  {mib(one.bytes):>12}  {one.why}")
    if not found:
        click.echo("no snapshots yet")


@snapshot.command("put-back", short_help="Put one back.")
@click.argument("snapshot_id", metavar="SNAPSHOT")
@located
def put_back(**options: Any) -> None:
    """Put control plane and rows of a stopped appliance back as they were. What is there now is set aside beside it."""
    from appliance.backups import snapshots as kept

    settings = located_settings(options["data_dir"], options["config"]).settings
    with owned(settings.server.data_dir):
        done = kept.put_back(settings, options["snapshot_id"])
    if options["as_json"]:
        say_json(done)
    else:
        click.echo(f"{done.id} is back; what was there is in snapshots/{done.id}/replaced")
        click.echo("the next start refines again what came since")


@snapshot.command("drop", short_help="Remove one.")
@click.argument("snapshot_id", metavar="SNAPSHOT")
@located
def drop(**options: Any) -> None:
    """Remove a snapshot, and what putting it back had set aside."""
    from appliance.backups import snapshots as kept

    kept.drop(located_settings(options["data_dir"], options["config"]).settings, options["snapshot_id"])
    if options["as_json"]:
        say_json({"dropped": options["snapshot_id"]})
    else:
        click.echo("removed")
