"""Dead letters as objects, in the live generation."""

from collections.abc import Callable, Sequence
from typing import Final

import pyarrow as pa

from appliance.components.arrow import INSTANT
from appliance.components.letters import Amendment, LetterCount, LetterFilter, LetterGroup, Letters
from appliance.components.silver import Progress
from appliance.domain.ids import PipelineId
from appliance.storage.silver_postgres import fetched, names, places
from appliance.storage.silver_postgres.connections import Cursor
from appliance.storage.silver_postgres.database import Database
from appliance.storage.sql.letters import select_groups, select_seqs

_GROUPS: Final = pa.schema(
    [
        ("reason", pa.string()), ("field", pa.string()), ("events", pa.int64()), ("oldest", INSTANT),
        ("newest", INSTANT), ("first_seq", pa.int64()), ("last_seq", pa.int64()), ("example", pa.string()),
    ]
)  # fmt: skip
# From the ledger, not from the letters: counting distinct events reads all of them, this a line a day.
_EVENTS: Final = """
SELECT pipeline_id, live, sum(dead - dead_gone)::bigint FROM _spans JOIN _pipelines USING (pipeline_id)
WHERE live = generation AND pipeline_id = ANY(%(ids)s) GROUP BY pipeline_id, live
"""
_OLDEST: Final = "SELECT min(received_at) FROM {dead}"

Amend = Callable[[Amendment], Progress]


class PostgresLetters:
    """The ``letters`` of a PostgresSilver, which does the amending itself."""

    def __init__(self, database: Database, timeout_secs: float, amend: Amend) -> None:
        self._database, self._timeout_secs, self._amend = database, timeout_secs, amend

    def groups(self, pipeline_id: PipelineId, chosen: LetterFilter) -> list[LetterGroup]:
        def work(cursor: Cursor) -> list[LetterGroup]:
            place = places.find(cursor, pipeline_id)
            if place is None:
                return []
            statement = select_groups(pipeline_id, place.number, chosen, names.DIALECT)
            return [LetterGroup(**group) for group in fetched.as_schema(cursor, statement, _GROUPS).to_pylist()]

        return self._database.look(f"reading dead letters of {pipeline_id}", self._timeout_secs, work, pipeline_id)

    def seqs(self, pipeline_id: PipelineId, chosen: LetterFilter, after_seq: int, limit: int) -> list[int]:
        def work(cursor: Cursor) -> list[int]:
            place = places.find(cursor, pipeline_id)
            if place is None:
                return []
            statement = select_seqs(pipeline_id, place.number, chosen, names.DIALECT, (after_seq, limit))
            return [seq for (seq,) in cursor.execute(statement.sql, statement.values)]

        return self._database.read(f"reading dead letters of {pipeline_id}", self._timeout_secs, work)

    def count(self, pipeline_ids: Sequence[PipelineId]) -> dict[PipelineId, LetterCount]:
        def work(cursor: Cursor) -> dict[PipelineId, LetterCount]:
            counts = {}
            for pipeline_id, live, events in cursor.execute(_EVENTS, {"ids": list(pipeline_ids)}).fetchall():
                oldest = cursor.execute(_OLDEST.format(**names.tables(pipeline_id, live)), {}).fetchall()[0][0]
                counts[PipelineId(pipeline_id)] = LetterCount(events, oldest if events else None)
            return counts

        counts = self._database.read("counting dead letters", self._timeout_secs, work)
        return {one: counts.get(one, LetterCount(0, None)) for one in pipeline_ids}

    def amend(self, amendment: Amendment) -> Progress:
        """See ``Letters.amend``. A table not prepared, or with fewer columns, is prepared first."""
        return self._amend(amendment)


_: type[Letters] = PostgresLetters
