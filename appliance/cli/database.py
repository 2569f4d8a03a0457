"""``dash-appliance database``: prepare a PostgreSQL for Dash, look at it, and move the control plane there or back."""

from typing import Any, Final

import click

from appliance.cli.answer import located_settings, say_json
from appliance.cli.data_dir import owned
from appliance.cli.exits import Exit
from appliance.cli.findings import say_findings
from appliance.cli.main import located
from appliance.domain.database.dsn import Dsn
from appliance.errors import ConfigError, Problem
from appliance.settings import Settings

EMBEDDED: Final = "embedded"


@click.group("database", short_help="Prepare a PostgreSQL for Dash, look at it, move there or back.")
def command() -> None:
    """Prepare a PostgreSQL for Dash, look at it, move the control plane there or back."""


@command.command("sql", short_help="Print the SQL that a DBA runs once.")
@click.option("--schema", metavar="NAME", help="Schema of what people enter [database.schema].")
@click.option("--owner", metavar="ROLE", help="A role without login that owns everything [the user itself].")
@click.option("--user", metavar="ROLE", help="What Dash signs in as [that of database.url, else dash].")
@click.option("--database", "name", metavar="NAME", help="The database [that of database.url, else dash].")
@click.option("--beforehand", is_flag=True, help="Make every schema now, and give no right to make others.")
@click.option("--organisation", "organisations", metavar="ID", multiple=True, help="With --beforehand: has rows.")
@located
def sql(organisations: tuple[str, ...], beforehand: bool, **options: Any) -> None:
    """Print the roles, rights and schemas that Dash needs in a PostgreSQL, as a script for psql.

    A superuser of the server runs it, as often as need be: what is there already stays as it is.
    """
    from appliance.domain.database.rights import Plan, dba_sql

    settings = located_settings(options["data_dir"], options["config"]).settings
    url = settings.database.url
    plan = Plan(
        database=options["name"] or (url.database if url else "dash"),
        schema=options["schema"] or settings.database.schema,
        user=options["user"] or (url.user if url else None) or "dash",
        owner=options["owner"],
        beforehand=beforehand or bool(organisations),
        organisations=organisations,
    )
    if options["as_json"]:
        say_json({"sql": dba_sql(plan)})
    else:
        click.echo(dba_sql(plan), nl=False)


@command.command("check", short_help="Look at a database; each trouble with a remedy.")
@click.argument("dsn", required=False)
@located
def check(dsn: str | None, data_dir: str | None, config: str | None, as_json: bool, debug: bool) -> int:
    """Look at the database DSN (or the one of the settings) and its replicas, and change nothing there.

    Without DSN the password stays out of the shell's history: set DASH_DATABASE_URL, or DASH_DATABASE_PASSWORD_FILE.
    Answers 1 if something is bad.
    """
    settings = located_settings(data_dir, config).settings
    from appliance.placing import access_to, need_of, replicas_of
    from appliance.storage.control.examination import examine

    found = examine(access_to(_named(dsn, settings), settings), need_of(settings), replicas_of(settings))
    say_findings(found.findings, as_json=as_json, intentions=found.intentions)
    if not as_json:
        for line in found.intentions:
            click.echo(f"plan  {line}")
    return Exit.FINE if found.usable else Exit.FAILED


@command.command("move", short_help="Move the control plane of a stopped appliance.")
@click.option("--to", "target", required=True, metavar="DSN|embedded", help="Where it goes.")
@click.option("--dry-run", is_flag=True, help="Say what would happen and change nothing.")
@located
def move(target: str, dry_run: bool, as_json: bool, **options: Any) -> None:
    """Copy accounts, pipelines, dashboards, jobs and audit of a stopped appliance into an empty database, or back.

    Where they are now is what the settings say, and stays as it is. Either everything arrives, which is proved by
    counting and by the audit chain, or nothing does. Events stay where they are; rows are made again from them.
    """
    settings = located_settings(options["data_dir"], options["config"]).settings
    from appliance import moving, placing
    from appliance.observe import logs

    logs.configure("warning", settings.log.format.value)
    folder = settings.server.data_dir
    source = _source(settings, target)
    goal = folder / placing.CONTROL_FILE if target == EMBEDDED else placing.access_to(_parsed(target), settings)
    with owned(folder):
        if dry_run:
            say_plan(moving.plan(folder, source), (source, goal), as_json=as_json)
            return
        done = moving.move(folder, source, goal, _shown(as_json))
    if as_json:
        say_json(done)
        return
    click.echo(f"moved: {sum(done.counts.values())} rows from {done.source} to {done.target}")
    if done.set_aside:
        click.echo(f"what was in the way is kept as {done.set_aside}")
    click.echo(_NEXT_EMBEDDED if target == EMBEDDED else _NEXT_DATABASE)


_NEXT_DATABASE: Final = """next: set DASH_DATABASE_URL (or database.url) to that database, then start.
Rows are made again from Bronze at the first start; what retention has removed from there cannot come back.
The former file stays as it is; Dash will not start on it by mistake."""
_NEXT_EMBEDDED: Final = """next: unset DASH_DATABASE_URL (or database.url), then start.
Rows are made again from Bronze at the first start; what retention has removed from there cannot come back."""


def say_plan(counts: dict[str, int], places: tuple[Any, Any], *, as_json: bool) -> None:
    """Print what would be moved."""
    from appliance.moving import name_of

    source, target = map(name_of, places)
    if as_json:
        say_json({"source": source, "target": target, "counts": counts})
        return
    click.echo(f"from  {source}\nto    {target}")
    for table, rows in counts.items():
        click.echo(f"      {table:<18} {rows:>9}")
    click.echo("nothing was changed: leave --dry-run out to move it")


def _shown(as_json: bool) -> Any:
    def told(table: str, rows: int, total: int) -> None:
        if not as_json:
            click.echo(f"{table:<18} {rows:>9} of {total}", err=True)

    return told


def _source(settings: Settings, target: str) -> Any:
    from appliance import placing

    embedded = settings.server.data_dir / placing.CONTROL_FILE
    if target != EMBEDDED:
        return embedded  # also where database.url says already where it is to be
    place = placing.access_of(settings)
    if place is None:
        raise ConfigError([Problem("database.url", "the control plane is embedded already", "nothing has to be moved")])
    return place


def _named(dsn: str | None, settings: Settings) -> Dsn:
    if dsn is not None:
        return _parsed(dsn)
    if settings.database.url is None:
        told = "no database is set: everything is embedded in the data directory"
        raise ConfigError([Problem("database.url", told, "name one: dash-appliance database check DSN")])
    return settings.database.url


def _parsed(dsn: str) -> Dsn:
    try:
        return Dsn.parse(dsn)
    except ValueError as error:
        raise ConfigError([Problem("DSN", str(error))]) from error
