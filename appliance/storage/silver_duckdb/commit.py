"""One batch into the file: rows, dead letters and progress in one transaction, or nothing."""

from typing import Final, NamedTuple

import duckdb
import pyarrow as pa

from appliance.components.silver import Batch, Progress, Table
from appliance.domain.ids import PipelineId
from appliance.domain.ledger import Outcome
from appliance.errors import Conflict, FatalError
from appliance.storage.silver_duckdb import gold, spans
from appliance.storage.silver_duckdb.schema import quoted
from appliance.storage.silver_duckdb.supersede import supersede
from appliance.storage.silver_duckdb.transaction import transaction
from appliance.storage.sql.dead_letters import DEAD_COLUMNS
from appliance.storage.sql.source import Stored, dead_table, physical_name, rows_table

_PROGRESS: Final = """
SELECT seq, stored, filtered, duplicate, dead FROM _progress WHERE pipeline_id = $id AND generation = $number
"""
_ALL_LIVE: Final = """
SELECT pipeline_id, seq, stored, filtered, duplicate, dead
FROM _progress JOIN _generations USING (pipeline_id) WHERE live AND generation = number
"""
_ADVANCE: Final = """
UPDATE _progress SET seq = $seq{counts}
WHERE pipeline_id = $id AND generation = $number AND seq = $before
RETURNING seq, stored, filtered, duplicate, dead
"""


def read_progress(cursor: duckdb.DuckDBPyConnection, pipeline_id: PipelineId, number: int) -> Progress | None:
    """Return what is stored of a generation; None for one that is not there."""
    found = cursor.execute(_PROGRESS, {"id": pipeline_id, "number": number}).fetchall()
    return Progress(found[0][0], Outcome(*found[0][1:])) if found else None


def read_live_progress(cursor: duckdb.DuckDBPyConnection) -> dict[PipelineId, Progress]:
    """Return the progress of every pipeline in the file, by its live generation."""
    found = cursor.execute(_ALL_LIVE).fetchall()
    return {PipelineId(row[0]): Progress(row[1], Outcome(*row[2:])) for row in found}


def commit(cursor: duckdb.DuckDBPyConnection, batch: Batch, number: int, stored: Stored) -> Progress:
    """Store ``batch`` in generation ``number`` in one transaction.

    ``stored``: the columns of its rows, which cover the batch's. ``cursor`` is closed after this one commit, and the
    views on it are gone then: unregistering each takes 0.1 ms. Raises as ``SilverStore``, and duckdb.Error.
    """
    _check_outcome(batch)
    rows = with_uuid(batch.table, batch.rows)
    views = {"batch_rows": rows} if rows.num_rows else {}
    if batch.dead.num_rows or batch.table.keyed:
        views["batch_dead"] = batch.dead
    with transaction(cursor):
        for name, view in views.items():
            cursor.register(name, view)
        own, earlier = _store(cursor, batch, rows, Place(number, stored))
        progress = _advance(cursor, batch, number, batch.outcome + own + earlier)
        spans.add(cursor, batch, number, batch.outcome + own)
    return progress


class Place(NamedTuple):
    """Where a batch is stored: in which generation, and what columns it has."""

    number: int
    stored: Stored


def _store(cursor: duckdb.DuckDBPyConnection, batch: Batch, rows: pa.Table, place: Place) -> tuple[Outcome, Outcome]:
    """Insert rows and dead letters; return what keys change of the batch's outcome, and of earlier ones."""
    if batch.dead.num_rows:
        insert_dead(cursor, batch.table, place, "batch_dead")
    if not rows.num_rows:
        return Outcome(), Outcome()
    if not batch.table.keyed:
        insert_rows(cursor, batch.table, place, "batch_rows")
        gold.add(cursor, batch, place.number)
        return Outcome(), Outcome()
    kept = supersede(cursor, batch, rows, place.number)
    cursor.register("batch_rows", kept.rows)
    insert_rows(cursor, batch.table, place, "batch_rows")
    gold.add(cursor, batch, place.number)
    if batch.table.rollups and kept.removed is not None:
        cursor.register("removed_rows", kept.removed)
        gold.recompute(cursor, batch.table, place.number, "removed_rows")
        cursor.unregister("removed_rows")
    return kept.own, kept.earlier


def _advance(cursor: duckdb.DuckDBPyConnection, batch: Batch, number: int, outcome: Outcome) -> Progress:
    """Move the progress on, where it stands right before the batch; one statement instead of reading it first."""
    own = {"id": batch.table.pipeline_id, "number": number}
    counts, values = spans.raised(outcome)
    values |= {**own, "seq": batch.last_seq, "before": batch.first_seq - 1}
    moved = cursor.execute(_ADVANCE.format(counts=counts), values).fetchall()
    if moved:
        return Progress(moved[0][0], Outcome(*moved[0][1:]))
    stored = read_progress(cursor, batch.table.pipeline_id, number) or Progress()
    raise Conflict(f"{_doing(batch)}: {stored.seq + 1} is next; somebody else wrote. Read the progress again.")


def _check_outcome(batch: Batch) -> None:
    expected = batch.last_seq - batch.first_seq + 1
    if batch.outcome.total != expected:
        raise FatalError(
            f"{_doing(batch)}: expected an outcome for {expected} events, got {batch.outcome.total}.",
            hint="this is a fault in the mapping's accounting; report it with the support bundle",
        )


def _doing(batch: Batch) -> str:
    return f"Storing events {batch.first_seq} to {batch.last_seq} of {batch.table.pipeline_id}"


def insert_dead(cursor: duckdb.DuckDBPyConnection, table: Table, place: Place, view: str) -> None:
    """Insert the dead letters of a registered view, inside the transaction under way."""
    names = ", ".join(map(quoted, DEAD_COLUMNS))
    into = quoted(dead_table(table.pipeline_id, place.number))
    cursor.execute(f"INSERT INTO {into} ({names}) SELECT {names} FROM {view}")  # noqa: S608 - all quoted


def insert_rows(cursor: duckdb.DuckDBPyConnection, table: Table, place: Place, view: str) -> None:
    """Insert the rows of a registered view, inside the transaction under way."""
    own = ("_time", "_seq", "_item", "_key", "_extra") if table.keyed else ("_time", "_seq", "_item", "_extra")
    columns = [column.name for column in table.columns]
    physical = [physical_name(name, place.stored[name.lower()]) for name in columns]
    into = quoted(rows_table(table.pipeline_id, place.number))
    targets, values = (", ".join(map(quoted, (*own, *names))) for names in (physical, columns))
    cursor.execute(f"INSERT INTO {into} ({targets}) SELECT {values} FROM {view}")  # noqa: S608 - all quoted


def with_uuid(table: Table, rows: pa.Table) -> pa.Table:
    """Return the rows with ``_key`` as UUID, without copying: compared as one 128-bit number, five times as fast."""
    if not table.keyed:
        return rows
    place = rows.schema.get_field_index("_key")
    chunks = [pa.ExtensionArray.from_storage(pa.uuid(), chunk) for chunk in rows["_key"].chunks]
    return rows.set_column(place, "_key", pa.chunked_array(chunks, type=pa.uuid()))
