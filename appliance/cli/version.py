"""``dash-appliance version``."""

import platform
import sys

import click

from appliance import __version__
from appliance.cli.answer import say_json


@click.command("version", short_help="Print the version.")
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
def command(as_json: bool) -> None:
    """Print the version of Dash, and with --json what it was built with."""
    if not as_json:
        click.echo(f"dash-appliance {__version__}")
        return
    frozen = bool(getattr(sys, "frozen", False))
    say_json(
        {
            "version": __version__,
            "python": platform.python_version(),
            "machine": platform.machine(),
            "built_as": "binary" if frozen else "checkout",
        }
    )
