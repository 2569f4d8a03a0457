"""The ledger counted again from the rows themselves."""

from typing import Final

from appliance.domain.ids import PipelineId
from appliance.domain.ledger import Outcome
from appliance.domain.partition import Partition, base_of, bounds_of
from appliance.storage.silver_postgres import names, progress
from appliance.storage.silver_postgres.connections import Cursor

_COUNTS: Final = """
SELECT (SELECT count(*) FROM (SELECT _seq FROM {rows} WHERE _seq BETWEEN %(first)s AND %(last)s
                              EXCEPT SELECT seq FROM {dead} WHERE seq BETWEEN %(first)s AND %(last)s) AS shown) + gone,
       (SELECT count(DISTINCT seq) FROM {dead} WHERE seq BETWEEN %(first)s AND %(last)s) + dead_gone, total
FROM (SELECT coalesce(sum(gone), 0)::bigint AS gone, coalesce(sum(dead_gone), 0)::bigint AS dead_gone,
             coalesce(sum(last_seq - first_seq + 1), 0)::bigint AS total
      FROM _spans WHERE pipeline_id = %(id)s AND generation = %(number)s AND partition = %(partition)s) AS told
"""


def recount(cursor: Cursor, pipeline_id: PipelineId, number: int, of: Partition) -> Outcome:
    """Return the outcome of a partition as the rows and dead letters tell it, of one snapshot.

    ``filtered`` leaves no row to count and is taken as recorded, and so is what retention has removed; ``duplicate`` is
    what remains of the events refined.
    """
    recorded = progress.read(cursor, pipeline_id, number, of)
    if recorded is None:
        return Outcome()
    bounds = {"first": base_of(of), "last": bounds_of(of)[1], "partition": of}
    own = {"id": pipeline_id, "number": number, **bounds}
    counts = cursor.execute(_COUNTS.format(**names.tables(pipeline_id, number)), own).fetchall()
    stored, dead, total = counts[0]
    filtered = recorded.outcome.filtered
    return Outcome(stored, filtered, duplicate=total - stored - filtered - dead, dead=dead)
