"""Events refined again: their rows and dead letters replaced in place, the ledger moved, readers told."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
from sqlglot import exp

from appliance.components.letters import Amendment
from appliance.components.silver import Progress
from appliance.domain.mapping import FieldType
from appliance.domain.partition import base_of, partition_of, spoken
from appliance.errors import Conflict, FatalError
from appliance.storage.silver_postgres import gold, journal, names, outcomes, progress
from appliance.storage.silver_postgres.connections import Cursor
from appliance.storage.silver_postgres.copying import copy, insert_dead, insert_rows
from appliance.storage.silver_postgres.places import Place
from appliance.storage.silver_postgres.supersede import lose
from appliance.storage.silver_postgres.timescale_changes import ranges_to_remove
from appliance.storage.silver_postgres.touched import touched
from appliance.storage.sql.source import rows_of

_OURS: Final = """
CREATE TEMP TABLE amended_rows (
    _row bigint, _time timestamptz, _seq bigint, _item integer, _key uuid, _extra json{columns}
) ON COMMIT DROP
"""
# Every row with a key of the amended ones, and whether it is the last of its key: the order of events decides, not when
# a row was made.
_RIVALS: Final = """
SELECT _row, _seq, _item, _time, row_number() OVER (PARTITION BY _key ORDER BY _seq DESC, _item DESC) = 1 FROM (
    SELECT _row, _seq, _item, _time, _key FROM amended_rows WHERE _key IS NOT NULL
    UNION ALL
    SELECT NULL, _seq, _item, _time, _key FROM {rows}
    WHERE _key IN (SELECT _key FROM amended_rows) AND NOT _seq = ANY(%(seqs)s::bigint[])) AS rivals
"""
_DIFFERENCE: Final = """
SELECT new._row, old._seq, old._item, old._time
FROM (SELECT * FROM {source} WHERE _seq BETWEEN %(least)s AND %(greatest)s AND _seq = ANY(%(seqs)s::bigint[])) AS old
FULL JOIN (SELECT * FROM amended_rows WHERE _row = ANY(%(kept)s::bigint[])) AS new
    ON old._seq = new._seq AND old._item = new._item
WHERE old._seq IS NULL OR new._seq IS NULL OR {differs}
"""
_DELETE: Final = """
DELETE FROM {rows} WHERE _seq BETWEEN %(least)s AND %(greatest)s
AND (_seq, _item) IN (SELECT * FROM unnest(%(seqs)s::bigint[], %(items)s::integer[]))
"""
_DELETE_DEAD: Final = "DELETE FROM {dead} WHERE seq = ANY(%(seqs)s::bigint[])"

Stored = tuple[int, int, datetime]  # _seq, _item, _time of a row


def amend(cursor: Cursor, amendment: Amendment, place: Place, now: datetime) -> None:
    """See ``Letters.amend``; inside the transaction under way.

    Rows that are as they were are not touched: nobody is told of them.
    """
    _check(cursor, amendment, place.number)
    if amendment.seqs:
        _Amending(cursor, amendment, place).run(now)


class _Amending:
    """One amendment, inside its transaction."""

    def __init__(self, cursor: Cursor, amendment: Amendment, place: Place) -> None:
        self._cursor, self._amendment, self._place = cursor, amendment, place
        self._table, self._id, self._number = amendment.table, amendment.table.pipeline_id, place.number
        self._names = names.tables(self._id, place.number)
        seqs = list(amendment.seqs)
        self._own = {"seqs": seqs, "least": seqs[0], "greatest": seqs[-1]}

    def run(self, now: datetime) -> None:
        rows = self._amendment.rows
        rows = rows.append_column("_row", pa.array(range(rows.num_rows), pa.int64()))
        self._send(rows)
        kept, superseded = self._rivals(rows) if self._table.keyed and rows.num_rows else (rows, [])
        became = self._becomes(kept)
        added, removed = self._difference(kept)
        self._move(became)
        journal.remember(self._cursor, (self._id, self._number), became, self._amendment.version, now)
        self._replace(added, [*removed, *superseded], now)
        lost = lose(self._cursor, self._id, self._number, [seq for seq, _, _ in superseded])
        progress.add(self._cursor, self._id, self._number, lost)
        self._cursor.execute("DROP TABLE amended_rows")

    def _send(self, rows: pa.Table) -> None:
        """Put the amended rows beside the stored ones, where the database can compare them."""
        typed = [f", {names.quoted(one.name)} {names.DIALECT.column_type(one.type)}" for one in self._table.columns]
        self._cursor.execute(_OURS.format(columns="".join(typed)), {})
        into = ", ".join(map(names.quoted, rows.column_names))
        copy(self._cursor, f"amended_rows ({into})", rows)

    def _rivals(self, rows: pa.Table) -> tuple[pa.Table, list[Stored]]:
        """Return those of ``rows`` that no later event replaced, and the stored rows that they replace."""
        found = self._cursor.execute(_RIVALS.format(**self._names), self._own).fetchall()
        lost = [own for own, *_, wins in found if own is not None and not wins]
        superseded = [(seq, item, time) for own, seq, item, time, wins in found if own is None and not wins]
        return rows.filter(pc.invert(pc.is_in(rows["_row"], value_set=pa.array(lost, pa.int64())))), superseded

    def _becomes(self, kept: pa.Table) -> dict[int, str]:
        """Return what each event is from now on."""
        dead, stored, had = (
            set(column.to_pylist())
            for column in (self._amendment.dead["seq"], kept["_seq"], self._amendment.rows["_seq"])
        )
        return {
            seq: "dead" if seq in dead else "stored" if seq in stored else "duplicate" if seq in had else "filtered"
            for seq in self._amendment.seqs
        }

    def _difference(self, kept: pa.Table) -> tuple[pa.Table, list[Stored]]:
        """Return the rows that are not stored so, and the stored ones that are not so any more."""
        values = {**self._own, "kept": kept["_row"].to_pylist()}
        found = self._cursor.execute(self._comparison(), values).fetchall()
        new = pa.array([row for row, *_ in found if row is not None], pa.int64())
        removed = [(seq, item, time) for _, seq, item, time in found if seq is not None]
        return kept.filter(pc.is_in(kept["_row"], value_set=new)).drop_columns(["_row"]), removed

    def _comparison(self) -> str:
        source = rows_of(self._table, self._place.stored, names.DIALECT, self._number)
        if self._table.keyed and isinstance(source, exp.Subquery):
            source.this.select(exp.column("_key"), copy=False)
        types = {"_time": FieldType.TIMESTAMP, "_extra": FieldType.JSON}
        types |= {one.name: one.type for one in self._table.columns}
        pairs = [_pair(names.quoted(name), kind) for name, kind in types.items()]
        if self._table.keyed:
            pairs.append(("old._key", "new._key"))
        differs = " OR ".join(f"{old} IS DISTINCT FROM {new}" for old, new in pairs)
        return _DIFFERENCE.format(source=names.DIALECT.render(source), differs=differs)

    def _move(self, became: Mapping[int, str]) -> None:
        moved = outcomes.former(self._cursor, self._id, self._number, list(became))
        known = {event.seq for event in moved if event.was is not None}
        unknown = [seq for seq in became if seq not in known]
        if unknown:
            raise Conflict(
                f"Amending events of {self._id}: what event {unknown[0]} was before is no longer known, for it has"
                " neither rows nor dead letters; choose among the dead letters again, or replay the pipeline."
            )
        outcomes.move(self._cursor, self._id, self._number, [(event, became[event.seq]) for event in moved])

    def _replace(self, added: pa.Table, removed: Sequence[Stored], now: datetime) -> None:
        cursor = self._cursor
        gone = [(seq, item) for seq, item, _ in removed]
        if gone:
            seqs, items = [seq for seq, _ in gone], [item for _, item in gone]
            for within in ranges_to_remove(cursor, self._id, self._number, seqs):
                cursor.execute(_DELETE.format(**self._names), {"seqs": seqs, "items": items, **within})
        insert_rows(cursor, self._table, self._place, added)
        if gone or added.num_rows:
            new = list(zip(added["_seq"].to_pylist(), added["_item"].to_pylist(), strict=True))
            journal.hand_on(cursor, self._id, new, gone, now)
        cursor.execute(_DELETE_DEAD.format(**self._names), self._own)
        insert_dead(cursor, self._table, self._place, self._amendment.dead)
        with touched(cursor, [*added["_time"].to_pylist(), *(time for _, _, time in removed)]) as times:
            gold.recompute(cursor, self._table, self._number, times)


def _pair(name: str, kind: FieldType) -> tuple[str, str]:
    return (f"old.{name}::text", f"new.{name}::text") if kind is FieldType.JSON else (f"old.{name}", f"new.{name}")


def _check(cursor: Cursor, amendment: Amendment, number: int) -> None:
    doing = f"Amending events of {amendment.table.pipeline_id}"
    for of, last in {partition_of(seq): seq for seq in amendment.seqs}.items():
        stood = progress.read(cursor, amendment.table.pipeline_id, number, of) or Progress(base_of(of))
        if last > stood.seq:
            raise Conflict(f"{doing}: event {spoken(last)} is not refined yet, {spoken(stood.seq)} is; wait for it.")
    seqs = pa.array(amendment.seqs, pa.int64())
    for of_rows in (amendment.rows["_seq"], amendment.dead["seq"]):
        if not pc.all(pc.is_in(of_rows, value_set=seqs), min_count=0).as_py():
            raise FatalError(
                f"{doing}: expected rows and dead letters of the events named only, got some of others.",
                hint="this is a fault in refining; report it with the support bundle",
            )
