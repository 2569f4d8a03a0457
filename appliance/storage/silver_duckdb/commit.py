"""One batch into the file: rows, dead letters and progress in one transaction, or nothing."""

from collections.abc import Sequence
from typing import Final

import duckdb
import msgspec
import pyarrow as pa

from appliance.components.silver import Batch, Progress
from appliance.domain.ids import PipelineId
from appliance.domain.ledger import Outcome
from appliance.errors import Conflict, FatalError
from appliance.storage.silver_duckdb.schema import quoted
from appliance.storage.silver_duckdb.supersede import supersede
from appliance.storage.sql.dead_letters import DEAD_COLUMNS
from appliance.storage.sql.source import dead_table, rows_table

_PROGRESS: Final = "SELECT pipeline_id, seq, stored, filtered, duplicate, dead FROM _progress"
_ADVANCE: Final = """
UPDATE _progress SET seq = $seq, stored = stored + $stored, filtered = filtered + $filtered,
    duplicate = duplicate + $duplicate, dead = dead + $dead, updated_at = now()
WHERE pipeline_id = $id AND seq = $before
RETURNING seq, stored, filtered, duplicate, dead
"""
_BEGIN: Final = "INSERT INTO _progress VALUES ($id, $seq, $stored, $filtered, $duplicate, $dead, now())"


def read_progress(cursor: duckdb.DuckDBPyConnection, pipeline_id: PipelineId) -> Progress | None:
    """Return what is stored; None for a pipeline never committed to."""
    found = cursor.execute(f"{_PROGRESS} WHERE pipeline_id = $id", {"id": pipeline_id}).fetchall()
    return Progress(found[0][1], Outcome(*found[0][2:])) if found else None


def read_all_progress(cursor: duckdb.DuckDBPyConnection) -> dict[PipelineId, Progress]:
    """Return the progress of every pipeline in the file."""
    found = cursor.execute(_PROGRESS).fetchall()
    return {PipelineId(row[0]): Progress(row[1], Outcome(*row[2:])) for row in found}


def commit(cursor: duckdb.DuckDBPyConnection, batch: Batch) -> Progress:
    """Store ``batch`` in one transaction; its tables are prepared. Raises as ``SilverStore``, and duckdb.Error."""
    _check_outcome(batch)
    rows = _with_uuid(batch)
    views = {"batch_rows": rows} if rows.num_rows else {}
    if batch.dead.num_rows or batch.table.keyed:
        views["batch_dead"] = batch.dead
    cursor.execute("BEGIN")
    try:
        for name, view in views.items():
            cursor.register(name, view)
        progress = _store(cursor, batch, rows)
        cursor.execute("COMMIT")
    except BaseException:
        _roll_back(cursor)
        raise
    finally:
        for name in views:
            cursor.unregister(name)
    return progress


def _store(cursor: duckdb.DuckDBPyConnection, batch: Batch, rows: pa.Table) -> Progress:
    outcome = batch.outcome
    if rows.num_rows and batch.table.keyed:
        kept = supersede(cursor, batch, rows)
        outcome += kept.change
        cursor.register("batch_rows", kept.rows)
    if rows.num_rows:
        _insert_rows(cursor, batch)
    if batch.dead.num_rows:
        _insert(cursor, dead_table(batch.table.pipeline_id), DEAD_COLUMNS, "batch_dead")
    return _advance(cursor, batch, outcome)


def _advance(cursor: duckdb.DuckDBPyConnection, batch: Batch, outcome: Outcome) -> Progress:
    """Move the progress on, where it stands right before the batch; one statement instead of reading it first."""
    values = {"id": batch.table.pipeline_id, "seq": batch.last_seq, **msgspec.structs.asdict(outcome)}
    moved = cursor.execute(_ADVANCE, {**values, "before": batch.first_seq - 1}).fetchall()
    if moved:
        return Progress(moved[0][0], Outcome(*moved[0][1:]))
    stored = read_progress(cursor, batch.table.pipeline_id)
    if stored is not None or batch.first_seq != 1:
        following = stored.seq + 1 if stored else 1
        raise Conflict(f"{_doing(batch)}: {following} is next; somebody else wrote. Read the progress again.")
    cursor.execute(_BEGIN, values)
    return Progress(batch.last_seq, outcome)


def _check_outcome(batch: Batch) -> None:
    expected = batch.last_seq - batch.first_seq + 1
    if batch.outcome.total != expected:
        raise FatalError(
            f"{_doing(batch)}: expected an outcome for {expected} events, got {batch.outcome.total}.",
            hint="this is a fault in the mapping's accounting; report it with the support bundle",
        )


def _doing(batch: Batch) -> str:
    return f"Storing events {batch.first_seq} to {batch.last_seq} of {batch.table.pipeline_id}"


def _insert_rows(cursor: duckdb.DuckDBPyConnection, batch: Batch) -> None:
    own = ("_time", "_seq", "_item", "_key", "_extra") if batch.table.keyed else ("_time", "_seq", "_item", "_extra")
    columns = (*own, *(column.name for column in batch.table.columns))
    _insert(cursor, rows_table(batch.table.pipeline_id), columns, "batch_rows")


def _insert(cursor: duckdb.DuckDBPyConnection, table: str, columns: Sequence[str], view: str) -> None:
    names = ", ".join(map(quoted, columns))
    cursor.execute(f"INSERT INTO {quoted(table)} ({names}) SELECT {names} FROM {view}")  # noqa: S608 - all quoted


def _with_uuid(batch: Batch) -> pa.Table:
    """Return the rows with ``_key`` as UUID, without copying: compared as one 128-bit number, five times as fast."""
    rows = batch.rows
    if not batch.table.keyed:
        return rows
    place = rows.schema.get_field_index("_key")
    chunks = [pa.ExtensionArray.from_storage(pa.uuid(), chunk) for chunk in rows["_key"].chunks]
    return rows.set_column(place, "_key", pa.chunked_array(chunks, type=pa.uuid()))


def _roll_back(cursor: duckdb.DuckDBPyConnection) -> None:
    try:
        cursor.execute("ROLLBACK")
    except duckdb.TransactionException:
        return  # a commit that failed has ended its transaction already
    except duckdb.FatalException:
        return  # the handle is dead, and what it held with it
