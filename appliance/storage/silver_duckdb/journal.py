"""The journal of amendments: which rows came about out of turn, for the feed; what became of events, for the ledger.

``_amendments``: rows that readers who have passed their event still have to see, numbered in the order in which they
were made; one entry a row, its latest. Numbers are of the whole pipeline, not of a generation, so that a reader's place
outlives a swap; they are microseconds of the clock, so that they rise even where the file had to be begun anew.

``_amended``: what an event became in one generation when it was last amended, and by which version: of an event
without rows and dead letters nothing else tells whether it is filtered or duplicate.
"""

from datetime import datetime
from typing import Final

import duckdb

from appliance.domain.ids import PipelineId

TABLES: Final = (
    """
CREATE TABLE IF NOT EXISTS _amendments (
    pipeline_id VARCHAR NOT NULL, number BIGINT NOT NULL, seq BIGINT NOT NULL, item INTEGER NOT NULL
)
""",
    """
CREATE TABLE IF NOT EXISTS _amended (
    pipeline_id VARCHAR NOT NULL, generation INTEGER NOT NULL, seq BIGINT NOT NULL, outcome VARCHAR NOT NULL,
    version INTEGER NOT NULL, amended_at TIMESTAMPTZ NOT NULL
)
""",
)
_NUMBERED: Final = """
INSERT INTO _amendments SELECT $id, greatest($now, 1 + coalesce(
        (SELECT max(number) FROM _amendments WHERE pipeline_id = $id), 0)) + dense_rank() OVER (ORDER BY _seq) - 1,
    _seq, _item FROM added_rows
"""
_FORGOTTEN: Final = """
DELETE FROM _amendments WHERE pipeline_id = $id
AND (seq, item) IN (SELECT (_seq, _item) FROM added_rows UNION ALL SELECT (_seq, _item) FROM removed_rows)
"""
_NOTED: Final = "SELECT count(*) FROM _amendments WHERE pipeline_id = $id AND seq BETWEEN $first AND $last"
_PASSED_OVER: Final = "DELETE FROM _amendments WHERE pipeline_id = $id AND seq BETWEEN $first AND $last"
# Numbered by event without a sort: a whole history may be handed on, and gaps between numbers mean nothing.
_AGAIN: Final = """
INSERT INTO _amendments SELECT $id, _seq - $first + greatest($now, 1 + coalesce(
        (SELECT max(number) FROM _amendments WHERE pipeline_id = $id), 0)), _seq, _item
FROM {rows} WHERE _seq BETWEEN $first AND $last
"""
_KEPT: Final = """
DELETE FROM _amended WHERE pipeline_id = $id AND generation = $number AND seq IN (SELECT seq FROM changed)
"""
_BECAME: Final = """
INSERT INTO _amended SELECT $id, $number, seq, becomes, $version, $now FROM changed
"""
_CARRIED: Final = """
INSERT INTO _amended BY NAME SELECT _amended.* REPLACE ($into AS generation)
FROM _amended JOIN _generations USING (pipeline_id)
WHERE pipeline_id = $id AND live AND generation = _generations.number AND seq < $below
"""
_EXCHANGED: Final = """
UPDATE _amended SET generation = CASE generation WHEN $one THEN $other ELSE $one END
WHERE pipeline_id = $id AND generation IN ($one, $other) AND seq BETWEEN $first AND $last
"""
_LEFT_BEHIND: Final = """
DELETE FROM _amendments WHERE pipeline_id = $id AND pipeline_id NOT IN (SELECT pipeline_id FROM _generations)
"""

Span = tuple[int, int]


def hand_on(cursor: duckdb.DuckDBPyConnection, pipeline_id: PipelineId, now: datetime) -> None:
    """Note the rows of the view ``added_rows`` (``_seq``, ``_item``) for the feed, forget those of ``removed_rows``."""
    cursor.execute(_FORGOTTEN, {"id": pipeline_id})
    cursor.execute(_NUMBERED, {"id": pipeline_id, "now": micros(now)})


def hand_on_again(
    cursor: duckdb.DuckDBPyConnection, pipeline_id: PipelineId, rows: str, span: Span, now: datetime
) -> int:
    """Note all rows of the events of ``span`` in the table ``rows`` (quoted) for the feed; return how many."""
    own = {"id": pipeline_id, "first": span[0], "last": span[1]}
    cursor.execute(_PASSED_OVER, own)
    cursor.execute(_AGAIN.format(rows=rows), {**own, "now": micros(now)})
    return int(cursor.execute(_NOTED, own).fetchall()[0][0])


def remember(
    cursor: duckdb.DuckDBPyConnection, pipeline_id: PipelineId, number: int, version: int, now: datetime
) -> None:
    """Note what the events of the view ``changed`` (``seq``, ``becomes``) are in a generation from now on."""
    own = {"id": pipeline_id, "number": number}
    cursor.execute(_KEPT, own)
    cursor.execute(_BECAME, {**own, "version": version, "now": now})


def carry(cursor: duckdb.DuckDBPyConnection, pipeline_id: PipelineId, into: int, below: int) -> None:
    """Copy what is remembered of the live generation's events below ``below`` into another one."""
    cursor.execute(_CARRIED, {"id": pipeline_id, "into": into, "below": below})


def exchange(cursor: duckdb.DuckDBPyConnection, pipeline_id: PipelineId, pair: tuple[int, int], span: Span) -> None:
    """Exchange between two generations what is remembered of the events of ``span``."""
    own = {"id": pipeline_id, "one": pair[0], "other": pair[1], "first": span[0], "last": span[1]}
    cursor.execute(_EXCHANGED, own)


def forget(cursor: duckdb.DuckDBPyConnection, pipeline_id: PipelineId, number: int) -> None:
    """Forget what is remembered of a generation; with the last one, everything of the pipeline."""
    cursor.execute(
        "DELETE FROM _amended WHERE pipeline_id = $id AND generation = $number", {"id": pipeline_id, "number": number}
    )
    cursor.execute(_LEFT_BEHIND, {"id": pipeline_id})


def micros(instant: datetime) -> int:
    """Return microseconds since 1970-01-01 UTC."""
    return int(instant.timestamp()) * 1_000_000 + instant.microsecond
