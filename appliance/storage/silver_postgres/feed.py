"""Rows in the order of commits, for readers with a checkpoint of their own."""

from typing import Any, Final

import pyarrow as pa
from msgspec.structs import replace

from appliance.components.feed import Feed, FeedPlace
from appliance.components.silver import Table
from appliance.domain.clock import Clock
from appliance.domain.partition import partition_of
from appliance.storage.silver_postgres import fetched, names, places, progress
from appliance.storage.silver_postgres.connections import Cursor
from appliance.storage.silver_postgres.database import Database
from appliance.storage.silver_postgres.journal import hand_on_again
from appliance.storage.silver_postgres.locks import Lock
from appliance.storage.silver_postgres.places import Place
from appliance.storage.silver_postgres.reads import source_of
from appliance.storage.silver_postgres.summaries import by_range
from appliance.storage.sql import answers
from appliance.storage.sql.records import field_types
from appliance.storage.sql.statement import Statement

_LAST: Final = "SELECT coalesce(max(number), 0) FROM _amendments WHERE pipeline_id = %(id)s"
# Of events that the reader has passed: each partition has a place of its own.
_PASSED: Final = """EXISTS (
    SELECT FROM unnest(%(seqs)s::bigint[]) AS passed(seq)
    WHERE a.seq <= passed.seq AND a.seq > (passed.seq >> 44 << 44)
)"""
_AMENDED_UP_TO: Final = """
SELECT number FROM _amendments AS a WHERE pipeline_id = %(id)s AND number > %(amendment)s AND {passed}
ORDER BY number LIMIT 1 OFFSET %(limit)s - 1
"""
_AMENDED: Final = """
SELECT {fields} FROM {source} JOIN _amendments AS a ON a.seq = r._seq AND a.item = r._item
WHERE a.pipeline_id = %(id)s AND a.number > %(amendment)s AND a.number <= %(up_to)s AND {passed}
AND r._seq BETWEEN %(least)s AND %(greatest)s ORDER BY r._seq, r._item
"""
_BOUNDS: Final = """
SELECT coalesce(min(seq), 0), coalesce(max(seq), 0) FROM _amendments AS a
WHERE pipeline_id = %(id)s AND number > %(amendment)s AND number <= %(up_to)s AND {passed}
"""
_COMMITTED_UP_TO: Final = """
SELECT max(_seq), count(*) FROM (
    SELECT _seq FROM {rows} WHERE _seq > %(seq)s AND _seq <= %(end)s ORDER BY _seq LIMIT %(limit)s) AS first
"""
_COMMITTED: Final = """
SELECT {fields} FROM {source} WHERE r._seq > %(seq)s AND r._seq <= %(up_to)s ORDER BY r._seq, r._item
"""
_EVENTS_A_ROW: Final = 2  # looked at first; then ten times as many, and so on


class PostgresFeed:
    """The ``feed`` of a PostgresSilver.

    A place means: of every event up to that of its partition all rows were handed out, as they were with the amendments
    up to ``amendment``, which are numbered across partitions. So amendments come first, and later events only when no
    amendment is left: they are read as they are now, with whatever has been amended since.
    """

    def __init__(self, database: Database, timeout_secs: float, clock: Clock) -> None:
        self._database, self._timeout_secs, self._clock = database, timeout_secs, clock

    def end(self, table: Table) -> FeedPlace:
        def work(cursor: Cursor) -> FeedPlace:
            place = places.find_of(cursor, table)
            reached = progress.read_all(cursor, table.pipeline_id, place.number) if place else {}
            return FeedPlace.at((one.seq for one in reached.values()), _last_amendment(cursor, table))

        return self._database.read(f"reading the end of {table.pipeline_id}", self._timeout_secs, work)

    def read(self, table: Table, after: FeedPlace, limit: int) -> tuple[pa.Table, FeedPlace]:
        def work(cursor: Cursor) -> tuple[pa.Table, FeedPlace]:
            place = places.find_of(cursor, table)
            reading = _Reading(cursor, table, place)
            return reading.run(after, max(1, limit)) if place else (reading.nothing, after)

        return self._database.read(f"reading new rows of {table.pipeline_id}", self._timeout_secs, work)

    def again(self, table: Table, first_seq: int, last_seq: int) -> int:
        def work(cursor: Cursor) -> int:
            place = places.enter(cursor, table, Lock.ALONE)
            if place is None:
                return 0
            return hand_on_again(cursor, table.pipeline_id, place.number, (first_seq, last_seq), self._clock())

        doing = f"handing on rows of {table.pipeline_id} again"
        return self._database.write(doing, work, table.pipeline_id)


class _Reading:
    """One read, of one snapshot."""

    def __init__(self, cursor: Cursor, table: Table, place: Place | None) -> None:
        self._cursor, self._table = cursor, table
        self._number = place.number if place else 1
        types = field_types(table)
        self._schema = answers.rows_schema(types)
        fields = ", ".join(f"r.{names.quoted(field)}" for field in types)
        source = names.DIALECT.render(source_of(table, place))
        self._names = {
            "source": source,
            "fields": fields,
            "passed": _PASSED,
            **names.tables(table.pipeline_id, self._number),
        }
        self.nothing = self._schema.empty_table()

    def run(self, after: FeedPlace, limit: int) -> tuple[pa.Table, FeedPlace]:
        by_range(self._cursor)
        last = _last_amendment(self._cursor, self._table)
        amended, up_to = self._amended(after, last, limit)
        if up_to < last:
            return amended, replace(after, amendment=up_to)
        place = replace(after, amendment=max(up_to, after.amendment))
        if amended.num_rows >= limit:
            return amended, place
        return self._later(amended, place, limit)

    def _later(self, amended: pa.Table, place: FeedPlace, limit: int) -> tuple[pa.Table, FeedPlace]:
        """Return ``amended`` and rows of later events, a share for each partition that has any."""
        reached = progress.read_all(self._cursor, self._table.pipeline_id, self._number)
        ahead = [one.seq for of, one in reached.items() if one.seq > place.up_to(of)]
        parts, left = [amended], limit - amended.num_rows
        for waiting, end in zip(range(len(ahead), 0, -1), ahead, strict=True):
            share = max(1, left // waiting)
            committed, seq = self._committed(place.up_to(partition_of(end)), end, share)
            place, left = place.moved(seq), left - committed.num_rows
            parts.append(committed)
        return pa.concat_tables(parts), place

    def _amended(self, after: FeedPlace, last: int, limit: int) -> tuple[pa.Table, int]:
        """Return rows that came about behind the reader's back, and up to which amendment that is."""
        if last <= after.amendment:
            return self.nothing, last
        own: dict[str, Any] = {
            "id": self._table.pipeline_id, "amendment": after.amendment, "seqs": list(after.seqs),
        }  # fmt: skip
        full = self._cursor.execute(_AMENDED_UP_TO.format(passed=_PASSED), {**own, "limit": limit}).fetchall()
        own["up_to"] = up_to = full[0][0] if full else last
        least, greatest = self._cursor.execute(_BOUNDS.format(passed=_PASSED), own).fetchall()[0]
        return self._rows(_AMENDED, {**own, "least": least, "greatest": greatest}, limit), up_to

    def _committed(self, seq: int, end: int, limit: int) -> tuple[pa.Table, int]:
        """Return rows of events after ``seq``, of the same partition, and up to which event that is."""
        up_to = self._up_to(seq, end, limit)
        return self._rows(_COMMITTED, {"seq": seq, "up_to": up_to}, limit), up_to

    def _up_to(self, seq: int, end: int, limit: int) -> int:
        """Return the event of the last of ``limit`` rows; ``end`` if there are fewer.

        A stretch of events is looked at after the other, each ten times as long: to sort what a reader has before it
        that is far behind would take longer each time than to read the rows wanted.
        """
        looked, length, wanted = seq, _EVENTS_A_ROW * limit, limit
        while looked < end:
            bounds = {"seq": looked, "end": min(end, looked + length), "limit": wanted}
            last, count = self._cursor.execute(_COMMITTED_UP_TO.format(**self._names), bounds).fetchall()[0]
            if count == wanted:
                return int(last)
            looked, length, wanted = looked + length, 10 * length, wanted - count
        return end

    def _rows(self, sql: str, values: dict[str, Any], most: int) -> pa.Table:
        return fetched.as_schema(self._cursor, Statement(sql.format(**self._names), values), self._schema, most)


def _last_amendment(cursor: Cursor, table: Table) -> int:
    found: int = cursor.execute(_LAST, {"id": table.pipeline_id}).fetchall()[0][0]
    return found


_: type[Feed] = PostgresFeed
