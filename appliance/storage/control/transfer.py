"""Copies a whole control plane into an empty one, wholly or not at all."""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Final

from sqlalchemy import Table as SqlTable
from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from appliance.errors import Conflict, FatalError
from appliance.storage.control import audit
from appliance.storage.control.audit import Deed
from appliance.storage.control.plane import ControlPlane
from appliance.storage.control.tables import Table
from appliance.storage.control.vault import Vault, agree

BATCH: Final = 500
Counts = dict[str, int]
Told = Callable[[str, int, int], None]  # table, rows copied, rows in all


def counts(plane: ControlPlane) -> Counts:
    """Return the number of rows of each table, in the order in which they are copied; blocking."""
    return plane.read_now(_counts)


def copy(source: ControlPlane, target: ControlPlane, vault: Vault, told: Told, now: datetime) -> Counts:
    """Copy every row of ``source``, prove that all arrived, and note it in the new audit trail; blocking.

    ``vault``: the key with which the secrets are sealed. One transaction on each side: after any error ``target`` is as
    empty as before.

    Raises:
        Conflict: ``target`` is not empty.
        FatalError: what arrived is not what was there.
    """
    return source.read_now(lambda old: target.write_now(lambda new: _copy(old, new, vault, told, now)))


def _copy(old: Session, new: Session, vault: Vault, told: Told, now: datetime) -> Counts:
    if there := [name for name, rows in _counts(new).items() if rows]:
        raise Conflict(
            f"moving the control plane: there are rows already in {', '.join(there)} of where it should go: "
            "name an empty database, or another database.schema"
        )
    expected = _counts(old)
    for table in Table.metadata.sorted_tables:
        for rows in _copy_table(old, new, table):
            told(table.name, rows, expected[table.name])
    _prove(old, new, expected)
    agree(new, vault, now)
    audit.record(new, Deed(organisation_id=None, who="operator", action="database.move", target="control plane"), now)
    return expected


def _copy_table(old: Session, new: Session, table: SqlTable) -> Iterator[int]:
    """Copy a table, and yield after each batch how many rows there are by now."""
    rows = 0
    wanted = select(table).order_by(*table.primary_key).execution_options(yield_per=BATCH)
    for batch in old.execute(wanted).mappings().partitions():
        new.execute(insert(table), [dict(row) for row in batch])
        rows += len(batch)
        yield rows


def _prove(old: Session, new: Session, expected: Counts) -> None:
    arrived = _counts(new)
    trouble = [
        f"{name}: expected {rows}, got {arrived[name]}" for name, rows in expected.items() if arrived[name] != rows
    ]
    trouble += sorted(set(audit.verify(new)) - set(audit.verify(old)))
    if trouble:
        told = f"moving the control plane: the copy differs from what was there: {'; '.join(trouble)}"
        raise FatalError(told, hint="nothing was changed; run 'dash-appliance verify', and report this")


def _counts(tx: Session) -> Counts:
    return {
        table.name: tx.scalar(select(func.count()).select_from(table)) or 0 for table in Table.metadata.sorted_tables
    }
