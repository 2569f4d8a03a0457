"""What keeps an appliance in a database: others who live there, or events of nodes that one directory cannot hold."""

from collections.abc import Iterator
from pathlib import Path

from sqlalchemy.orm import Session

from appliance.domain.clock import utc_now
from appliance.domain.node import NodeState
from appliance.domain.partition import ALONE
from appliance.errors import ConfigError, Problem
from appliance.storage.control import identity, nodes, partitions

_STAY = (
    "keep the database, which one node can use alone as well: stop the others, and forget them on the page Nodes; "
    "or begin an embedded appliance in a new data directory and point senders at it"
)


def check_alone(tx: Session, data_dir: Path) -> None:
    """Return if the node of ``data_dir`` is the only one that there ever was in its database, but for those that only
    looked.

    Raises:
        ConfigError: a data directory cannot hold what is there.
    """
    if problems := list(_others(tx, data_dir)):
        raise ConfigError(problems)


def _others(tx: Session, data_dir: Path) -> Iterator[Problem]:
    here = identity.known_node(data_dir)
    known = nodes.all_nodes(tx, utc_now)
    names = {one.card.id: one.card.name for one in known}
    for number, node_id in partitions.all_given(tx):
        if number != ALONE:
            told = f"{names.get(node_id, 'a forgotten node')} ({node_id}) was given partition {number} of events"
            yield Problem("database.url", f"{told}, and a data directory holds those of one node", hint=_STAY)
        elif node_id != here:
            told = f"the events of {names.get(node_id, node_id)} are not in this data directory"
            yield Problem("database.url", told, hint="move it back on that node")
    for one in known:
        if one.card.id != here and one.state is not NodeState.GONE:
            told = f"node {one.card.name} ({one.card.role}) uses this database now"
            yield Problem("database.url", told, hint="stop it first")
