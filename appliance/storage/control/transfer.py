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
from appliance.storage.control.keeping import forget, remember, remembered
from appliance.storage.control.plane import ControlPlane
from appliance.storage.control.tables import SettingRow, Table
from appliance.storage.control.vault import Vault, agree

BATCH: Final = 500
MOVED: Final = "database.move"  # the audit entry with which a control plane that was moved begins its own life
_CHANGED_BY_COPY: Final = ("audit", "setting")  # by that entry, and by what is remembered of the key
_UNDER_WAY: Final = "move.under_way"  # a setting of a control plane that nobody lives in yet: from where
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


def begin(target: ControlPlane, source: str, now: datetime) -> None:
    """Mark ``target`` as what something is being moved to from ``source``, until ``copy`` is done; blocking.

    Raises:
        Conflict: it is not empty, or something else is being moved to it.
    """

    def mark(tx: Session) -> None:
        _check_begin(tx, source)
        forget(tx, _UNDER_WAY)
        remember(tx, _UNDER_WAY, {"from": source}, now)

    target.write_now(mark)


def check(target: ControlPlane, source: str) -> None:
    """Return if ``begin`` would not refuse; blocking, changes nothing. Raises Conflict."""
    if target.is_there():
        target.read_now(lambda tx: _check_begin(tx, source))


def has_arrived(old: Session, new: Session) -> bool:
    """Return whether ``new`` is what ``copy`` makes of ``old``, and nothing has happened in either since."""
    last = audit.last(new)
    if last is None or last.action != MOVED or last.previous != audit.head(old) or under_way(new) is not None:
        return False
    before, after = _counts(old), _counts(new)
    return all(rows == after[name] for name, rows in before.items() if name not in _CHANGED_BY_COPY)


def under_way(tx: Session) -> str | None:
    """Return from where something is being moved here; None: nothing is."""
    found = remembered(tx, _UNDER_WAY)
    return None if found is None else str(found["from"])


def _copy(old: Session, new: Session, vault: Vault, told: Told, now: datetime) -> Counts:
    forget(new, _UNDER_WAY)
    _check_empty(new)
    expected = _counts(old)
    for table in Table.metadata.sorted_tables:
        for rows in _copy_table(old, new, table):
            told(table.name, rows, expected[table.name])
    _prove(old, new, expected)
    agree(new, vault, now)
    audit.record(new, Deed(organisation_id=None, who="operator", action=MOVED, target="control plane"), now)
    return expected


def _check_begin(tx: Session, source: str) -> None:
    before = under_way(tx)
    if before not in (None, source):
        raise Conflict(
            f"moving {source}: a move of {before} to the same database was begun and not ended; "
            "end that one, or name an empty database or another database.schema"
        )
    _check_empty(tx, marked=before is not None)


def _check_empty(new: Session, *, marked: bool = False) -> None:
    """Raise Conflict where there is anything. ``marked``: but for the mark of ``begin``."""
    found = _counts(new)
    found[SettingRow.__tablename__] -= marked
    if there := [name for name, rows in found.items() if rows]:
        raise Conflict(
            f"moving the control plane: there are rows already in {', '.join(there)} of where it should go: "
            "name an empty database, or another database.schema; what a move has left, 'database clean' removes"
        )


def _copy_table(old: Session, new: Session, table: SqlTable) -> Iterator[int]:
    """Copy a table, and yield after each batch how many rows there are by now."""
    rows = 0
    wanted = select(table).order_by(*table.primary_key).execution_options(yield_per=BATCH)
    with old.execute(wanted) as found:  # a cursor in the server, which is to be closed also after an error
        for batch in found.mappings().partitions():
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
