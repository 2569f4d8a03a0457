"""``dash-appliance recover``: when nobody can sign in any more."""

import asyncio
from typing import Any

import click

from appliance.cli.answer import located_settings, say_json
from appliance.cli.data_dir import owned
from appliance.cli.main import located
from appliance.cli.setup import first_line
from appliance.settings import Settings


@click.command("recover", short_help="Let an administrator in again whose password is lost.")
@click.option("--email", required=True, metavar="ADDRESS", help="Whom to let in.")
@click.option(
    "--password-file",
    required=True,
    metavar="FILE",
    help="File whose first line is the new password; '-' reads it from standard input.",
)
@located
def command(email: str, password_file: str, **options: Any) -> None:
    """Give somebody of a stopped appliance a new password, and make them an administrator.

    Somebody who was disabled is let in again. Their sessions end, and the audit trail says that it was done.
    """
    settings = located_settings(options["data_dir"], options["config"]).settings
    password = first_line(password_file)
    from appliance.observe import logs

    logs.configure("warning", settings.log.format.value)
    with owned(settings.server.data_dir):
        known = asyncio.run(_recover(settings, email, password))
    if options["as_json"]:
        say_json({"email": known, "role": "admin"})
    else:
        click.echo(
            f"{known} is an administrator and signs in with the new password; start it with 'dash-appliance serve'"
        )


async def _recover(settings: Settings, email: str, password: str) -> str:
    from appliance import compose
    from appliance.services.passwords import Passwords
    from appliance.services.recovery import Recovery

    async with compose.opened(settings) as it:
        return await Recovery(it.plane, Passwords()).run(email, password)
