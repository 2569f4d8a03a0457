"""What became of single events, and the ledger moved with them when that changes.

Rows and dead letters tell of an event that is stored or dead. Of one without either the journal tells, if it was
amended, or else the counts of its span, where only one explanation is left.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from appliance.domain.ids import PipelineId
from appliance.domain.ledger import Outcome
from appliance.domain.partition import partition_of
from appliance.storage.silver_postgres import names, progress
from appliance.storage.silver_postgres.connections import Cursor

# An event beyond the last span of its partition is in none.
_FORMER: Final = """
SELECT seq, first_seq, CASE
    WHEN seq IN (SELECT seq FROM {dead} WHERE seq = ANY(%(seqs)s::bigint[])) THEN 'dead'
    WHEN seq IN (SELECT _seq FROM {rows} WHERE _seq BETWEEN %(least)s AND %(greatest)s
                 AND _seq = ANY(%(seqs)s::bigint[])) THEN 'stored'
    WHEN known.outcome IN ('stored', 'duplicate') THEN 'duplicate'
    WHEN known.outcome = 'filtered' THEN 'filtered'
    WHEN filtered > 0 AND duplicate + gone + dead_gone = 0 THEN 'filtered'
    WHEN duplicate > 0 AND filtered + gone + dead_gone = 0 THEN 'duplicate'
    WHEN gone > 0 AND filtered + duplicate + dead_gone = 0 THEN 'gone'
    WHEN dead_gone > 0 AND filtered + duplicate + gone = 0 THEN 'dead_gone'
END
FROM unnest(%(seqs)s::bigint[]) AS changed(seq)
JOIN _spans AS span ON span.pipeline_id = %(id)s AND generation = %(number)s AND seq BETWEEN first_seq AND last_seq
LEFT JOIN (SELECT seq, outcome FROM _amended WHERE pipeline_id = %(id)s AND generation = %(number)s) AS known
    USING (seq)
"""
_SPANS: Final = """
UPDATE _spans SET {counts} WHERE pipeline_id = %(id)s AND generation = %(number)s AND first_seq = %(first)s
"""
_COUNTS: Final = ("stored", "filtered", "duplicate", "dead", "gone", "dead_gone")
_RAISED: Final = ", ".join(f"{one} = {one} + %({one})s" for one in _COUNTS)


class Former(NamedTuple):
    """An event that is refined: the first one of its span, and what it is by now.

    ``was``: stored, filtered, duplicate, dead, gone (stored, and its rows removed since), dead_gone; None: not known.
    """

    seq: int
    first_seq: int
    was: str | None


def former(cursor: Cursor, pipeline_id: PipelineId, number: int, seqs: Sequence[int]) -> list[Former]:
    """Return what those of the events are that are refined."""
    if not seqs:
        return []
    own = {"id": pipeline_id, "number": number, "seqs": list(seqs), "least": min(seqs), "greatest": max(seqs)}
    found = cursor.execute(_FORMER.format(**names.tables(pipeline_id, number)), own)
    return [Former(*line) for line in found]


def move(cursor: Cursor, pipeline_id: PipelineId, number: int, moved: Iterable[tuple[Former, str]]) -> None:
    """Count events, of which it is known what they were, as what they become."""
    changes: dict[int, Counter[str]] = {}
    for event, becomes in moved:
        change = changes.setdefault(event.first_seq, Counter())
        change[becomes] += 1
        change[{"gone": "stored", "dead_gone": "dead"}.get(str(event.was), str(event.was))] -= 1
        if event.was in ("gone", "dead_gone"):
            change[event.was] -= 1
    sums: dict[int, Outcome] = {}
    for first, change in sorted(changes.items()):
        counts = {one: change[one] for one in _COUNTS}
        cursor.execute(_SPANS.format(counts=_RAISED), {"id": pipeline_id, "number": number, "first": first, **counts})
        of = partition_of(first)
        told = Outcome(change["stored"], change["filtered"], change["duplicate"], change["dead"])
        sums[of] = sums.get(of, Outcome()) + told
    progress.add(cursor, pipeline_id, number, sums)
