"""``dash-appliance backup``: taking, listing, proving and pruning backups."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from appliance.cli.answer import located_settings, say_json
from appliance.cli.backup_progress import Shown, mib
from appliance.cli.backup_snapshot import snapshot
from appliance.cli.client import reaching
from appliance.cli.data_dir import become_owner, owned, owner
from appliance.cli.exits import Exit
from appliance.cli.main import located
from appliance.domain.backup import Backup, Kind
from appliance.domain.backup_keeping import Keeping
from appliance.domain.backup_view import BackupView, view_of
from appliance.domain.clock import utc_now
from appliance.domain.quantity import counted
from appliance.settings import Settings

if TYPE_CHECKING:
    from appliance.backups.opening import Repository
    from appliance.domain.backup import Verdict


@click.group("backup", short_help="Take, list, verify and prune backups; rehearse a restore.")
def command() -> None:
    """Take backups, see that they are good, and rehearse what they are for.

    They go to a folder or an S3 bucket (backup.url, or --to and --from), encrypted with a passphrase where one is set.
    secret.key is in no backup: keep a copy of it elsewhere. 'dash-appliance restore' brings one back.
    """


command.add_command(snapshot)


def placed(option: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add the options that say where backups are."""

    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        told = "Folder, or s3://bucket/prefix [backup.url]."
        command = click.option("--passphrase-file", type=click.Path(), help="File with it [backup.passphrase_file].")(
            command
        )
        return click.option(option, "place", metavar="URL", help=told)(command)

    return add


@command.command("create", short_help="Take a backup now.")
@placed("--to")
@click.option("--full", "kind", flag_value="full", help="Copy all rows anew.")
@click.option("--incremental", "kind", flag_value="incremental", help="Store only what is new (as without either).")
@reaching
@located
def create(**options: Any) -> int:
    """Take a backup; receiving goes on.

    Asks the running appliance, which takes it to backup.url and needs a token; a stopped one is backed up from its data
    directory, also to another place. What is there already is not stored again.
    """
    settings = _settings(options)
    if owner(settings.server.data_dir) is not None or options["url"] is not None:
        from appliance.cli.backup_running import taken_by_running

        backup = taken_by_running(settings, options)
    else:
        backup = view_of(_stopped(settings, options))
    if options["as_json"]:
        say_json(backup)
    else:
        click.echo("\n".join(_taken(backup)))
    return Exit.FINE


@command.command("list", short_help="List the backups that there are.")
@placed("--from")
@located
def list_backups(**options: Any) -> int:
    """List backups, oldest first, with when each was verified. Answers 1 if the manifest of one does not read."""
    repository = _repository(options)
    backups, verdicts, broken = repository.backups(), repository.verdicts(), repository.broken()
    if options["as_json"]:
        items = [view_of(one, verdicts.get(one.id)) for one in backups]
        say_json({"place": repository.place, "encrypted": repository.encrypted, "items": items, "broken": broken})
    else:
        click.echo(f"{repository.place}, {'encrypted' if repository.encrypted else 'not encrypted'}")
        for one in backups:
            click.echo(_line(one, verdicts.get(one.id)))
        for told in broken:
            click.echo(f"does not read: {told}")
        if not backups:
            click.echo("no backups yet: 'dash-appliance backup create' takes one")
    return Exit.FAILED if broken else Exit.FINE


@command.command("verify", short_help="Read a backup whole, and open what it holds.")
@click.argument("backup_id", metavar="[BACKUP]", required=False)
@click.option("--all", "everyone", is_flag=True, help="Verify every backup.")
@click.option("--quick", is_flag=True, help="Compare sums only; do not open databases.")
@placed("--from")
@located
def verify(**options: Any) -> int:
    """Prove the newest backup, or the one named: every byte against its sum, the control plane by SQLite's own check,
    rows opened by DuckDB, each log's chain and ledger. Answers 1 if something is wrong.
    """
    from appliance.backups.proving import prove, scratch_beside

    settings, repository = _settings(options), _repository(options)
    backups = repository.backups() if options["everyone"] else [repository.backup(options["backup_id"])]
    scratch = scratch_beside(settings.server.data_dir)
    found = {}
    for one in backups:
        shown = Shown(f"verifying {one.id}", quiet=options["as_json"])
        found[one.id] = prove(repository, one, None if options["quick"] else scratch, shown)
        shown.end()
    if options["as_json"]:
        say_json(found)
    else:
        for name, verdict in found.items():
            click.echo(f"{name}: {'wrong' if verdict.problems else 'good'}, read in {verdict.took_secs:.1f} s")
            for told in verdict.problems:
                click.echo(f"  {told}")
    return Exit.FAILED if any(one.problems for one in found.values()) else Exit.FINE


@command.command("drill", short_help="Rehearse a restore, and report.")
@click.argument("backup_id", metavar="[BACKUP]", required=False)
@click.option("--key-file", type=click.Path(), help="secret.key [that of the data directory].")
@placed("--from")
@located
def drill(**options: Any) -> int:
    """Restore the newest backup, or the one named, into a folder that goes again; open all of it, prove chains, ledgers
    and audit, and report with times. Needs as much room as the data. Answers 1 if something is wrong.
    """
    from appliance.backups.drilling import drill as rehearse

    settings, repository = _settings(options), _repository(options)
    key = Path(options["key_file"]) if options["key_file"] else settings.server.data_dir / "secret.key"
    shown = Shown("restoring", quiet=options["as_json"])
    done = rehearse(settings, repository, options["backup_id"], key, shown)
    shown.end()
    if options["as_json"]:
        say_json(done)
    else:
        click.echo(
            f"backup {done.backup} of {done.at}: {done.events:,} events, {mib(done.bytes)} in {done.files} files"
        )
        click.echo(
            f"restored in {done.restore_secs:.1f} s, opened and proved in {done.prove_secs:.1f} s: {done.summary}"
        )
        click.echo(f"the first start would refine {done.again:,} events again")
        for found in done.findings:
            click.echo(f"{found.where}: {found.message}\n    -> {found.remedy}")
        click.echo("wrong: do not rely on this backup" if done.findings else "good")
    return Exit.FAILED if done.findings else Exit.FINE


@command.command("prune", short_help="Remove old backups, and what no other needs.")
@click.option("--keep-last", type=click.IntRange(1), help="Keep so many of the newest.")
@click.option("--keep-daily", type=click.IntRange(0), help="Keep the newest of so many days.")
@click.option("--keep-weekly", type=click.IntRange(0), help="Keep the newest of so many weeks.")
@click.option("--keep-monthly", type=click.IntRange(0), help="Keep the newest of so many months.")
@click.option("--dry-run", is_flag=True, help="Say what would go and remove nothing.")
@placed("--from")
@located
def prune(**options: Any) -> int:
    """Remove the backups that are not to be kept (24 of the newest, 7 days, 5 weeks and 12 months, unless said
    otherwise), and the objects that no other backup needs. Never while a backup is taken.
    """
    from appliance.backups.opening import prune as prune_now

    wanted = {name: options[f"keep_{name}"] for name in ("last", "daily", "weekly", "monthly")}
    keeping = Keeping(**{name: value for name, value in wanted.items() if value is not None})
    done = prune_now(_repository(options), keeping, dry_run=options["dry_run"])
    if options["as_json"]:
        say_json(done)
    else:
        would = "would go" if options["dry_run"] else "removed"
        click.echo(
            f"{len(done.backups)} backups and {done.objects} objects ({mib(done.bytes)}) {would}; {done.kept} kept"
        )
    return Exit.FINE


def _settings(options: dict[str, Any]) -> Settings:
    return located_settings(options["data_dir"], options["config"]).settings


def _repository(options: dict[str, Any], *, make: bool = False) -> "Repository":
    from appliance.backups.opening import repository_of
    from appliance.observe import logs

    settings = _settings(options)
    become_owner(settings.server.data_dir)
    logs.configure("warning", settings.log.format.value)
    file = Path(options["passphrase_file"]) if options["passphrase_file"] else None
    return repository_of(settings, options["place"], file, utc_now() if make else None)


def _stopped(settings: Settings, options: dict[str, Any]) -> Backup:
    from appliance.backups.offline import take_offline

    repository, shown = _repository(options, make=True), Shown("backup", quiet=options["as_json"])
    kind = Kind(options["kind"]) if options["kind"] else None
    with owned(settings.server.data_dir):
        backup = take_offline(settings, repository, kind, shown)
    shown.end()
    return backup


def _taken(backup: BackupView) -> list[str]:
    held = f"{counted(backup.events, 'event')} of {counted(backup.pipelines, 'pipeline')}"
    told = [
        f"{backup.id}: {backup.kind.value}, {held}, "
        f"{mib(backup.bytes)}, of which {mib(backup.new_bytes)} were new; {backup.took_secs:.1f} s",
        "secret.key is not in it: keep a copy of that file elsewhere",
    ]
    if backup.database is not None:
        told.append(
            f"rows and control plane are in {backup.database}: back that database up by its own means (pg_dump, or "
            "base backups with WAL archiving); in here are the events of this node only"
        )
    return told


def _line(one: Backup, verdict: "Verdict | None") -> str:
    seen = "never verified"
    if verdict is not None:
        seen = f"{'WRONG' if verdict.problems else 'good'} at {verdict.at:%Y-%m-%d %H:%M} UTC"
    at = f"{one.at:%Y-%m-%d %H:%M:%S} UTC"
    return f"{one.id}  {at}  {one.kind.value:<11}  {mib(one.bytes):>13}  new {mib(one.new_bytes):>13}  {seen}"
