"""``dash-appliance setup``: the first run without a browser."""

import asyncio
from typing import Any

import click
import msgspec

from appliance.cli.answer import located_settings, say_json
from appliance.cli.asking import password_in
from appliance.cli.data_dir import owned
from appliance.cli.main import located
from appliance.errors import Invalid, Problem
from appliance.settings import Settings


@click.command("setup", short_help="Set up a new appliance without a browser.")
@click.option("--admin-email", required=True, metavar="ADDRESS", help="The administrator, who signs in with it.")
@click.option(
    "--admin-password-file",
    required=True,
    metavar="FILE",
    help="File whose first line is the password; '-' reads it from standard input.",
)
@click.option("--org", default="Default", metavar="NAME", help="The organisation [Default].")
@click.option("--sample", is_flag=True, help="Also create the sample workspace: this host's metrics on a dashboard.")
@click.option("--print-token", is_flag=True, help="Also create an API token and print it, alone, on standard output.")
@located
def command(
    admin_email: str, admin_password_file: str, org: str, sample: bool, print_token: bool, **options: Any
) -> None:  # fmt: skip
    """Create the organisation and its administrator in a stopped, new appliance. Refuses to run twice."""
    settings = located_settings(options["data_dir"], options["config"]).settings
    request = {
        "admin_email": admin_email,
        "admin_password": password_in(admin_password_file),
        "organisation": org,
        "sample": sample,
        "token": print_token,
    }
    from appliance.observe import logs

    logs.configure("warning", settings.log.format.value)
    with owned(settings.server.data_dir):
        token = asyncio.run(_set_up(settings, request))
    if options["as_json"]:
        say_json({"organisation": org, "admin_email": admin_email, "token": token})
    elif print_token:
        click.echo(token)
    else:
        click.echo(f"set up: {org}, administrator {admin_email}; start it with 'dash-appliance serve'")


async def _set_up(settings: Settings, request: dict[str, object]) -> str | None:
    from appliance import compose
    from appliance.services.views import SetupRequest

    try:
        asked = msgspec.convert(request, SetupRequest)
    except msgspec.ValidationError as error:
        raise Invalid([Problem("", str(error))]) from error
    async with compose.open_offline(settings) as services:
        return (await services.setup.run(asked)).token
