"""``dash-appliance database clean``: what a move has left in a database, shown; and removed when asked for."""

from typing import Any

import click

from appliance.cli.answer import located_settings, say_json
from appliance.cli.database_move import parsed
from appliance.cli.main import located
from appliance.domain.quantity import shown_size


@click.command("clean", short_help="Remove what a move has left in a database.")
@click.argument("dsn")
@click.option("--yes", is_flag=True, help="Remove it. Without, it is only shown.")
@located
def clean(dsn: str, yes: bool, as_json: bool, **options: Any) -> None:
    """Show the tables that a move out of the database DSN has left there, with --yes remove them, for good.

    The appliance lives elsewhere, as the settings say, and may run meanwhile. Its audit trail has to prove that it was
    moved from there and that nothing has happened there since; else nothing is removed. What is not of Dash stays.
    """
    settings = located_settings(options["data_dir"], options["config"]).settings
    from appliance import placing
    from appliance.moving import leftover
    from appliance.observe import logs

    logs.configure("warning", settings.log.format.value)
    here, there = placing.place_of(settings), placing.access_to(parsed(dsn), settings)
    found = leftover.remove(settings, here, there) if yes else leftover.look(here, there)
    if as_json:
        say_json(found)
        return
    _say(found)


def _say(found: Any) -> None:
    click.echo(f"left in   {found.database}\nlives in  {found.lives_in}")
    for one in found.schemas:
        click.echo(f"schema    {one.schema}, {'rows' if one.organisation else 'what people entered'}")
        for table in one.tables:
            click.echo(f"          {table.name:<44} {shown_size(table.bytes):>10}")
    total = shown_size(sum(table.bytes for one in found.schemas for table in one.tables))
    count = sum(len(one.tables) for one in found.schemas)
    if not found.removed:
        click.echo(f"nothing was removed: --yes removes these {count} tables, {total}, for good")
        return
    click.echo(f"removed: {count} tables, {total}")
    for schema in found.stay:
        click.echo(f"schema {schema} stays: it holds something else, or belongs to somebody else")
