"""What ranges of blocks hold, summed up as rows come: what is not summed up yet is read whole by every query.

The server does it by itself, but not before autovacuum looks in, which may be a minute and millions of rows later.
"""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import structlog

from appliance.components.silver import Table
from appliance.domain.ids import PipelineId
from appliance.errors import TransientError
from appliance.storage.silver_postgres import names, places
from appliance.storage.silver_postgres.connections import Cursor
from appliance.storage.silver_postgres.database import Database

_DUE: Final = 100_000  # rows, which are read in some 20 ms
_PATIENCE: Final = "SET LOCAL lock_timeout TO 100"  # a vacuum under way sums up too, and would be ended by who waits
# Partitions and chunks alike inherit from the table.
_SUM_UP: Final = """
SELECT brin_summarize_new_values(indexrelid)
FROM (SELECT %(rows)s::regclass AS relid UNION ALL
      SELECT inhrelid FROM pg_inherits WHERE inhparent = %(rows)s::regclass) AS part
JOIN pg_index ON indrelid = part.relid JOIN pg_class ON pg_class.oid = indexrelid AND relkind = 'i'
JOIN pg_am ON pg_am.oid = relam AND amname = 'brin'
"""


# What an index of ranges is worth the planner knows only after autovacuum has looked in too. Whole tables would look
# cheaper to it until then; and what it holds for dear, because it must not do otherwise, it would compile.
_BY_RANGE: Final = "SET LOCAL enable_seqscan TO off; SET LOCAL jit TO off"


log = structlog.get_logger("silver")


class Summaries:
    """Counts the rows that this process has stored, by table, and sums up in a thread of its own: no commit waits."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._counting = threading.Lock()
        self._rows: dict[tuple[PipelineId, int | None], int] = {}
        self._under_way: set[tuple[PipelineId, int | None]] = set()
        self._thread = ThreadPoolExecutor(1, "summing-up")  # which begins with the first table that is due

    def stored(self, table: Table, rows: int) -> None:
        """Take note of rows that are committed, and have them summed up soon when there are many new ones."""
        if rows and self._is_due((table.pipeline_id, table.generation), rows):
            try:
                self._thread.submit(self._sum_up, table)
            except RuntimeError:  # the store is being closed
                return

    def close(self) -> None:
        """Finish what is under way, and begin nothing more; a second call does nothing."""
        self._thread.shutdown(wait=True, cancel_futures=True)

    def _is_due(self, key: tuple[PipelineId, int | None], rows: int) -> bool:
        with self._counting:
            total = self._rows.get(key, 0) + rows
            due = total >= _DUE and key not in self._under_way
            self._rows[key] = 0 if due else total
            if due:
                self._under_way.add(key)
            return due

    def _sum_up(self, table: Table) -> None:
        try:
            self._database.run(f"summing up {table.pipeline_id}", lambda cursor: _sum_up(cursor, table))
        except TransientError:
            return  # somebody else does it, or the next time will do
        except Exception as error:  # noqa: BLE001 - the end of a thread; the rows are stored and found, only later
            log.warning("silver.not_summed_up", pipeline=table.pipeline_id, error=str(error))
        finally:
            with self._counting:
                self._under_way.discard((table.pipeline_id, table.generation))


def by_range(cursor: Cursor) -> None:
    """Let the rest of the transaction, which asks for few of the rows, read no more of them than ranges tell it to."""
    cursor.execute(_BY_RANGE)


def _sum_up(cursor: Cursor, table: Table) -> None:
    place = places.find_of(cursor, table)
    if place is not None:
        cursor.execute(_PATIENCE)
        rows = names.tables(table.pipeline_id, place.number)["rows"].replace("%%", "%")
        cursor.execute(_SUM_UP, {"rows": rows})
