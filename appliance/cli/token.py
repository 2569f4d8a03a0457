"""``dash-appliance token``: what programs sign in with."""

from typing import Any

import click

from appliance.cli.asking import asked, day, in_time, listed, one_of, said
from appliance.cli.client import quoted, reaching
from appliance.cli.main import located
from appliance.cli.user import ROLES


@click.group("token", short_help="List API tokens; make one, revoke one.")
def command() -> None:
    """List the API tokens of the token's organisation, make one, revoke one."""


@command.command("list", short_help="List them.")
@click.option("--all", "every", is_flag=True, help="Also those that were revoked.")
@reaching
@located
def show(every: bool, **options: Any) -> int:
    """List the tokens by their first characters, oldest first."""
    with asked(options) as client:
        items = [one for one in client.items("/tokens") if every or not one["revoked"]]
    heads = ("ID", "NAME", "TOKEN", "ROLE", "MADE BY", "LAST USED", "EXPIRES", "STATE")
    return listed(items, options, heads, _row, "there is none")


@command.command("create", short_help="Make one; it is printed once.")
@click.argument("name")
@click.option("--role", type=click.Choice(ROLES), default="viewer", show_default=True, help="What it may do.")
@click.option("--expires-in", metavar="TIME", help="After so long, such as 90d; without it, never.")
@reaching
@located
def create(name: str, role: str, expires_in: str | None, **options: Any) -> int:
    """Make a token called NAME and print it alone on standard output, this once."""
    with asked(options) as client:
        made = client.post("/tokens", {"name": name, "role": role, "expires_at": in_time(expires_in)})
    return said(made, options, made["token"])


@command.command("revoke", short_help="Make one worthless, at once.")
@click.argument("token")
@reaching
@located
def revoke(token: str, **options: Any) -> int:
    """Make TOKEN (its name or id) worthless, at once."""
    with asked(options) as client:
        alive = [one for one in client.items("/tokens") if not one["revoked"] or one["id"] == token]
        found = one_of(alive, token, "name", "token")
        client.delete(f"/tokens/{quoted(found['id'])}")
    return said({"id": found["id"], "revoked": True}, options, f"{found['name']}: revoked")


def _row(one: dict[str, Any]) -> tuple[str, ...]:
    state = "revoked" if one["revoked"] else "-"
    last, expires = day(one["last_used_at"]), day(one["expires_at"])
    return one["id"], one["name"], f"{one['hint']}…", one["role"], one["created_by"], last, expires, state
