"""This node's events among those of others: its partition, its log as they see it, and theirs as it sees them."""

from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from appliance import __version__
from appliance.components.bronze import BronzeLog
from appliance.components.replays import ReplayBook
from appliance.domain.ids import NodeId
from appliance.domain.partition import ALONE, Partition
from appliance.engine.engine import Engine
from appliance.engine.replays import Replays
from appliance.engine.workers import Workers
from appliance.errors import FatalError
from appliance.storage.bronze import FileBronzeLog
from appliance.storage.bronze_cluster.no_log import NoLog
from appliance.storage.control import identity, partitions
from appliance.storage.control.partitions import Directory
from appliance.storage.control.plane import ControlPlane
from appliance.storage.control.vault import KEY_FILE

if TYPE_CHECKING:
    from appliance.api.internal import Internal
    from appliance.engine.shared_replays import SharedReplays


@dataclass(frozen=True, slots=True)
class Events:
    """``own``: the events of this node by outward numbers; ``all``: those of every node, which is what is asked.

    ``room``, ``directory``: None where this node is the only one. ``partition``: None where it keeps no events.
    """

    partition: Partition | None
    own: BronzeLog
    all: BronzeLog
    room: "Internal | None" = None
    directory: Directory | None = None


@dataclass(frozen=True, slots=True)
class Here:
    """The node whose events they are; ``log`` is a NoLog where it keeps none."""

    node_id: NodeId
    partition: Partition
    data_dir: Path
    log: FileBronzeLog | NoLog  # closed by whoever opened it


def joined(here: Here, plane: ControlPlane, workers: Workers, stack: AsyncExitStack) -> Events:
    """Return the events of this node among those of others, who share its database and ``secret.key``.

    ``stack`` is given what is to be closed.
    """
    # What a lone node has no use for, an HTTP client among it.
    from appliance.api.internal import Internal, Me
    from appliance.components.handshake import Seal, internal_key
    from appliance.storage.bronze_cluster import ClusterBronze, Own, RemoteLog
    from appliance.storage.bronze_cluster.caller import Caller

    seal = Seal(internal_key((here.data_dir / KEY_FILE).read_bytes().strip()))
    caller = Caller(seal)
    stack.callback(caller.close)
    keeps = not isinstance(here.log, NoLog)
    own = outward(here.log, here.partition)
    directory = Directory(plane)
    mine = Own(here.partition if keeps else None, own)
    everything = ClusterBronze(mine, directory, lambda holder: RemoteLog(holder, caller))
    room = Internal(Me(here.node_id, __version__), own if keeps else None, seal, partial(workers.run, "internal"))
    return Events(mine.partition, own, everything, room, directory)


def outward(log: FileBronzeLog | NoLog, partition: Partition) -> BronzeLog:
    """Return the log as it is numbered for everybody, where its node has ``partition``."""
    from appliance.storage.bronze_cluster import PartitionLog

    return log if partition == ALONE else PartitionLog(log, partition)


def replaying(engine: Engine, undo_window: timedelta, book: ReplayBook, *, shared: bool) -> "Replays | SharedReplays":
    """Return the replays of this node, which keep ``book``; ``shared``: other nodes may carry them out."""
    own = Replays(engine, book, undo_window)
    if not shared:
        return own
    from appliance.engine.shared_replays import SharedReplays

    return SharedReplays(own, book)


def partition_here(plane: ControlPlane, node_id: NodeId, data_dir: Path, *, shared: bool) -> Partition:
    """Return the partition of the node in ``data_dir``, given to it the first time; blocking.

    ``shared``: the control plane is in a database that other nodes may share; else this node is the only one.

    Raises:
        FatalError: data directory and control plane disagree, or there are no more partitions.
    """
    known = identity.remembered(data_dir)
    given = plane.read_now(lambda tx: partitions.given(tx, node_id))
    if not shared and (several := {known, given} - {None, ALONE}):
        raise FatalError(
            f"{data_dir} holds partition {several.pop()} of the events of several nodes, and there is no database with "
            "them",
            hint="set database.url again: a data directory of one node among several cannot go on alone",
        )
    if given is None and shared:
        given = plane.write_now(lambda tx: partitions.give(tx, node_id, known))
    elif given is None:
        given = plane.write_now(lambda tx: partitions.give_alone(tx, node_id))
    if known not in (None, given):
        raise FatalError(
            f"{data_dir} holds partition {known} of events, and the database has given partition {given} to its node",
            hint=f"the database, or the file '{identity.PARTITION_FILE}', is not the one of this directory; "
            f"put the right one back; if the database is right, write {given} into the file",
        )
    if known is None and shared:
        identity.remember(data_dir, given)
    return given
