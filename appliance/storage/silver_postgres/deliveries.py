"""What is asked of deliveries beside commits, and claims forgotten when nobody can ask for them any more."""

from datetime import timedelta
from typing import Final

import pyarrow as pa

from appliance.components.deliveries import REMEMBERED, Deliveries, Settled
from appliance.domain.clock import Clock
from appliance.domain.ids import PipelineId
from appliance.domain.partition import Partition, base_of
from appliance.storage.silver_postgres.claims import put
from appliance.storage.silver_postgres.connections import Cursor
from appliance.storage.silver_postgres.database import Database

_SECS: Final = 60.0
_WAITED_FOR: Final = timedelta(days=14)  # a node that is away for longer holds nothing up

_REPEATED: Final = """
SELECT greatest(first_seq, %(first)s), least(last_seq, %(last)s) FROM _repeated
WHERE pipeline_id = %(id)s AND first_seq <= %(last)s AND last_seq >= %(first)s ORDER BY first_seq
"""
_SAY: Final = """
INSERT INTO _decided (pipeline_id, partition, up_to) VALUES (%(id)s, %(partition)s, %(up_to)s)
ON CONFLICT (pipeline_id, partition) DO UPDATE SET up_to = excluded.up_to
"""
# Of who has said nothing yet nobody knows what he has received.
_SETTLE: Final = """
INSERT INTO _settled (pipeline_id, before)
SELECT %(id)s, greatest(min(coalesce(up_to, '-infinity')) - %(remembered)s, %(now)s - %(waited)s)
FROM unnest(%(held)s::smallint[]) AS held(partition)
    LEFT JOIN (SELECT partition, up_to FROM _decided WHERE pipeline_id = %(id)s) AS decided USING (partition)
ON CONFLICT (pipeline_id) DO UPDATE SET before = greatest(_settled.before, excluded.before)
"""
# Of all pipelines at once: an index by time would cost every commit more than this does once an hour.
_FORGET: Final = """
DELETE FROM _claims AS c USING _settled AS s WHERE c.pipeline_id = s.pipeline_id AND c.received_at < s.before
"""
_EXPIRED: Final = """
DELETE FROM _repeated WHERE pipeline_id = %(id)s AND first_seq > %(base)s AND last_seq < %(oldest)s
"""
_DROP: Final = "DELETE FROM {of} WHERE pipeline_id = %(id)s"
_TABLES: Final = ("_claims", "_repeated", "_decided", "_settled")


class PostgresDeliveries:
    """The ``deliveries`` of a PostgresSilver."""

    def __init__(self, database: Database, clock: Clock, partition: Partition) -> None:
        self._database, self._clock, self._partition = database, clock, partition

    def repeated(self, pipeline_id: PipelineId, first_seq: int, last_seq: int) -> list[tuple[int, int]]:
        own = {"id": pipeline_id, "first": first_seq, "last": last_seq}

        def work(cursor: Cursor) -> list[tuple[int, int]]:
            return [(first, last) for first, last in cursor.execute(_REPEATED, own)]

        return self._database.read(f"looking for repeated deliveries of {pipeline_id}", _SECS, work)

    def claim(self, pipeline_id: PipelineId, claims: pa.Table) -> None:
        doing = f"claiming deliveries of {pipeline_id}"
        self._database.write(doing, lambda cursor: put(cursor, pipeline_id, claims), pipeline_id)

    def settle(self, pipeline_id: PipelineId, settled: Settled) -> None:
        own = {
            "id": pipeline_id, "partition": self._partition, "up_to": settled.up_to, "held": list(settled.held),
            "remembered": REMEMBERED, "waited": _WAITED_FOR, "now": self._clock(), "base": base_of(self._partition),
            "oldest": settled.first_seq,
        }  # fmt: skip

        def work(cursor: Cursor) -> None:
            for statement in (_SAY, _SETTLE, _EXPIRED):
                cursor.execute(statement, own)

        self._database.write(f"settling deliveries of {pipeline_id}", work, pipeline_id)

    def forget(self) -> int:
        return self._database.run("forgetting deliveries", lambda cursor: cursor.execute(_FORGET).rowcount)


def forget_all(cursor: Cursor, pipeline_id: PipelineId) -> None:
    """Forget the deliveries of a pipeline, whose rows are removed."""
    for of in _TABLES:
        cursor.execute(_DROP.format(of=of), {"id": pipeline_id})


_: type[Deliveries] = PostgresDeliveries
