"""Which node this is: an id that lasts as long as the data directory, kept in it."""

import re
from pathlib import Path
from typing import Final

from appliance.domain.ids import NodeId, new_id
from appliance.errors import FatalError

FILE: Final = "node.id"
_PATTERN: Final = re.compile(r"node_[0-9a-z]{26}")


def node_id(data_dir: Path) -> NodeId:
    """Return the id of the node that lives in ``data_dir``; made the first time. The caller owns the directory.

    Raises:
        FatalError: the file holds something else.
    """
    path = data_dir / FILE
    if not path.exists():
        data_dir.mkdir(parents=True, exist_ok=True)
        beside = path.with_suffix(".new")
        beside.write_text(f"{new_id('node')}\n", "ascii")
        beside.replace(path)
    text = path.read_text("ascii", errors="replace").strip()
    if not _PATTERN.fullmatch(text):
        raise FatalError(
            f"reading the node's id: {path} does not hold one",
            hint="put the file back from a copy; or remove it: Dash becomes a new node then",
        )
    return NodeId(text)
