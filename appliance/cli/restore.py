"""``dash-appliance restore``: bringing a backup back, on this machine or another."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from appliance.cli.answer import located_settings, say_json
from appliance.cli.backup_progress import Shown, mib
from appliance.cli.data_dir import owned
from appliance.cli.main import located
from appliance.domain.clock import utc_now

if TYPE_CHECKING:
    from appliance.backups.restoring import Plan


@click.command("restore", short_help="Bring a backup back into an empty data directory.")
@click.argument("source", metavar="[SOURCE]", required=False)
@click.option("--backup", "backup_id", metavar="ID", help="Which; without it, the newest.")
@click.option("--passphrase-file", type=click.Path(), help="File with the passphrase [backup.passphrase_file].")
@click.option("--organisation", metavar="ORG", help="Only what belongs to this organisation.")
@click.option("--set-aside", is_flag=True, help="Keep what is in the data directory beside what is restored.")
@click.option("--dry-run", is_flag=True, help="Judge everything, say what would happen, write nothing.")
@located
def command(**options: Any) -> None:
    """Bring a backup back from SOURCE (a folder or s3://bucket/prefix [backup.url]) into the data directory.

    Names, sizes, sums, versions and room are judged before anything is written. The data directory must be empty, save
    for secret.key, which is in no backup: put your copy there. Host, user and path may be others than before.
    """
    settings = located_settings(options["data_dir"], options["config"]).settings
    from appliance.backups.opening import repository_of
    from appliance.backups.restoring import Restoration, Wanted
    from appliance.observe import logs

    logs.configure("warning", settings.log.format.value)
    file = Path(options["passphrase_file"]) if options["passphrase_file"] else None
    repository = repository_of(settings, options["source"], file)
    wanted = Wanted(backup_id=options["backup_id"], organisation=options["organisation"], aside=options["set_aside"])
    folder, now = settings.server.data_dir, utc_now()
    if options["dry_run"]:
        _say(Restoration(repository, folder, wanted, now).plan, done=False, as_json=options["as_json"])
        return
    shown = Shown("restoring", quiet=options["as_json"])
    Restoration(repository, folder, wanted, now)  # judged before the folder is made
    with owned(folder):
        plan = Restoration(repository, folder, wanted, now).run(shown)
    shown.end()
    _say(plan, done=True, as_json=options["as_json"])


def _say(plan: "Plan", *, done: bool, as_json: bool) -> None:
    if as_json:
        document = {name: getattr(plan, name) for name in plan.__struct_fields__ if name != "backup"}
        say_json({"backup": plan.backup.id, "at": plan.backup.at, "done": done, **document})
        return
    of = f"organisation {plan.organisation} of " if plan.organisation else ""
    would = "restored" if done else "would restore"
    at = f"{plan.backup.at:%Y-%m-%d %H:%M:%S} UTC"
    click.echo(
        f"{would} {of}backup {plan.backup.id} of {at}: {plan.files} files, {mib(plan.bytes)}, to {plan.data_dir}"
    )
    if plan.aside:
        click.echo(f"what was there {'is' if done else 'would be'} in {plan.data_dir}/{plan.aside}")
    for told in (*plan.notes, *([plan.key] if plan.key else [])):
        click.echo(told)
