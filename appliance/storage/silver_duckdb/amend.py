"""Events refined again: their rows and dead letters replaced in place, the ledger moved, readers told."""

from datetime import datetime
from typing import Final

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
from sqlglot import exp

from appliance.components.letters import Amendment
from appliance.components.silver import Progress, Table
from appliance.domain.ledger import Outcome
from appliance.errors import Conflict, FatalError
from appliance.storage.silver_duckdb import gold, journal, outcomes, spans
from appliance.storage.silver_duckdb.commit import Place, insert_dead, insert_rows, read_progress, with_uuid
from appliance.storage.silver_duckdb.schema import quoted
from appliance.storage.silver_duckdb.transaction import transaction
from appliance.storage.silver_duckdb.views import views
from appliance.storage.sql.dialect import DuckDb
from appliance.storage.sql.source import dead_table, rows_of, rows_table

_DIALECT: Final = DuckDb()
_BECOMES: Final = """
SELECT seq, CASE WHEN seq IN (SELECT seq FROM amended_dead) THEN 'dead'
    WHEN seq IN (SELECT _seq FROM kept_rows) THEN 'stored'
    WHEN seq IN (SELECT _seq FROM amended_rows) THEN 'duplicate' ELSE 'filtered' END AS becomes
FROM amended
"""
# Every row with a key of the amended ones, and whether it is the last of its key: the order of events decides, not when
# a row was made.
_RIVALS: Final = """
SELECT _row, _seq, _item, _time, (_seq, _item) = max((_seq, _item)) OVER (PARTITION BY _key) AS wins FROM (
    SELECT _row, _seq, _item, _time, _key FROM amended_rows WHERE _key IS NOT NULL
    UNION ALL
    SELECT NULL, _seq, _item, _time, _key FROM {rows}
    WHERE _key IN (SELECT _key FROM amended_rows) AND _seq NOT IN (SELECT seq FROM amended))
"""
_DIFFERENCE: Final = """
SELECT new._row, old._seq, old._item, old._time
FROM (SELECT * FROM {source} WHERE _seq IN (SELECT seq FROM amended)) AS old
FULL JOIN kept_rows AS new ON old._seq = new._seq AND old._item = new._item
WHERE old._seq IS NULL OR new._seq IS NULL OR {differs}
"""
_DELETE: Final = """
DELETE FROM {rows} AS stored USING removed_rows
WHERE stored._seq = removed_rows._seq AND stored._item = removed_rows._item
"""
_DELETE_DEAD: Final = "DELETE FROM {dead} WHERE seq IN (SELECT seq FROM amended)"
_LEFT_WITHOUT: Final = """
SELECT _seq AS seq FROM superseded
EXCEPT SELECT _seq FROM {rows} WHERE _seq IN (SELECT _seq FROM superseded)
EXCEPT SELECT seq FROM {dead} WHERE seq IN (SELECT _seq FROM superseded)
"""


def amend(cursor: duckdb.DuckDBPyConnection, amendment: Amendment, place: Place, now: datetime) -> Progress:
    """See ``Letters.amend``; in one transaction. Rows that are as they were are not touched: nobody is told of them."""
    rows = with_uuid(amendment.table, amendment.rows)
    rows = rows.append_column("_row", pa.array(range(rows.num_rows), pa.int64()))
    seqs = pa.array(amendment.seqs, pa.int64())
    given = {
        "amended": pa.table({"seq": seqs}),
        "amended_rows": rows,
        "amended_dead": amendment.dead,
    }
    with views(cursor, given), transaction(cursor):
        _check(cursor, amendment, place.number)
        return _Amending(cursor, amendment.table, place, seqs).run(amendment, rows, now)


class _Amending:
    """One amendment, inside its transaction."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection, table: Table, place: Place, seqs: pa.Array) -> None:
        self._cursor, self._table, self._place = cursor, table, place
        self._id, self._number = table.pipeline_id, place.number
        self._seqs = seqs
        self._names = {
            "rows": quoted(rows_table(table.pipeline_id, place.number)),
            "dead": quoted(dead_table(table.pipeline_id, place.number)),
        }

    def run(self, amendment: Amendment, rows: pa.Table, now: datetime) -> Progress:
        kept, superseded = self._rivals(rows) if self._table.keyed and rows.num_rows else (rows, None)
        with views(self._cursor, {"kept_rows": kept}):
            changed = self._cursor.sql(_BECOMES).to_arrow_table()
            difference = self._cursor.sql(self._difference()).to_arrow_table()
        with views(self._cursor, {"changed": changed}):
            self._move()
            journal.remember(self._cursor, self._id, self._number, amendment.version, now)
        added = kept.filter(pc.is_in(kept["_row"], value_set=difference["_row"].drop_null())).drop_columns(["_row"])
        removed = difference.filter(pc.is_valid(difference["_seq"])).drop_columns(["_row"])
        if superseded is not None:
            removed = pa.concat_tables([removed, superseded.cast(removed.schema)])
        self._replace(added, removed, now)
        lost = 0 if superseded is None else self._lose(superseded)
        return outcomes.add(self._cursor, self._id, self._number, Outcome(stored=-lost, duplicate=lost))

    def _rivals(self, rows: pa.Table) -> tuple[pa.Table, pa.Table]:
        """Return those of ``rows`` that no later event replaced, and the stored rows that they replace."""
        rivals = self._cursor.sql(_RIVALS.format(**self._names)).to_arrow_table()
        losers = rivals.filter(pc.invert(rivals["wins"])).drop_columns(["wins"])
        own = pc.is_valid(losers["_row"])
        lost = losers.filter(own)["_row"]
        superseded = losers.filter(pc.invert(own)).drop_columns(["_row"])
        return rows.filter(pc.invert(pc.is_in(rows["_row"], value_set=lost))), superseded

    def _difference(self) -> str:
        source = rows_of(self._table, self._place.stored, _DIALECT, self._number)
        if self._table.keyed and isinstance(source, exp.Subquery):
            source.this.select(exp.column("_key"), copy=False)
        columns = [
            "_time",
            "_extra",
            *(["_key"] if self._table.keyed else ()),
            *(one.name for one in self._table.columns),
        ]
        differs = " OR ".join(f"old.{name} IS DISTINCT FROM new.{name}" for name in map(quoted, columns))
        return _DIFFERENCE.format(source=source.sql(_DIALECT.sqlglot_name), differs=differs)

    def _move(self) -> None:
        moved = outcomes.former(self._cursor, self._id, self._number)
        known = moved.filter(pc.is_valid(moved["was"]))["seq"]
        unknown = self._seqs.filter(pc.invert(pc.is_in(self._seqs, value_set=known)))
        if len(unknown):
            raise Conflict(
                f"Amending events of {self._id}: what event {unknown[0]} was before is no longer known, for it has"
                " neither rows nor dead letters; choose among the dead letters again, or replay the pipeline."
            )
        outcomes.move(self._cursor, self._id, self._number, moved)

    def _replace(self, added: pa.Table, removed: pa.Table, now: datetime) -> None:
        cursor = self._cursor
        with views(cursor, {"added_rows": added, "removed_rows": removed}):
            if removed.num_rows:
                cursor.execute(_DELETE.format(**self._names))
            if added.num_rows:
                insert_rows(cursor, self._table, self._place, "added_rows")
            if added.num_rows or removed.num_rows:
                journal.hand_on(cursor, self._id, now)
        cursor.execute(_DELETE_DEAD.format(**self._names))
        insert_dead(cursor, self._table, self._place, "amended_dead")
        touched = pa.concat_tables(
            [added.select(["_time"]), removed.select(["_time"]).cast(added.select(["_time"]).schema)]
        )
        with views(cursor, {"touched_rows": touched}):
            gold.recompute(cursor, self._table, self._number, "touched_rows")

    def _lose(self, superseded: pa.Table) -> int:
        """Count stored events that have no row left as duplicate; return how many."""
        with views(self._cursor, {"superseded": superseded}):
            lost = self._cursor.sql(_LEFT_WITHOUT.format(**self._names)).to_arrow_table()
        if lost.num_rows:
            with views(self._cursor, {"lost_events": lost}):
                spans.lose(self._cursor, self._id, self._number, "lost_events")
        return int(lost.num_rows)


def _check(cursor: duckdb.DuckDBPyConnection, amendment: Amendment, number: int) -> None:
    doing = f"Amending events of {amendment.table.pipeline_id}"
    progress = read_progress(cursor, amendment.table.pipeline_id, number) or Progress()
    if amendment.seqs and amendment.seqs[-1] > progress.seq:
        raise Conflict(f"{doing}: event {amendment.seqs[-1]} is not refined yet, {progress.seq} is; wait for it.")
    seqs = pa.array(amendment.seqs, pa.int64())
    for of in (amendment.rows["_seq"], amendment.dead["seq"]):
        if not pc.all(pc.is_in(of, value_set=seqs), min_count=0).as_py():
            raise FatalError(
                f"{doing}: expected rows and dead letters of the events named only, got some of others.",
                hint="this is a fault in refining; report it with the support bundle",
            )
