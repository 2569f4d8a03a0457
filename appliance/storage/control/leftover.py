"""What a move has left in a database: whether a control plane there is the past of this one, and removing it."""

from collections.abc import Sequence
from typing import Final

import msgspec
from sqlalchemy import Table as SqlTable
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from appliance.domain.database.rights import quoted
from appliance.storage.control.schema import VERSIONS
from appliance.storage.control.tables import AuditRow, NodeRow, OrganisationRow, Table
from appliance.storage.control.transfer import MOVED

# Tables that people would name: a partition, or a chunk, is counted with the table that it is of.
_TABLES: Final = """
WITH RECURSIVE within AS (
    SELECT c.oid AS top, c.oid FROM pg_catalog.pg_class AS c
    WHERE relnamespace = to_regnamespace(quote_ident(:name)) AND relkind IN ('r', 'p') AND NOT relispartition
    UNION ALL
    SELECT top, inhrelid FROM within JOIN pg_catalog.pg_inherits ON inhparent = oid
)
SELECT c.relname, sum(pg_catalog.pg_total_relation_size(within.oid))::bigint FROM within
JOIN pg_catalog.pg_class AS c ON c.oid = top GROUP BY c.relname ORDER BY c.relname
"""
_EMPTY_AND_OURS: Final = """
SELECT pg_catalog.pg_has_role(nspowner, 'USAGE') AND NOT EXISTS
    (SELECT FROM pg_catalog.pg_class WHERE relnamespace = n.oid)
FROM pg_catalog.pg_namespace AS n WHERE nspname = :name
"""


class LeftTable(msgspec.Struct, frozen=True):
    """``bytes``: with its indexes, and its partitions or chunks."""

    name: str
    bytes: int


def organisations(tx: Session) -> list[str]:
    """Return the ids of all organisations."""
    return list(tx.scalars(select(OrganisationRow.id).order_by(OrganisationRow.id)))


def tables_in(tx: Session, schema: str) -> list[LeftTable]:
    """Return the tables of a schema of the database, by name."""
    return [LeftTable(name, size) for name, size in tx.execute(text(_TABLES), {"name": schema})]


def has_schema(tx: Session, name: str) -> bool:
    """Return whether the database has a schema of this name."""
    return bool(tx.scalar(text("SELECT to_regnamespace(quote_ident(:name)) IS NOT NULL"), {"name": name}))


def not_past(here: Session, there: Session) -> str | None:
    """Return why what lives ``there`` is not what was moved, in the end, to ``here``; None: it is.

    It is when all that ever happened there is the beginning of what has happened here, the next thing was the move, and
    no node has been seen there since.
    """
    last = there.scalars(select(AuditRow).order_by(AuditRow.sequence.desc()).limit(1)).first()
    if last is None:
        return "nothing ever happened there, so nothing can be told of it"
    same = here.get(AuditRow, last.sequence)
    if same is None or same.digest != last.digest:
        return (
            f"its audit trail ends with {last.action!r} at {last.at:%F %T} UTC, of which this appliance does not know"
        )
    move = here.get(AuditRow, last.sequence + 1)
    if move is None:
        return "it is where this appliance lives"
    if move.action != MOVED:
        return f"this appliance was not moved after what happened there last, but went on with {move.action!r}"
    seen = there.scalar(select(func.max(NodeRow.seen_at)))
    if seen is not None and seen > move.at:
        return f"a node has used it since it was moved, last at {seen:%F %T} UTC"
    return None


def drop_control(tx: Session, schema: str) -> None:
    """Drop the tables of the control plane; anything else in the schema stays."""
    named: Sequence[SqlTable] = Table.metadata.sorted_tables
    told = ", ".join(f"{quoted(schema)}.{quoted(name)}" for name in (*(one.name for one in named), VERSIONS))
    tx.execute(text(f"DROP TABLE IF EXISTS {told}"))


def drop_empty(tx: Session, schema: str) -> bool:
    """Drop a schema that has nothing in it, if we may; return whether it is gone."""
    found = bool(tx.scalar(text(_EMPTY_AND_OURS), {"name": schema}))
    if found:
        tx.execute(text(f"DROP SCHEMA {quoted(schema)}"))
    return found
