"""Leases on the control plane's table. An epoch rises whenever a lease is taken, and only renewing keeps it."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import ColumnElement, and_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from appliance.components.nodes import Lease, LeaseStore, Sharer, Survey
from appliance.domain.clock import Clock, utc_now
from appliance.domain.ids import NodeId
from appliance.domain.node import NodeState
from appliance.errors import TransientError
from appliance.storage.control.moment import moment
from appliance.storage.control.nodes import all_nodes
from appliance.storage.control.plane import ControlPlane
from appliance.storage.control.tables import LeaseRow

SETTLED_AFTER: Final = timedelta(seconds=30)  # a node that starts again and again moves nothing but what is free
AT_ONCE: Final = 500  # leases in one transaction

_FREE: Final = {"node_id": None, "life": None, "until": None}


class Leases:
    """The leases, for one life of one node."""

    def __init__(
        self,
        plane: ControlPlane,
        node_id: NodeId,
        life: str,
        clock: Clock = utc_now,
        settled_after: timedelta = SETTLED_AFTER,
    ) -> None:
        self._plane, self._clock, self._settled_after = plane, clock, settled_after
        self._node_id, self._life = node_id, life

    def renew(self, secs: float) -> Collection[Lease]:
        def work(tx: Session) -> list[Lease]:
            now = moment(tx, self._clock)
            mine = update(LeaseRow).where(LeaseRow.life == self._life, LeaseRow.until > now)
            kept = mine.values(until=now + timedelta(seconds=secs)).returning(LeaseRow.name, LeaseRow.epoch)
            return [Lease(name, epoch) for name, epoch in tx.execute(kept)]

        return self._plane.write_now(work, alone=False)

    def survey(self) -> Survey:
        return self._plane.read_now(self._survey)

    def _survey(self, tx: Session) -> Survey:
        now = moment(tx, self._clock)
        held = tx.execute(select(LeaseRow.name, LeaseRow.life, LeaseRow.until))
        holders = {name: life if until is not None and until > now else None for name, life, until in held}
        sharers = tuple(
            Sharer(node.card.life, frozenset(node.card.offers), now - node.started_at >= self._settled_after)
            for node in all_nodes(tx, self._clock)
            if node.state is NodeState.RUNNING
        )
        return Survey(sharers, holders)

    def acquire(self, names: Sequence[str], secs: float) -> Collection[Lease]:
        taken: list[Lease] = []
        for at in range(0, len(names), AT_ONCE):
            some = sorted(names[at : at + AT_ONCE])
            taken += self._plane.write_now(lambda tx, some=some: self._acquire(tx, some, secs), alone=False)  # type: ignore[misc]
        return taken

    def _acquire(self, tx: Session, names: Sequence[str], secs: float) -> list[Lease]:
        _make(tx, names)
        free = select(LeaseRow).where(LeaseRow.name.in_(names)).order_by(LeaseRow.name)
        rows = tx.scalars(free.with_for_update(skip_locked=True).execution_options(populate_existing=True)).all()
        now = moment(tx, self._clock)  # after the locks: what is free now stays free
        taken = [row for row in rows if row.until is None or row.until <= now]
        for row in taken:
            row.node_id, row.life, row.epoch = self._node_id, self._life, row.epoch + 1
            row.until = now + timedelta(seconds=secs)
        return [Lease(row.name, row.epoch) for row in taken]

    def release(self, names: Collection[str]) -> None:
        mine = update(LeaseRow).where(LeaseRow.name.in_(names), LeaseRow.life == self._life)
        self._plane.write_now(lambda tx: tx.execute(mine.values(_FREE)), alone=False)


def _make(tx: Session, names: Sequence[str]) -> None:
    """Have a row for each of ``names``; two nodes may do so at once."""
    known = set(tx.scalars(select(LeaseRow.name).where(LeaseRow.name.in_(names))))
    for name in names:
        if name in known:
            continue
        try:
            with tx.begin_nested():
                tx.add(LeaseRow(name=name, epoch=0))
        except IntegrityError:  # the other was quicker: its row does as well
            continue


def fence(tx: Session, lease: Lease, life: str, clock: Clock = utc_now) -> None:
    """Return if ``lease`` is held at this moment, and keep it from changing hands until this transaction ends.

    Raises:
        TransientError: it is not: whoever asks must stop, and write nothing.
    """
    held = select(LeaseRow.until).where(_held(lease, life)).with_for_update(read=True)
    until: datetime | None = tx.execute(held).scalar()
    if until is None or until <= moment(tx, clock):
        raise TransientError(f"the lease {lease.name!r} of epoch {lease.epoch} is held no more: nothing was written")


def _held(lease: Lease, life: str) -> ColumnElement[bool]:
    return and_(LeaseRow.name == lease.name, LeaseRow.life == life, LeaseRow.epoch == lease.epoch)


_: type[LeaseStore] = Leases
