"""``dash-appliance version``."""

import platform
import sys
from pathlib import Path

import click

from appliance import __version__
from appliance.cli.answer import say_json
from appliance.errors import NotFound


@click.command("version", short_help="Print the version.")
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
@click.option("--licenses", is_flag=True, help="Print the licences of everything inside, with their texts.")
def command(as_json: bool, licenses: bool) -> None:
    """Print the version of Dash, and with --json what it was built with."""
    if licenses:
        told = _licences()
        if as_json:
            say_json({"version": __version__, "licenses": told})
        else:
            click.echo(told, nl=False)
        return
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


def _licences() -> str:
    page = Path(sys.executable).with_name("THIRD-PARTY-LICENSES.txt")
    if not getattr(sys, "frozen", False) or not page.exists():
        raise NotFound("printing the licences of what is inside: only a built program has them; run 'make binary'")
    return page.read_text("utf-8")
