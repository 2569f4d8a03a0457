"""``dash-appliance check``: lint the configuration."""

import click

from appliance.cli.answer import located_settings, say_json
from appliance.cli.exits import Exit
from appliance.cli.main import located
from appliance.errors import ConfigError


@click.command("check", short_help="Lint the configuration; list every problem.")
@located
def command(data_dir: str | None, config: str | None, as_json: bool, debug: bool) -> int:
    """Read flags, environment and settings file, and list every problem with file, line and a suggestion."""
    try:
        loaded = located_settings(data_dir, config)
    except ConfigError as error:
        if as_json:
            say_json({"fine": False, "problems": error.problems})
        else:
            for problem in error.problems:
                click.echo(str(problem))
        return Exit.CONFIGURATION
    if as_json:
        say_json({"fine": True, "problems": []})
    else:
        click.echo(f"fine: {loaded.file or 'no settings file, defaults and environment only'}")
    return Exit.FINE
