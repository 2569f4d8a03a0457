"""``dash-appliance node``: the processes of an installation."""

import socket
from typing import Any

import click

from appliance.cli.answer import say_json
from appliance.cli.asking import asked
from appliance.cli.client import Client, quoted, reaching
from appliance.cli.exits import Exit
from appliance.cli.main import located
from appliance.cli.table import table
from appliance.errors import Conflict, NotFound


@click.group("node", short_help="List the nodes; drain one before it is stopped.")
def command() -> None:
    """List the nodes of a running installation, drain one before it is stopped, forget one that is lost."""


@command.command("list", short_help="List the nodes.")
@reaching
@located
def show(**options: Any) -> int:
    """List the nodes with state and load, as each said at its last heartbeat."""
    with asked(options) as client:
        items = client.get("/nodes")["items"]
    if options["as_json"]:
        say_json(items)
        return Exit.FINE
    heads = ("ID", "NAME", "STATE", "ROLE", "PARTITION", "EVENTS/S", "LAG", "CPU", "VERSION", "ADDRESS")
    table(heads, [_row(one) for one in items], nothing="no node has said anything yet")
    return Exit.FINE


@command.command("drain", short_help="Have a node take on nothing new.")
@click.argument("node", required=False)
@reaching
@located
def drain(node: str | None, **options: Any) -> int:
    """Have NODE (its name or id; without it: the one that answers) take on nothing new and hand over what it holds.

    Until it is told 'resume', or started again. Events that come in even so are taken.
    """
    return _deed(node, "drain", options)


@command.command("resume", short_help="Have a drained node take its part again.")
@click.argument("node", required=False)
@reaching
@located
def resume(node: str | None, **options: Any) -> int:
    """Have NODE (its name or id; without it: the one that answers) take its part of the work again."""
    return _deed(node, "resume", options)


@command.command("forget", short_help="Forget a node that will not come back.")
@click.argument("node")
@reaching
@located
def forget(node: str, **options: Any) -> int:
    """Forget NODE (its name or id), which is gone for good: jobs that it alone could have done are cancelled."""
    with asked(options) as client:
        found = _named(client, node)
        client.delete(f"/nodes/{quoted(found['id'])}")
    if options["as_json"]:
        say_json({"id": found["id"], "forgotten": True})
    else:
        click.echo(f"{found['name']}: forgotten")
    return Exit.FINE


def _deed(node: str | None, deed: str, options: dict[str, Any]) -> int:
    with asked(options) as client:
        found = _named(client, node)
        answer = client.post(f"/nodes/{quoted(found['id'])}/{deed}")
    if options["as_json"]:
        say_json(answer)
    else:
        click.echo(f"{answer['name']}: {answer['state']}")
    return Exit.FINE


def _named(client: Client, wanted: str | None) -> dict[str, Any]:
    """Return the node with this id or name. Raises NotFound, Conflict: several have that name."""
    items = client.get("/nodes")["items"]
    found = [one for one in items if (one["here"] if wanted is None else wanted in (one["id"], one["name"]))]
    if len(found) > 1:
        raise Conflict(f"{len(found)} nodes are called {wanted!r}: say which by its id, see 'node list'")
    if not found:
        there = ", ".join(sorted(one["name"] for one in items)) or "none"
        raise NotFound(f"there is no node {wanted or socket.gethostname()!r}; there are: {there}")
    return dict(found[0])


def _row(one: dict[str, Any]) -> tuple[str, ...]:
    load = one["load"]
    return (
        one["id"], one["name"], one["state"], one["role"], "-" if one["partition"] is None else str(one["partition"]),
        f"{load['events_per_sec']:g}",
        f"{load['lag_events']} ({load['lag_secs']:.1f} s)", f"{load['cpu']:.2f}", one["version"], one["address"],
    )  # fmt: skip
