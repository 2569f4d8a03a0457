"""Deliveries claimed in the commit that stores them: of one that several nodes received, one node's events count.

``_claims``: by which events the newest deliveries are stored. The index on ``id`` settles who comes first: a second
transaction waits for the first one's end. ``_repeated``: deliveries that were not first. Their events are duplicates in
every generation, also when nobody remembers the claim any more. ``_settled``: what was received before is decided for
good: it claims nothing any more, whatever is refined again.
"""

from collections.abc import Sequence
from itertools import chain
from typing import Final

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
from psycopg import errors

from appliance.components.arrow import INSTANT
from appliance.components.deliveries import REMEMBERED
from appliance.components.silver import Batch
from appliance.domain.ids import PipelineId
from appliance.domain.ledger import Outcome
from appliance.storage.silver_postgres.binary import UUID_OID, BinaryArray
from appliance.storage.silver_postgres.connections import Cursor
from appliance.storage.silver_postgres.copying import copy

_MANY: Final = 500  # from so many on, three round trips more are worth it
_INT8_OID: Final = 20
_TIMESTAMPTZ_OID: Final = 1184
_GIVEN: Final = "unnest(%(ids)s::uuid[], %(seqs)s::bigint[], %(times)s::timestamptz[]) AS given (id, seq, received_at)"
_DECIDED: Final = """
SELECT before, seqs, stored FROM (
    SELECT array_agg(first_seq) AS seqs, array_agg(stored_as) AS stored FROM _repeated
    WHERE pipeline_id = %(pipeline)s AND first_seq BETWEEN %(least)s AND %(greatest)s
) AS known LEFT JOIN _settled ON pipeline_id = %(pipeline)s
"""
# In the order of ids, so that of two who claim the same ones neither waits for the other in turn.
_CLAIM: Final = """
INSERT INTO _claims (id, seq, received_at, pipeline_id)
SELECT id, seq, received_at, %(pipeline)s FROM {given}
WHERE received_at >= coalesce((SELECT before FROM _settled WHERE pipeline_id = %(pipeline)s), '-infinity')
    AND NOT EXISTS (SELECT FROM _repeated AS r WHERE r.pipeline_id = %(pipeline)s AND r.first_seq = given.seq)
ORDER BY id, seq ON CONFLICT DO NOTHING
"""
# An id that comes again when it is not remembered any more is another delivery.
_TAKE_OVER: Final = """
UPDATE _claims SET seq = given.seq, received_at = given.received_at FROM {given}
WHERE _claims.id = given.id AND _claims.received_at < given.received_at - %(remembered)s
"""
_OTHERS: Final = """
SELECT given.seq, coalesce(known.stored_as, claimed.seq)
FROM {given}
LEFT JOIN _repeated AS known ON known.pipeline_id = %(pipeline)s AND known.first_seq = given.seq
LEFT JOIN _claims AS claimed ON claimed.id = given.id AND claimed.seq <> given.seq
    AND claimed.received_at BETWEEN given.received_at - %(remembered)s AND given.received_at + %(remembered)s
WHERE known.first_seq IS NOT NULL OR claimed.id IS NOT NULL
"""
_REMEMBER: Final = """
INSERT INTO _repeated (pipeline_id, first_seq, last_seq, stored_as)
SELECT %(pipeline)s, told.* FROM unnest(%(seqs)s::bigint[], %(lasts)s::bigint[], %(stored)s::bigint[]) AS told
ON CONFLICT (pipeline_id, first_seq) DO UPDATE SET last_seq = greatest(_repeated.last_seq, excluded.last_seq)
"""


def take(cursor: Cursor, batch: Batch) -> Batch:
    """Claim the deliveries of ``batch``; return it without what is stored as other events, which become duplicates.

    The first thing that a transaction does, while it holds nothing that others wait for. It may wait for a claim of
    somebody else, to whom the delivery belongs if he commits.
    """
    claims, pipeline_id = batch.claims, batch.table.pipeline_id
    if claims is None or not claims.num_rows:
        return batch
    stored_as: dict[int, int] = {}
    undecided = claims
    if claims.num_rows >= _MANY:
        undecided, stored_as = _undecided(cursor, pipeline_id, claims)
    if undecided.num_rows and not _all_new(cursor, pipeline_id, undecided):
        stored_as |= _one_by_one(cursor, pipeline_id, undecided)
    if not stored_as:
        return batch
    repeated = claims.filter(pc.is_in(claims["seq"], value_set=pa.array(stored_as, pa.int64())))
    firsts, lasts = repeated["first_seq"].to_pylist(), repeated["last_seq"].to_pylist()
    reached = dict(zip(repeated["seq"].to_pylist(), lasts, strict=True))  # of one in several pieces the last
    told = {"seqs": list(reached), "lasts": list(reached.values()), "stored": [stored_as[seq] for seq in reached]}
    cursor.execute(_REMEMBER, {"pipeline": pipeline_id, **told})
    return _without(batch, list(zip(firsts, lasts, strict=True)))


def put(cursor: Cursor, pipeline_id: PipelineId, claims: pa.Table) -> None:
    """Claim deliveries whose events are stored already; what somebody else has claimed stays his."""
    if not _all_new(cursor, pipeline_id, claims):
        _one_by_one(cursor, pipeline_id, claims)


def _undecided(cursor: Cursor, pipeline_id: PipelineId, claims: pa.Table) -> tuple[pa.Table, dict[int, int]]:
    """Return the deliveries that are not decided for good, and of those that are what the repeated ones are stored as.

    What a replay refines is mostly decided: it is not sent.
    """
    seqs = pc.min_max(claims["seq"]).as_py()
    asked = {"pipeline": pipeline_id, "least": seqs["min"], "greatest": seqs["max"]}
    before, repeated, stored = cursor.execute(_DECIDED, asked).fetchall()[0]
    left = (
        claims if before is None else claims.filter(pc.greater_equal(claims["received_at"], pa.scalar(before, INSTANT)))
    )
    if not repeated:
        return left, {}
    known = pc.is_in(left["seq"], value_set=pa.array(repeated, pa.int64()))
    return left.filter(pc.invert(known)), dict(zip(repeated, stored, strict=True))


def _all_new(cursor: Cursor, pipeline_id: PipelineId, claims: pa.Table) -> bool:
    """Claim many at once, which costs half as much, and return True; or none: somebody has one, or they are few."""
    if claims.num_rows < _MANY:
        return False
    columns = claims.select(["id", "seq", "received_at"]).sort_by("id")
    cursor.execute("SAVEPOINT claiming")
    try:
        into = "_claims (id, seq, received_at, pipeline_id)"
        copy(cursor, into, columns.append_column("pipeline_id", pa.repeat(str(pipeline_id), columns.num_rows)))
    except errors.UniqueViolation:
        cursor.execute("ROLLBACK TO SAVEPOINT claiming")
        return False
    cursor.execute("RELEASE SAVEPOINT claiming")
    return True


def _one_by_one(cursor: Cursor, pipeline_id: PipelineId, claims: pa.Table) -> dict[int, int]:
    """Claim what nobody has; return what others of these deliveries are stored as."""
    given = {
        "pipeline": pipeline_id,
        "remembered": REMEMBERED,
        "ids": BinaryArray(claims["id"], UUID_OID),
        "seqs": BinaryArray(claims["seq"], _INT8_OID),
        "times": BinaryArray(claims["received_at"], _TIMESTAMPTZ_OID),
    }
    if cursor.execute(_CLAIM.format(given=_GIVEN), given).rowcount == claims.num_rows:
        return {}
    cursor.execute(_TAKE_OVER.format(given=_GIVEN), given)
    return dict(cursor.execute(_OTHERS.format(given=_GIVEN), given).fetchall())


def _without(batch: Batch, stretches: Sequence[tuple[int, int]]) -> Batch:
    """Return the batch with events that are duplicates, whatever the mapping made of them."""
    seqs = pa.array(chain.from_iterable(range(first, last + 1) for first, last in stretches), pa.int64())
    of_rows, of_dead = (pc.is_in(column, value_set=seqs) for column in (batch.rows["_seq"], batch.dead["seq"]))
    dead = pc.unique(batch.dead["seq"].filter(of_dead))
    stored = pc.unique(batch.rows["_seq"].filter(of_rows))
    both = pc.sum(pc.is_in(stored, value_set=dead)).as_py() or 0
    had = Outcome(stored=len(stored) - both, dead=len(dead))
    filtered = len(seqs) - had.total
    moved = Outcome(-had.stored, -filtered, len(seqs), -had.dead)
    return msgspec.structs.replace(
        batch,
        rows=batch.rows.filter(pc.invert(of_rows)),
        dead=batch.dead.filter(pc.invert(of_dead)),
        outcome=batch.outcome + moved,
    )
