"""What a node knew last of its pipelines, sealed in a file beside its events.

By it a node that starts while its database is away knows whom to let in. The file may be lost: then such a start fails,
as a node's first one does, and is tried again by whoever started it.
"""

from pathlib import Path
from typing import Final

import msgspec
import structlog

from appliance.components.durable import exchange
from appliance.domain.ids import PipelineId
from appliance.domain.partition import Partition
from appliance.domain.pipeline import Pipeline
from appliance.errors import FatalError
from appliance.storage.control.vault import Vault

FILE: Final = "doors.sealed"

log = structlog.get_logger("appliance")


class LastKnown(msgspec.Struct, frozen=True, kw_only=True):
    """``database``: which one it was learned from. ``refined``: up to which event of this node, at least."""

    database: str
    partition: Partition
    pipelines: list[Pipeline]
    refined: dict[PipelineId, int]


def keep(data_dir: Path, vault: Vault, known: LastKnown) -> None:
    """Write it down, durable when this returns; blocking. The caller owns the directory."""
    exchange(data_dir / FILE, vault.seal(msgspec.json.encode(known).decode()))


def recall(data_dir: Path, vault: Vault, database: str) -> LastKnown | None:
    """Return what was kept; None: nothing was, or of another database, or it cannot be read, which is logged."""
    path = data_dir / FILE
    try:
        known = msgspec.json.decode(vault.unseal(path.read_text("ascii")), type=LastKnown)
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError, msgspec.DecodeError, FatalError) as error:
        log.warning("doors.unreadable", file=str(path), error=str(error))
        return None
    return known if known.database == database else None
