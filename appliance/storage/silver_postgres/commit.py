"""One batch into the database: rows, dead letters, progress, spans and rollups in one transaction, or nothing."""

from typing import Final

from appliance.components.silver import Batch, Progress
from appliance.domain.ledger import Outcome
from appliance.domain.partition import base_of, partition_of
from appliance.errors import Conflict, FatalError
from appliance.storage.silver_postgres import gold, progress, spans
from appliance.storage.silver_postgres.connections import Cursor
from appliance.storage.silver_postgres.copying import insert_dead, insert_rows
from appliance.storage.silver_postgres.places import Place
from appliance.storage.silver_postgres.supersede import supersede
from appliance.storage.silver_postgres.touched import TOUCHED, touched

_NOTHING: Final = Outcome()


def commit(cursor: Cursor, batch: Batch, place: Place) -> Progress:
    """Store ``batch`` in a generation whose columns cover its own, inside the transaction under way.

    Raises:
        Conflict: the progress does not stand right before the batch.
    """
    insert_dead(cursor, batch.table, place, batch.dead)
    own, earlier = _store(cursor, batch, place)
    return _advance(cursor, batch, place.number, batch.outcome + own, earlier)


def check_outcome(batch: Batch) -> None:
    """Raise FatalError where the outcome is not one of these events."""
    expected = batch.last_seq - batch.first_seq + 1
    if batch.outcome.total != expected:
        raise FatalError(
            f"{_doing(batch)}: expected an outcome for {expected} events, got {batch.outcome.total}.",
            hint="this is a fault in the mapping's accounting; report it with the support bundle",
        )


def _store(cursor: Cursor, batch: Batch, place: Place) -> tuple[Outcome, Outcome]:
    """Insert rows; return what keys change of the batch's outcome, and of earlier ones."""
    if not batch.rows.num_rows:
        return _NOTHING, _NOTHING
    if not batch.table.keyed:
        insert_rows(cursor, batch.table, place, batch.rows)
        gold.add(cursor, batch, place.number, batch.rows)
        return _NOTHING, _NOTHING
    kept = supersede(cursor, batch, place)
    insert_rows(cursor, batch.table, place, kept.rows)
    gold.add(cursor, batch, place.number, kept.rows)
    if batch.table.rollups and kept.removed:
        with touched(cursor, kept.removed):
            gold.recompute(cursor, batch.table, place.number, TOUCHED)
    return kept.own, kept.earlier


def _advance(cursor: Cursor, batch: Batch, number: int, own: Outcome, earlier: Outcome) -> Progress:
    moved = spans.advance(cursor, batch, number, own, earlier)
    pipeline_id, of = batch.table.pipeline_id, partition_of(batch.first_seq)
    if moved is None and batch.first_seq == base_of(of) + 1:  # perhaps the first of a partition
        progress.begin(cursor, pipeline_id, number, batch.first_seq - 1, of)
        moved = spans.advance(cursor, batch, number, own, earlier)
    if moved is not None:
        return moved
    stored = progress.read(cursor, pipeline_id, number, of) or Progress(base_of(of))
    raise Conflict(f"{_doing(batch)}: {stored.seq + 1} is next; somebody else wrote. Read the progress again.")


def _doing(batch: Batch) -> str:
    return f"Storing events {batch.first_seq} to {batch.last_seq} of {batch.table.pipeline_id}"
