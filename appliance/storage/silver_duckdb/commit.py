"""One batch into the file: rows, dead letters and progress in one transaction, or nothing."""

from collections.abc import Sequence
from typing import Final

import duckdb
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
_UPDATE: Final = """
UPDATE _progress SET seq = $seq, stored = $stored, filtered = $filtered, duplicate = $duplicate, dead = $dead,
    updated_at = now() WHERE pipeline_id = $id
"""
_INSERT: Final = "INSERT INTO _progress VALUES ($id, $seq, $stored, $filtered, $duplicate, $dead, now())"


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
    rows = _with_uuid(batch)
    cursor.execute("BEGIN")
    cursor.register("batch_rows", rows)
    cursor.register("batch_dead", batch.dead)
    try:
        progress = _store(cursor, batch, rows)
        cursor.execute("COMMIT")
    except BaseException:
        _roll_back(cursor)
        raise
    finally:
        for view in ("batch_rows", "batch_dead"):
            cursor.unregister(view)
    return progress


def _store(cursor: duckdb.DuckDBPyConnection, batch: Batch, rows: pa.Table) -> Progress:
    before = read_progress(cursor, batch.table.pipeline_id)
    outcome = _checked(batch, before or Progress())
    if batch.table.keyed:
        kept = supersede(cursor, batch, rows)
        outcome += kept.change
        cursor.register("batch_rows", kept.rows)
    _insert_rows(cursor, batch)
    if batch.dead.num_rows:
        _insert(cursor, dead_table(batch.table.pipeline_id), DEAD_COLUMNS, "batch_dead")
    after = Progress(batch.last_seq, outcome + (before.outcome if before else Outcome()))
    counts = {name: getattr(after.outcome, name) for name in after.outcome.__struct_fields__}
    cursor.execute(_UPDATE if before else _INSERT, {"id": batch.table.pipeline_id, "seq": after.seq, **counts})
    return after


def _checked(batch: Batch, before: Progress) -> Outcome:
    place = f"Storing events {batch.first_seq} to {batch.last_seq} of {batch.table.pipeline_id}"
    if batch.first_seq != before.seq + 1:
        raise Conflict(f"{place}: {before.seq + 1} is next; somebody else wrote. Read the progress again.")
    expected = batch.last_seq - batch.first_seq + 1
    if batch.outcome.total != expected:
        raise FatalError(
            f"{place}: expected an outcome for {expected} events, got {batch.outcome.total}; nothing was stored.",
            hint="this is a fault in the mapping's accounting; report it with the support bundle",
        )
    return batch.outcome


def _insert_rows(cursor: duckdb.DuckDBPyConnection, batch: Batch) -> None:
    if batch.rows.num_rows == 0:
        return
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
