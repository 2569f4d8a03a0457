"""Which node this is: an id that lasts as long as the data directory, and the partition of its events, kept in it."""

import re
from pathlib import Path
from typing import Final

from appliance.domain.ids import NodeId, new_id
from appliance.domain.partition import Partition, partition
from appliance.errors import FatalError

FILE: Final = "node.id"
PARTITION_FILE: Final = "node.partition"
_PATTERN: Final = re.compile(r"node_[0-9a-z]{26}")


def node_id(data_dir: Path) -> NodeId:
    """Return the id of the node that lives in ``data_dir``; made the first time. The caller owns the directory.

    Raises:
        FatalError: the file holds something else.
    """
    if (known := known_node(data_dir)) is not None:
        return known
    data_dir.mkdir(parents=True, exist_ok=True)
    made = NodeId(new_id("node"))
    _write(data_dir / FILE, made)
    return made


def known_node(data_dir: Path) -> NodeId | None:
    """Return the id of the node that lives in ``data_dir``; None: none does yet.

    Raises:
        FatalError: the file holds something else.
    """
    path = data_dir / FILE
    if not path.exists():
        return None
    text = path.read_text("ascii", errors="replace").strip()
    if not _PATTERN.fullmatch(text):
        raise FatalError(
            f"reading the node's id: {path} does not hold one",
            hint="put the file back from a copy; or remove it: Dash becomes a new node then",
        )
    return NodeId(text)


def become(data_dir: Path, node_id: NodeId) -> None:
    """Have a node that was lost live in ``data_dir`` from now on, unless one does already."""
    if known_node(data_dir) is None:
        _write(data_dir / FILE, node_id)


def remembered(data_dir: Path) -> Partition | None:
    """Return the partition that the events in ``data_dir`` are of; None: it was never told.

    Raises:
        FatalError: the file holds something else.
    """
    path = data_dir / PARTITION_FILE
    if not path.exists():
        return None
    try:
        return partition(int(path.read_text("ascii").strip()))
    except ValueError as error:
        raise FatalError(
            f"reading the node's partition: {path} does not hold one",
            hint="put the file back from a copy; or remove it: the database knows which partition this node has",
        ) from error


def remember(data_dir: Path, number: Partition) -> None:
    """Keep the partition beside the events."""
    _write(data_dir / PARTITION_FILE, str(number))


def _write(path: Path, text: str) -> None:
    beside = path.with_suffix(".new")
    beside.write_text(f"{text}\n", "ascii")
    beside.replace(path)
