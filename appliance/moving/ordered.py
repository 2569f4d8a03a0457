"""A move that was ordered of a running appliance: what goes where, and how far it is, in two files beside its data.

Who may write the data directory may order a move, look at it and withdraw it: the operator, as of a stopped one.
"""

import os
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Final

import msgspec
import structlog

from appliance.components.durable import exchange, sync_directory
from appliance.moving.order import Moved
from appliance.moving.progress import Step
from appliance.placing import ORDERED
from appliance.storage.control.vault import Vault

FILE: Final = ORDERED
TOLD: Final = "move.told"

log = structlog.get_logger("appliance")


class Ordered(msgspec.Struct, frozen=True, kw_only=True):
    """``target``: a DSN, secrets included; None: the data directory. The others: see ``Order``."""

    target: str | None
    at: datetime
    rebuild: bool = False
    accept_loss: bool = False


class State(Enum):
    ORDERED = "ordered"
    MOVING = "moving"
    MOVED = "moved"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        return self in (State.MOVED, State.FAILED, State.CANCELLED)


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How far a move is. ``source``, ``target``: as they may be shown. ``reason``: why it failed."""

    state: State
    source: str
    target: str
    at: datetime
    step: Step | None = None
    reason: str | None = None
    moved: Moved | None = None


def order(data_dir: Path, ordered: Ordered) -> None:
    """Have whoever serves this directory move; blocking. Raises ConfigError: there is no key to seal it with."""
    vault = Vault.open(data_dir, create=False)
    (data_dir / TOLD).unlink(missing_ok=True)
    exchange(data_dir / FILE, vault.seal(msgspec.json.encode(ordered).decode()))
    if os.geteuid() == 0:  # else whoever serves, as somebody else, could not read it
        of = data_dir.stat()
        os.chown(data_dir / FILE, of.st_uid, of.st_gid)


def recall(data_dir: Path) -> Ordered | None:
    """Return what was ordered and has not ended; what cannot be read is withdrawn. Blocking.

    Raises:
        ConfigError, FatalError: it was sealed with a key that is not here.
    """
    if not is_ordered(data_dir):
        return None
    text = Vault.open(data_dir, create=False).unseal((data_dir / FILE).read_text("ascii"))
    try:
        return msgspec.json.decode(text, type=Ordered)
    except msgspec.DecodeError as error:  # of another version
        log.error("move.unreadable", error=str(error))
        withdraw(data_dir)
        return None


def is_ordered(data_dir: Path) -> bool:
    """Return whether there is an order that this process may read."""
    return os.access(data_dir / FILE, os.R_OK)


def withdraw(data_dir: Path) -> bool:
    """Take the order back, whoever carries it out; return whether there was one. Blocking."""
    try:
        (data_dir / FILE).unlink()
    except FileNotFoundError:
        return False
    sync_directory(data_dir)
    return True


def tell(data_dir: Path, standing: Standing) -> None:
    """Say how far it is, to whoever looks; blocking."""
    exchange(data_dir / TOLD, msgspec.json.encode(standing).decode())


def told(data_dir: Path) -> Standing | None:
    """Return what was said last; None: nothing, since the order was given."""
    try:
        return msgspec.json.decode((data_dir / TOLD).read_bytes(), type=Standing)
    except (FileNotFoundError, msgspec.DecodeError):  # of another version
        return None
