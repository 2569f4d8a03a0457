"""Rows partitioned by their time, so that retention drops tables instead of removing rows.

What holds whatever happens: a row without a partition of its period goes into the one for all others, ``.rest``, and is
found there as anywhere. So a partition that could not be made, because its rows are there already or because somebody
reads all the while, costs a slower removal one day and nothing else.

Tables with keys are not partitioned: a key has to be unique over all times, which an index of PostgreSQL's can only be
where it has the time in it.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
from psycopg import errors

from appliance.components.silver import Table
from appliance.domain.ids import PipelineId
from appliance.storage.silver_postgres import names
from appliance.storage.silver_postgres.connections import Cursor
from appliance.storage.silver_postgres.length import Length, Period, period_of
from appliance.storage.silver_postgres.places import Place
from appliance.storage.sql.source import rows_table

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_US: Final = 86_400_000_000
_PATIENCE: Final = "SET LOCAL lock_timeout TO 1000"  # who reads keeps a commit waiting no longer
_USUAL: Final = "SET LOCAL lock_timeout TO 10000"
_IN_THE_WAY: Final = (
    errors.CheckViolation,  # rows of the period are in the rest
    errors.InvalidObjectDefinition,  # the period is within another partition, made when periods were longer
    errors.LockNotAvailable,
    errors.DuplicateTable,
)
_MAKE: Final = "CREATE TABLE {partition} PARTITION OF {rows} FOR VALUES FROM ({starts}) TO ({ends})"
_REST: Final = "CREATE TABLE {partition} PARTITION OF {rows} DEFAULT"
_NOTE: Final = """
INSERT INTO _periods (pipeline_id, generation, starts, ends, name)
VALUES (%(id)s, %(number)s, %(starts)s, %(ends)s, %(name)s) ON CONFLICT DO NOTHING
"""
_NOTED: Final = """
SELECT starts, ends, name FROM _periods WHERE pipeline_id = %(id)s AND generation = %(number)s ORDER BY starts
"""
_ENDED: Final = """
SELECT name FROM _periods
WHERE pipeline_id = %(id)s AND generation = %(number)s AND ends <= %(before)s AND name IS NOT NULL ORDER BY starts
"""
_GONE: Final = "DELETE FROM _periods WHERE pipeline_id = %(id)s AND generation = %(number)s AND name = %(name)s"
_LENGTH: Final = """
UPDATE _generations SET period = %(period)s
WHERE pipeline_id = %(id)s AND number = %(number)s AND period <> %(period)s
"""


_BACK: Final = {Length.DAY: 62, Length.WEEK: 520, Length.MONTH: 3660}  # days; a row that is older goes into the rest
_AHEAD: Final = timedelta(days=62)


def make_rest(cursor: Cursor, pipeline_id: PipelineId, number: int) -> None:
    """Make the partition for rows that no other is for."""
    partition = names.quoted(f"{rows_table(pipeline_id, number)}.rest")
    cursor.execute(_REST.format(partition=partition, **names.tables(pipeline_id, number)), {})


def make_like(cursor: Cursor, pipeline_id: PipelineId, live: int, number: int) -> None:
    """Give a new generation the partitions that another one has, whose rows it takes over."""
    for starts, ends, name in _noted(cursor, pipeline_id, live):
        if name is not None:
            _make(cursor, pipeline_id, number, Period(starts, ends))


def set_length(cursor: Cursor, pipeline_id: PipelineId, number: int, length: Length) -> None:
    """Let periods that are not there yet be so long."""
    cursor.execute(_LENGTH, {"id": pipeline_id, "number": number, "period": length.value})


def drop_before(
    cursor: Cursor, pipeline_id: PipelineId, number: int, before: datetime, events: tuple[int, int]
) -> None:
    """Drop the partitions of which every row is older than ``before`` and of one of ``events``.

    One that is being read all the while stays, with its rows.
    """
    own = {"id": pipeline_id, "number": number, "before": before}
    for (name,) in cursor.execute(_ENDED, own).fetchall():
        partition = names.quoted(name)
        others = f"SELECT EXISTS (SELECT FROM {partition} WHERE _seq NOT BETWEEN %(first)s AND %(last)s)"  # noqa: S608
        stay = cursor.execute(others, {"first": events[0], "last": events[1]}).fetchall()[0][0]
        if not stay and _tried(cursor, f"DROP TABLE {partition}"):
            cursor.execute(_GONE, {**own, "name": name})


class Periods:
    """Makes the partitions that a commit's rows need, and the next one. Remembers which are committed."""

    def __init__(self) -> None:
        self._known: dict[tuple[PipelineId, int, datetime], set[Period]] = {}

    def make(self, cursor: Cursor, table: Table, place: Place, rows: pa.Table, now: datetime) -> None:
        """Make what is missing for ``rows``; inside the transaction that stores them, before it does."""
        if place.period is None or not rows.num_rows:
            return
        wanted = {one for day in _days(rows) for one in _wanted(day, place.period, now)}
        known = self._known.setdefault((table.pipeline_id, place.number, place.created_at), set())
        if wanted <= known:
            return
        known |= {Period(starts, ends) for starts, ends, _ in _noted(cursor, table.pipeline_id, place.number)}
        for period in sorted(wanted - known):
            _make(cursor, table.pipeline_id, place.number, period)


def _days(rows: pa.Table) -> Iterator[datetime]:
    """Yield the days that rows are of."""
    days = pc.divide(rows["_time"].cast(pa.int64()), _DAY_US)
    bounds = pc.min_max(days).as_py()
    distinct: Iterable[int] = (bounds["min"],) if bounds["min"] == bounds["max"] else pc.unique(days).to_pylist()
    for day in distinct:
        yield _EPOCH + timedelta(days=day)


def _wanted(day: datetime, length: Length, now: datetime) -> Iterator[Period]:
    """Yield the period of a day, unless it is beyond all reason; and the next one, while this one is not over."""
    if not -_AHEAD <= now - day <= timedelta(days=_BACK[length]):
        return
    period = period_of(day, length)
    yield period
    if period.starts <= now < period.ends:
        yield period_of(period.ends, length)


def _make(cursor: Cursor, pipeline_id: PipelineId, number: int, period: Period) -> None:
    name = f"{rows_table(pipeline_id, number)}.{period.starts:%Y%m%d}"
    starts, ends = (f"'{one:%Y-%m-%d} 00:00:00+00'" for one in period)
    named = names.tables(pipeline_id, number)
    made = _tried(cursor, _MAKE.format(partition=names.quoted(name), rows=named["rows"], starts=starts, ends=ends))
    own = {"id": pipeline_id, "number": number, "starts": period.starts, "ends": period.ends}
    cursor.execute(_NOTE, {**own, "name": name if made else None})


def _tried(cursor: Cursor, statement: str) -> bool:
    """Execute it unless something is in the way; return whether it was executed."""
    cursor.execute(f"SAVEPOINT period; {_PATIENCE}")
    try:
        cursor.execute(statement, {})
    except _IN_THE_WAY:
        cursor.execute("ROLLBACK TO SAVEPOINT period")
        return False
    cursor.execute(f"{_USUAL}; RELEASE SAVEPOINT period")
    return True


def _noted(cursor: Cursor, pipeline_id: PipelineId, number: int) -> list[tuple[Any, ...]]:
    return cursor.execute(_NOTED, {"id": pipeline_id, "number": number}).fetchall()
