"""Trees over rows of periods that are over: such rows are found by their time, and by group and time.

While rows come, a tree would cost each of them more than all the rest of storing it, so there they are found by ranges
of blocks (``tables``). A period that is over gets its trees in one go. A row that comes late nevertheless costs what it
costs; a generation with keys, whose rows are replaced at any age, has none.
"""

import hashlib
import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final, NamedTuple

import structlog
from sqlglot import exp

from appliance.components.silver import Table
from appliance.domain.mapping import FieldType
from appliance.storage.silver_postgres import names, places
from appliance.storage.silver_postgres.connections import Cursor
from appliance.storage.silver_postgres.database import Database
from appliance.storage.silver_postgres.gold_sheets import try_lock
from appliance.storage.silver_postgres.names import DIALECT
from appliance.storage.silver_postgres.places import Place
from appliance.storage.sql.by_group import groups_of
from appliance.storage.sql.postgresql import ROWS_BIN_US, beginning, binned
from appliance.storage.sql.statement import name

_OVER: Final = timedelta(hours=1)  # after its end a period's rows have come, but for some
_SMALL: Final = 16 << 20  # bytes, in which ranges of blocks find rows as fast
_ROUND_SECS: Final = 120.0
_LOOKING_SECS: Final = 60.0
_OURS: Final = "dash_by_"
_PERIODS: Final = """
SELECT name FROM _periods
WHERE pipeline_id = %(id)s AND generation = %(number)s AND ends <= %(before)s
AND name IS NOT NULL ORDER BY starts DESC
"""
_SIZE: Final = "SELECT coalesce(pg_relation_size(to_regclass(%(rows)s)), 0)"
_TREES: Final = """
SELECT relname FROM pg_catalog.pg_index JOIN pg_catalog.pg_class ON pg_class.oid = indexrelid
WHERE indrelid = to_regclass(%(rows)s) AND starts_with(relname, %(ours)s)
"""
# Who stores rows of that period waits until it is made; who reads does not.
_MAKE: Final = "CREATE INDEX IF NOT EXISTS {tree} ON {rows} ({by}) WITH (fillfactor = 100)"
_DROP: Final = "DROP INDEX IF EXISTS {tree}"
_PATIENCE: Final = "SET LOCAL lock_timeout TO 1000"

log = structlog.get_logger("silver")


class _Due(NamedTuple):
    """What is to be done to a period. ``missing``: what rows are to be found by, by the tree's name."""

    rows: str
    missing: Mapping[str, str]
    others: frozenset[str]


class Trees:
    """What makes them, and drops those whose rollup is gone."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def keep(self, table: Table, now: datetime) -> None:
        """Make what is missing to the live rows of a pipeline with rollups, newest periods first.

        What takes longer than two minutes together stays for the next round.
        """
        doing, ends = f"indexing the rows of {table.pipeline_id}", time.monotonic() + _ROUND_SECS
        for due in self._database.read(doing, _LOOKING_SECS, lambda cursor: _due(cursor, table, now - _OVER)):
            for tree in due.others:
                self._execute(doing, _DROP.format(tree=names.quoted(tree)))
            for tree, by in due.missing.items():
                if time.monotonic() > ends:
                    return
                self._execute(doing, _MAKE.format(tree=names.quoted(tree), rows=due.rows, by=by))
            if due.missing:
                self._execute(doing, f"ANALYZE {due.rows}")
                log.info("silver.indexed", pipeline=table.pipeline_id, period=due.rows, trees=len(due.missing))

    def _execute(self, doing: str, statement: str) -> None:
        def work(cursor: Cursor) -> None:
            if try_lock(cursor, _OURS):  # else another node does it
                cursor.execute(_PATIENCE)
                cursor.execute(statement, {})

        self._database.run(doing, work)


def _due(cursor: Cursor, table: Table, before: datetime) -> list[_Due]:
    place = places.find(cursor, table.pipeline_id)
    if place is None or place.period is None:
        return []
    own = {"id": table.pipeline_id, "number": place.number, "before": before}
    found, by_what = [], _wanted(table, place)
    for (told,) in cursor.execute(_PERIODS, own).fetchall():
        rows, asked = names.quoted(told), {"rows": DIALECT.quoted(told), "ours": _OURS}
        there = {tree for (tree,) in cursor.execute(_TREES, asked).fetchall()}
        wanted = {_named(told, by): by for by in by_what}
        large = cursor.execute(_SIZE, asked).fetchall()[0][0] >= _SMALL
        missing = {tree: by for tree, by in wanted.items() if large and tree not in there}
        if missing or there - wanted.keys():
            found.append(_Due(rows, missing, frozenset(there - wanted.keys())))
    return found


def _wanted(table: Table, place: Place) -> list[str]:
    """Return by what rows are to be found: time, and each field that a rollup groups by.

    Many rows of a group share a bin, and with it an entry of the tree: it takes a fifth of what each row's own time
    would.
    """
    if place.keyed or not table.rollups:
        return []
    stored = {field: kind for field, kind in groups_of(table).items() if place.stored.get(field.lower()) == (kind,)}
    time_bin = DIALECT.render(binned(exp.column(name("_time")), ROWS_BIN_US))
    return ["_time", *(f"{_beginning(field, kind)}, {time_bin}" for field, kind in stored.items())]


def _beginning(field: str, kind: FieldType) -> str:
    """Return what of a group is in a tree; see ``PostgreSql.looked_up``."""
    told = exp.column(name(DIALECT.physical(field)))
    return DIALECT.render(beginning(told) if kind is FieldType.STRING else told)


def _named(rows: str, by: str) -> str:
    return f"{_OURS}{hashlib.blake2b(f'{rows} {by}'.encode(), digest_size=8).hexdigest()}"
