"""Deliveries claimed in the commit that stores them: of one that several nodes received, one node's events count.

``_claims``: by which events the newest deliveries are stored. The index on ``id`` settles who comes first: a second
transaction waits for the first one's end. ``_repeated``: deliveries that were not first. Their events are duplicates in
every generation, also when nobody remembers the claim any more. ``_settled``: what was received before is decided for
good: it claims nothing any more, whatever is refined again.
"""

from collections.abc import Sequence
from itertools import chain
from typing import Any, Final

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
from psycopg import errors

from appliance.components.deliveries import REMEMBERED
from appliance.components.silver import Batch
from appliance.domain.ledger import Outcome
from appliance.storage.silver_postgres.binary import UUID_OID, BinaryArray
from appliance.storage.silver_postgres.connections import Cursor
from appliance.storage.silver_postgres.copying import copy

_MANY: Final = 500  # from so many on, three round trips more are worth it
_INT8_OID: Final = 20
_TIMESTAMPTZ_OID: Final = 1184
_GIVEN: Final = "unnest(%(ids)s::uuid[], %(seqs)s::bigint[], %(times)s::timestamptz[]) AS given (id, seq, received_at)"
_SETTLED: Final = """
SELECT coalesce(%(oldest)s < (SELECT before FROM _settled WHERE pipeline_id = %(pipeline)s), false)
    OR EXISTS (SELECT FROM _repeated WHERE pipeline_id = %(pipeline)s AND first_seq BETWEEN %(least)s AND %(greatest)s)
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
    claims = batch.claims
    if claims is None or not claims.num_rows:
        return batch
    if claims.num_rows >= _MANY and _all_new(cursor, batch, claims):
        return batch
    given = _given(batch, claims)
    if cursor.execute(_CLAIM.format(given=_GIVEN), given).rowcount == claims.num_rows:
        return batch
    cursor.execute(_TAKE_OVER.format(given=_GIVEN), given)
    stored_as: dict[int, int] = dict(cursor.execute(_OTHERS.format(given=_GIVEN), given).fetchall())
    if not stored_as:
        return batch
    repeated = claims.filter(pc.is_in(claims["seq"], value_set=pa.array(stored_as, pa.int64())))
    firsts, lasts = repeated["first_seq"].to_pylist(), repeated["last_seq"].to_pylist()
    reached = dict(zip(repeated["seq"].to_pylist(), lasts, strict=True))  # of one in several pieces the last
    told = {"seqs": list(reached), "lasts": list(reached.values()), "stored": [stored_as[seq] for seq in reached]}
    cursor.execute(_REMEMBER, {"pipeline": batch.table.pipeline_id, **told})
    return _without(batch, list(zip(firsts, lasts, strict=True)))


def _all_new(cursor: Cursor, batch: Batch, claims: pa.Table) -> bool:
    """Claim all at once, which costs half as much, and return True; or none, for somebody has one or it is settled."""
    seqs, pipeline_id = pc.min_max(claims["seq"]).as_py(), batch.table.pipeline_id
    own = {"pipeline": pipeline_id, "oldest": pc.min(claims["received_at"]).as_py()}
    if cursor.execute(_SETTLED, {**own, "least": seqs["min"], "greatest": seqs["max"]}).fetchall()[0][0]:
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


def _given(batch: Batch, claims: pa.Table) -> dict[str, Any]:
    return {
        "pipeline": batch.table.pipeline_id,
        "remembered": REMEMBERED,
        "ids": BinaryArray(claims["id"], UUID_OID),
        "seqs": BinaryArray(claims["seq"], _INT8_OID),
        "times": BinaryArray(claims["received_at"], _TIMESTAMPTZ_OID),
    }


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
