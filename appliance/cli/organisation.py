"""``dash-appliance organisation``: whose data a running appliance keeps."""

from typing import Any
from urllib.parse import urlencode

import click

from appliance.cli.asking import asked, day, listed, one_of, password_in, said
from appliance.cli.client import Client, quoted, reaching
from appliance.cli.main import located
from appliance.domain.quantity import shown_size


@click.group("organisation", short_help="List the organisations; make one, rename or delete it.")
def command() -> None:
    """List the organisations of a running appliance, make another, rename or delete one.

    The token is that of an administrator of the organisation that operates the appliance; with another one, 'list'
    shows its own organisation.
    """


@command.command("list", short_help="List them.")
@reaching
@located
def show(**options: Any) -> int:
    """List the organisations with how many people and pipelines each has, and what it received today."""
    with asked(options) as client:
        items = list(client.items("/organisations"))
    heads = ("ID", "NAME", "PEOPLE", "PIPELINES", "EVENTS TODAY", "ROWS", "SINCE", "")
    return listed(items, options, heads, _row, "there is none")


@command.command("create", short_help="Make one, with its first administrator.")
@click.argument("name")
@click.option("--admin-email", metavar="ADDRESS", required=True, help="E-mail address of its first administrator.")
@click.option("--admin-password-file", metavar="FILE", required=True, help="Its first line; '-': standard input.")
@reaching
@located
def create(name: str, admin_email: str, admin_password_file: str, **options: Any) -> int:
    """Make the organisation NAME and its first administrator, who makes everybody else."""
    new = {"name": name, "admin_email": admin_email, "admin_password": password_in(admin_password_file)}
    with asked(options) as client:
        made = client.post("/organisations", new)
    if made["trouble"]:
        click.echo(f"warning: {made['trouble']}", err=True)
    return said(made, options, f"{made['name']}: made, with the id {made['id']}; {admin_email} may sign in")


@command.command("rename", short_help="Call one otherwise.")
@click.argument("organisation")
@click.argument("name")
@reaching
@located
def rename(organisation: str, name: str, **options: Any) -> int:
    """Call ORGANISATION (its name or id) NAME from now on."""
    with asked(options) as client:
        found = _named(client, organisation)
        answer = client.patch(f"/organisations/{quoted(found['id'])}", {"name": name})
    return said(answer, options, f"{found['name']}: is called {answer['name']} now")


@command.command("delete", short_help="Delete one that has no pipelines.")
@click.argument("organisation")
@click.option("--confirm", metavar="NAME", required=True, help="Its name, once more.")
@reaching
@located
def delete(organisation: str, confirm: str, **options: Any) -> int:
    """Delete ORGANISATION (its name or id) with its people, tokens and dashboards. It must have no pipelines."""
    with asked(options) as client:
        found = _named(client, organisation)
        client.delete(f"/organisations/{quoted(found['id'])}?{urlencode({'name': confirm})}")
    return said({"id": found["id"], "deleted": True}, options, f"{found['name']}: deleted")


def _named(client: Client, wanted: str) -> Any:
    return one_of(list(client.items("/organisations")), wanted, "name", "organisation")


def _row(one: dict[str, Any]) -> tuple[str, ...]:
    figures = one["figures"]
    told = ["-"] * 4
    if figures is not None:
        told = [f"{figures[name]:,}" for name in ("people", "pipelines", "events_today")]
        told.append(shown_size(figures["row_bytes"]))
    return one["id"], one["name"], *told, day(one["created_at"]), "operates" if one["operates"] else ""
