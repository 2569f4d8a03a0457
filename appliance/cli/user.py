"""``dash-appliance user``: who may sign in to an organisation."""

import asyncio
from typing import TYPE_CHECKING, Any, Final

import click

from appliance.cli.answer import located_settings
from appliance.cli.asking import asked, day, listed, one_of, password_in, said
from appliance.cli.client import Client, quoted, reaching
from appliance.cli.data_dir import existing, owned
from appliance.cli.main import located

if TYPE_CHECKING:
    from appliance.services.views import UserView
    from appliance.settings import Settings

ROLES: Final = ("viewer", "editor", "admin")


@click.group("user", short_help="List the people of an organisation; add one, shut one out, set a password.")
def command() -> None:
    """List the people of the token's organisation, add one, change roles, shut somebody out, set a password."""


@command.command("list", short_help="List them.")
@reaching
@located
def show(**options: Any) -> int:
    """List the people with their roles, oldest first."""
    with asked(options) as client:
        items = list(client.items("/users"))
    return listed(items, options, ("ID", "E-MAIL", "ROLE", "STATE", "SINCE"), _row, "there is nobody")


@command.command("create", short_help="Add one.")
@click.argument("email")
@click.option("--role", type=click.Choice(ROLES), default="viewer", show_default=True, help="What they may do.")
@click.option("--password-file", metavar="FILE", required=True, help="Its first line; '-': standard input.")
@reaching
@located
def create(email: str, role: str, password_file: str, **options: Any) -> int:
    """Add somebody who signs in with EMAIL."""
    with asked(options) as client:
        made = client.post("/users", {"email": email, "role": role, "password": password_in(password_file)})
    return said(made, options, f"{made['email']}: may sign in as {made['role']}")


@command.command("role", short_help="Give somebody another role.")
@click.argument("user")
@click.argument("role", type=click.Choice(ROLES))
@reaching
@located
def role(user: str, role: str, **options: Any) -> int:
    """Give USER (e-mail address or id) the role ROLE, from the next request on."""
    with asked(options) as client:
        answer = client.put(f"/users/{_id(client, user)}/role", {"role": role})
    return said(answer, options, f"{answer['email']}: is {answer['role']}")


@command.command("disable", short_help="Shut somebody out, at once.")
@click.argument("user")
@reaching
@located
def disable(user: str, **options: Any) -> int:
    """Shut USER (e-mail address or id) out; sessions end at once. Tokens that they made stay: see 'token list'."""
    with asked(options) as client:
        answer = client.post(f"/users/{_id(client, user)}/disable")
    return said(answer, options, f"{answer['email']}: is shut out")


@command.command("enable", short_help="Let somebody who was shut out in again.")
@click.argument("user")
@reaching
@located
def enable(user: str, **options: Any) -> int:
    """Let USER (e-mail address or id), who was shut out, sign in again."""
    with asked(options) as client:
        answer = client.post(f"/users/{_id(client, user)}/enable")
    return said(answer, options, f"{answer['email']}: may sign in again")


@command.command("password", short_help="Give somebody a new password.")
@click.argument("user")
@click.option("--password-file", metavar="FILE", required=True, help="Its first line; '-': standard input.")
@reaching
@located
def password(user: str, password_file: str, **options: Any) -> int:
    """Give USER (e-mail address or id) a new password; their sessions end."""
    given = {"password": password_in(password_file)}
    with asked(options) as client:
        answer = client.put(f"/users/{_id(client, user)}/password", given)
    return said(answer, options, f"{answer['email']}: has the new password")


@command.command("recover", short_help="Give a password at the machine, when nobody can sign in.")
@click.argument("email")
@click.option("--password-file", metavar="FILE", required=True, help="Its first line; '-': standard input.")
@located
def recover(email: str, password_file: str, **options: Any) -> int:
    """Give whoever signs in with EMAIL a new password, in a stopped appliance whose data directory you may read.

    For the day on which no administrator of an organisation can sign in any more. The audit trail tells of it.
    """
    given = password_in(password_file)
    settings = located_settings(options["data_dir"], options["config"]).settings
    from appliance.observe import logs

    logs.configure("warning", settings.log.format.value)
    with owned(existing(settings.server.data_dir)):
        answer = asyncio.run(_recovered(settings, email, given))
    return said({"id": answer.id, "email": answer.email}, options, f"{answer.email}: has the new password")


async def _recovered(settings: "Settings", email: str, given: str) -> "UserView":
    from appliance import compose

    async with compose.open_offline(settings) as services:
        return await services.users.recover(email, given)


def _id(client: Client, wanted: str) -> str:
    found = one_of(list(client.items("/users")), wanted.strip(), "email", "user")
    return quoted(found["id"])


def _row(one: dict[str, Any]) -> tuple[str, ...]:
    return one["id"], one["email"], one["role"], "shut out" if one["disabled"] else "-", day(one["created_at"])
