"""How far each generation is refined, by partition."""

from typing import Final

from appliance.components.silver import Progress
from appliance.domain.ids import PipelineId
from appliance.domain.ledger import Outcome
from appliance.storage.silver_postgres.connections import Cursor

_READ: Final = """
SELECT seq, stored, filtered, duplicate, dead FROM _progress
WHERE pipeline_id = %(id)s AND generation = %(number)s AND partition = %(partition)s
"""
_ALL_LIVE: Final = """
SELECT pipeline_id, partition, seq, stored, filtered, duplicate, dead
FROM _progress JOIN _pipelines USING (pipeline_id)
WHERE generation = live AND pipeline_id = ANY(%(ids)s) ORDER BY partition
"""
_ALL: Final = """
SELECT partition, seq, stored, filtered, duplicate, dead FROM _progress
WHERE pipeline_id = %(id)s AND generation = %(number)s ORDER BY partition
"""
_BEGIN: Final = """
INSERT INTO _progress (pipeline_id, generation, partition, seq) VALUES (%(id)s, %(number)s, %(partition)s, %(seq)s)
ON CONFLICT DO NOTHING
"""
_ADD: Final = """
UPDATE _progress SET stored = stored + %(stored)s, filtered = filtered + %(filtered)s,
    duplicate = duplicate + %(duplicate)s, dead = dead + %(dead)s, updated_at = now()
WHERE pipeline_id = %(id)s AND generation = %(number)s AND partition = %(partition)s
"""


def read(cursor: Cursor, pipeline_id: PipelineId, number: int, of: int) -> Progress | None:
    """Return what is stored of a generation's partition; None for one that is not there."""
    own = {"id": pipeline_id, "number": number, "partition": of}
    found = cursor.execute(_READ, own).fetchall()
    return Progress(found[0][0], Outcome(*found[0][1:])) if found else None


def read_all(cursor: Cursor, pipeline_id: PipelineId, number: int) -> dict[int, Progress]:
    """Return what is stored of each partition of a generation, ascending."""
    found = cursor.execute(_ALL, {"id": pipeline_id, "number": number}).fetchall()
    return {of: Progress(seq, Outcome(*counts)) for of, seq, *counts in found}


def read_live(cursor: Cursor, pipeline_ids: list[PipelineId]) -> dict[PipelineId, dict[int, Progress]]:
    """Return the progress of each partition of pipelines, by their live generation; nothing of what was never seen."""
    found: dict[PipelineId, dict[int, Progress]] = {}
    for pipeline_id, of, seq, *counts in cursor.execute(_ALL_LIVE, {"ids": pipeline_ids}).fetchall():
        found.setdefault(PipelineId(pipeline_id), {})[of] = Progress(seq, Outcome(*counts))
    return found


def begin(cursor: Cursor, pipeline_id: PipelineId, number: int, seq: int, of: int) -> bool:
    """Let a partition of a generation begin after event ``seq``; return whether it had not begun."""
    own = {"id": pipeline_id, "number": number, "partition": of, "seq": seq}
    return cursor.execute(_BEGIN, own).rowcount == 1


def add(cursor: Cursor, pipeline_id: PipelineId, number: int, change: dict[int, Outcome]) -> None:
    """Add to the counts of each partition, which stays where it is."""
    for of, counts in sorted(change.items()):
        values = {"stored": counts.stored, "filtered": counts.filtered, "duplicate": counts.duplicate}
        own = {"id": pipeline_id, "number": number, "partition": of, "dead": counts.dead}
        cursor.execute(_ADD, {**values, **own})
