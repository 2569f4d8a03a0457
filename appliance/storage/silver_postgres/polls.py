"""Who polls, and from where the next one goes on: moved by the commits themselves, taken over under a lease.

A commit of polled events writes the line of its tenure last, so that a line is locked for one round trip; whoever
takes over waits for that, and a commit of the tenure before finds the line changed and is undone.
"""

from typing import Final

from appliance.components.nodes import Lease
from appliance.components.polls import UNCLAIMED, Claim, PollBook, Polled, Standing
from appliance.domain.ids import PipelineId
from appliance.domain.partition import Partition, base_of, partition_of
from appliance.errors import Conflict, TransientError
from appliance.storage.silver_postgres.connections import Cursor
from appliance.storage.silver_postgres.database import Database
from appliance.storage.sql.postgresql import quoted

_ENTER: Final = """
INSERT INTO _polled (pipeline_id, partition, seq) SELECT pipeline_id, %(of)s, %(base)s
FROM _pipelines WHERE pipeline_id = %(id)s ON CONFLICT DO NOTHING
"""
_REFINED: Final = """
UPDATE _polled SET seq = _progress.seq FROM _pipelines JOIN _progress USING (pipeline_id)
WHERE _polled.pipeline_id = %(id)s AND _polled.partition = %(of)s AND _progress.pipeline_id = %(id)s
    AND _progress.partition = %(of)s AND generation = live AND _progress.seq > _polled.seq
"""
_STANDING: Final = """
SELECT _polls.partition, tenure, checkpoint, _polled.seq FROM _polled LEFT JOIN _polls USING (pipeline_id)
WHERE _polled.pipeline_id = %(id)s AND _polled.partition = %(of)s
"""
_LEASED: Final = """
SELECT 1 FROM {schema}.lease WHERE name = %(name)s AND epoch = %(epoch)s AND until > clock_timestamp() FOR SHARE
"""
_ACCEPTED: Final = """
SELECT seq FROM _polled WHERE pipeline_id = %(id)s AND partition = %(of)s FOR UPDATE
"""
_BEGIN: Final = """
INSERT INTO _polls (pipeline_id, partition, tenure, checkpoint) VALUES (%(id)s, %(of)s, 1, %(checkpoint)s)
ON CONFLICT DO NOTHING
"""
_TAKE_OVER: Final = """
UPDATE _polls SET partition = %(of)s, tenure = tenure + 1
WHERE pipeline_id = %(id)s AND tenure = %(tenure)s AND checkpoint IS NOT DISTINCT FROM %(checkpoint)s
"""
_ACCEPT: Final = """
UPDATE _polled SET seq = greatest(seq, %(seq)s) WHERE pipeline_id = %(id)s AND partition = %(of)s
"""
_MOVE: Final = """
UPDATE _polls SET checkpoint = coalesce(%(checkpoint)s, checkpoint)
WHERE pipeline_id = %(id)s AND partition = %(of)s AND tenure = %(tenure)s
"""
_HELD: Final = "SELECT 1 FROM _polls WHERE pipeline_id = %(id)s"


class PostgresPolls:
    """The ``polls`` of a PostgresSilver. ``leases``: the schema that has the table of leases."""

    def __init__(self, database: Database, partition: Partition, leases: str) -> None:
        self._database, self._partition = database, partition
        self._leased = _LEASED.format(schema=quoted(leases).replace("%", "%%"))

    def standing(self, pipeline_id: PipelineId) -> Standing:
        own = {"id": pipeline_id, "of": self._partition, "base": base_of(self._partition)}

        def work(cursor: Cursor) -> Standing:
            cursor.execute(_ENTER, own)
            cursor.execute(_REFINED, own)
            found = cursor.execute(_STANDING, own).fetchall()
            if not found:
                raise TransientError(f"Looking who polls {pipeline_id}: it has no table here, or was deleted.", 2.0)
            holder, tenure, checkpoint, accepted = found[0]
            return Standing(holder, tenure or UNCLAIMED, checkpoint, accepted)

        return self._database.run(f"looking who polls {pipeline_id}", work)

    def claim(self, pipeline_id: PipelineId, before: Standing, claim: Claim) -> Standing:
        first = before.holder is None
        checkpoint = claim.checkpoint if first else before.checkpoint
        own = {"id": pipeline_id, "of": self._partition, "tenure": before.tenure, "checkpoint": checkpoint}

        def work(cursor: Cursor) -> None:
            self._check(cursor, claim.lease)
            accepted = cursor.execute(_ACCEPTED, own).fetchall()
            unmoved = accepted == [(before.accepted,)]
            if not unmoved or cursor.execute(_BEGIN if first else _TAKE_OVER, own).rowcount != 1:
                raise Conflict(f"Taking over the polling of {pipeline_id}: somebody else stored or took it. Ask again.")

        self._database.run(f"taking over the polling of {pipeline_id}", work)
        return Standing(self._partition, before.tenure + 1, checkpoint, before.accepted)

    def accept(self, pipeline_id: PipelineId, seq: int) -> None:
        own = {"id": pipeline_id, "of": self._partition, "seq": seq}
        self._database.run(f"withdrawing events of {pipeline_id}", lambda cursor: cursor.execute(_ACCEPT, own))

    def note(self, pipeline_id: PipelineId, tenure: int, checkpoint: str) -> None:
        own = {"id": pipeline_id, "of": self._partition, "tenure": tenure, "checkpoint": checkpoint}

        def work(cursor: Cursor) -> None:
            if cursor.execute(_MOVE, own).rowcount != 1:
                raise _ended(pipeline_id, tenure)

        self._database.run(f"noting how far {pipeline_id} is polled", work)

    def _check(self, cursor: Cursor, lease: Lease) -> None:
        if not cursor.execute(self._leased, {"name": lease.name, "epoch": lease.epoch}).fetchall():
            raise TransientError(f"the lease {lease.name!r} of epoch {lease.epoch} is held no more: nothing was taken")


def advance(cursor: Cursor, pipeline_id: PipelineId, last_seq: int, polled: Polled) -> None:
    """Let a batch up to ``last_seq`` be stored as polled, at the end of the transaction under way.

    Raises:
        Conflict: the tenure that it was read in has ended.
    """
    own = {"id": pipeline_id, "of": partition_of(last_seq), "seq": polled.through}
    cursor.execute(_ACCEPT, own)  # before the line is looked at: whoever claims first locks this one too
    if polled.tenure == UNCLAIMED:
        held = bool(cursor.execute(_HELD, own).fetchall())
    else:
        moved = {**own, "tenure": polled.tenure, "checkpoint": polled.checkpoint}
        held = cursor.execute(_MOVE, moved).rowcount != 1
    if held:
        raise _ended(pipeline_id, polled.tenure)


def _ended(pipeline_id: PipelineId, tenure: int) -> Conflict:
    return Conflict(f"Storing what was polled of {pipeline_id}: turn {tenure} has ended, another node polls by now.")


_: type[PollBook] = PostgresPolls
