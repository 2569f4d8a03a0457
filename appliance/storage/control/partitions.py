"""Partitions of events: which node was given which, and what each has received, as they tell one another.

Bronze is each node's own; what is here is only where to look for an event, and how many there are.
"""

from collections.abc import Callable, Sequence
from threading import Lock
from time import monotonic
from typing import Final

import msgspec
from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from appliance.components.partitions import Holder, Holders, Received, ReceivedBook
from appliance.domain.clock import Clock, utc_now
from appliance.domain.ids import NodeId, OrganisationId, PipelineId
from appliance.domain.partition import ALONE, MOST_PARTITIONS, Partition, partition
from appliance.errors import FatalError
from appliance.storage.control.moment import moment
from appliance.storage.control.plane import ControlPlane
from appliance.storage.control.tables import DriftRow, NodeRow, PartitionRow, PipelineRow, ReceivedRow

FRESH_SECS: Final = 1.0  # what was asked of the database counts for so long


def given(tx: Session, node_id: NodeId) -> Partition | None:
    """Return the partition of a node; None: it has none yet."""
    number = tx.scalar(select(PartitionRow.number).where(PartitionRow.node_id == node_id))
    return None if number is None else partition(number)


def all_given(tx: Session) -> list[tuple[int, NodeId]]:
    """Return every partition and whose it is, also of nodes that are forgotten."""
    rows = tx.execute(select(PartitionRow.number, PartitionRow.node_id).order_by(PartitionRow.number))
    return [(number, NodeId(node_id)) for number, node_id in rows]


def give(tx: Session, node_id: NodeId, remembered: int | None, clock: Clock = utc_now) -> Partition:
    """Give a node, which has none, the next partition, or the one that it remembers; nobody else writes meanwhile.

    Raises:
        FatalError: the one that it remembers is another node's, or there are no more.
    """
    if remembered is not None and (other := tx.get(PartitionRow, remembered)) is not None:
        raise FatalError(
            f"this data directory holds partition {remembered} of events, which in this database is node "
            f"{other.node_id}'s",
            hint="if it is a copy of another node's, begin with an empty one that has secret.key alone; if the database"
            " was put back from a backup, remove the file 'node.partition': its events are refined once more then,"
            " under new numbers",
        )
    last = tx.scalar(select(func.max(PartitionRow.number)))
    number = remembered if remembered is not None else 0 if last is None else last + 1
    if number >= MOST_PARTITIONS:
        raise FatalError(
            f"there are partitions of events for {MOST_PARTITIONS} nodes, and all are given",
            hint="start a node again on the data directory of one that is gone, instead of a new one",
        )
    tx.add(PartitionRow(number=number, node_id=node_id, given_at=moment(tx, clock)))
    return partition(number)


def give_alone(tx: Session, node_id: NodeId, clock: Clock = utc_now) -> Partition:
    """Give the first partition to the only node there is, whoever had it.

    Somebody had it if the control plane came here without the node's id, as from a backup or an archive.
    """
    if (former := tx.get(PartitionRow, ALONE)) is not None:
        former.node_id = node_id
    else:
        tx.add(PartitionRow(number=ALONE, node_id=node_id, given_at=moment(tx, clock)))
    return ALONE


def holder(tx: Session, number: int) -> Holder | None:
    """Return who holds a partition; None: it was never given, or its node was forgotten."""
    return _holders(tx).get(number)


def _holders(tx: Session) -> dict[int, Holder]:
    rows = tx.execute(
        select(PartitionRow.number, NodeRow.id, NodeRow.name, NodeRow.address).join(
            NodeRow, NodeRow.id == PartitionRow.node_id
        )
    )
    return {number: Holder(NodeId(of), name, address, number) for number, of, name, address in rows}


def publish(
    tx: Session, partition: int, changed: Sequence[Received], gone: Sequence[PipelineId], clock: Clock = utc_now
) -> None:
    """See ``ReceivedBook.publish``."""
    if gone:
        own = ReceivedRow.partition == partition
        tx.execute(delete(ReceivedRow).where(own, ReceivedRow.pipeline_id.in_(gone)))
    if not changed:
        return
    from sqlalchemy.dialects import postgresql, sqlite  # a lone node, which publishes nothing, does without either

    at = moment(tx, clock)
    insert = sqlite.insert if tx.get_bind().dialect.name == "sqlite" else postgresql.insert
    new = insert(ReceivedRow).values([{**msgspec.structs.asdict(one), "at": at} for one in changed])
    told = {name: new.excluded[name] for name in ("first_seq", "last_seq", "at")}
    tx.execute(new.on_conflict_do_update(index_elements=["pipeline_id", "partition"], set_=told))


def published(tx: Session) -> list[Received]:
    """See ``ReceivedBook.published``."""
    rows = tx.execute(
        select(ReceivedRow.pipeline_id, ReceivedRow.partition, ReceivedRow.first_seq, ReceivedRow.last_seq)
    )
    return [Received(PipelineId(pipeline_id), *numbers) for pipeline_id, *numbers in rows]


def received_by(tx: Session, node_id: str) -> list[tuple[OrganisationId, Received]]:
    """Return what a node has said it has, of pipelines that there are."""
    rows = tx.execute(
        select(PipelineRow.organisation_id, ReceivedRow)
        .join(ReceivedRow, ReceivedRow.pipeline_id == PipelineRow.id)
        .join(PartitionRow, PartitionRow.number == ReceivedRow.partition)
        .where(PartitionRow.node_id == node_id)
    )
    return [
        (OrganisationId(of), Received(PipelineId(one.pipeline_id), one.partition, one.first_seq, one.last_seq))
        for of, one in rows
    ]


def let_go(tx: Session, node_id: str) -> None:
    """Forget what a node said it has, and what it knows of its events. Its partition stays given: see ``give``.

    What was refined of its events stays counted by Silver. What was not is counted no more: nobody has it now.
    """
    own = select(PartitionRow.number).where(PartitionRow.node_id == node_id).scalar_subquery()
    tx.execute(delete(ReceivedRow).where(ReceivedRow.partition == own))
    tx.execute(delete(DriftRow).where(DriftRow.partition == own))


def forget_deleted(tx: Session) -> None:
    """Forget what was said of pipelines that are deleted. A node that has still something of one says so again."""
    tx.execute(delete(ReceivedRow).where(ReceivedRow.pipeline_id.not_in(select(PipelineRow.id))))


class Book:
    """What every node has received, in the control plane."""

    def __init__(self, plane: ControlPlane) -> None:
        self._plane = plane

    def publish(self, partition: int, changed: Sequence[Received], gone: Sequence[PipelineId]) -> None:
        self._plane.write_now(lambda tx: publish(tx, partition, changed, gone), alone=False)

    def published(self) -> list[Received]:
        return self._plane.read_now(published)


class _Known(msgspec.Struct, frozen=True):
    at: float
    given: int
    holders: dict[int, Holder]
    knowing: dict[PipelineId, set[int]]


class Directory:
    """Who holds which partition, and what of: asked of the control plane at most about once a second."""

    def __init__(self, plane: ControlPlane, clock: Callable[[], float] = monotonic) -> None:
        self._plane, self._clock = plane, clock
        self._known: _Known | None = None
        self._asking = Lock()

    def holder(self, partition: int) -> Holder | None:
        return self._now().holders.get(partition)

    def holding(self, pipeline_id: PipelineId) -> list[int]:
        known = self._now()
        return sorted(known.knowing.get(pipeline_id, set()) & known.holders.keys())

    def given(self) -> int:
        return self._now().given

    def held(self) -> list[int]:
        return sorted(self._now().holders)

    def _now(self) -> _Known:
        with self._asking:
            if self._known is None or self._clock() - self._known.at >= FRESH_SECS:
                self._known = self._plane.read_now(self._ask)
            return self._known

    def _ask(self, tx: Session) -> _Known:
        given = tx.scalar(select(func.count()).select_from(PartitionRow)) or 0
        knowing: dict[PipelineId, set[int]] = {}
        for one in published(tx):
            knowing.setdefault(one.pipeline_id, set()).add(one.partition)
        return _Known(self._clock(), given, _holders(tx), knowing)


_: type[Holders] = Directory
_book: type[ReceivedBook] = Book
