"""``dash-appliance database``: prepare a PostgreSQL for Dash, look at it, and move everything there or back."""

from typing import Any

import click

from appliance.cli.answer import located_settings, say_json
from appliance.cli.database_clean import clean
from appliance.cli.database_move import accept_loss, move, parsed
from appliance.cli.exits import Exit
from appliance.cli.findings import say_findings
from appliance.cli.main import located
from appliance.domain.database.dsn import Dsn
from appliance.errors import ConfigError, Problem
from appliance.settings import Settings


@click.group("database", short_help="Prepare a PostgreSQL for Dash, look at it, move there or back.")
def command() -> None:
    """Prepare a PostgreSQL for Dash, look at it, move everything there or back."""


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


def _named(dsn: str | None, settings: Settings) -> Dsn:
    if dsn is not None:
        return parsed(dsn)
    if settings.database.url is None:
        told = "no database is set: everything is embedded in the data directory"
        raise ConfigError([Problem("database.url", told, "name one: dash-appliance database check DSN")])
    return settings.database.url


command.add_command(move)
command.add_command(accept_loss)
command.add_command(clean)
