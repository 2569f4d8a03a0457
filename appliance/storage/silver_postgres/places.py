"""Where a pipeline's rows are at this moment: asked of the database in every transaction, for others may change it."""

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, Final, NamedTuple

import msgspec

from appliance.components.silver import Table
from appliance.domain.ids import PipelineId
from appliance.domain.mapping import FieldType
from appliance.errors import NotFound, TransientError
from appliance.storage.silver_postgres.connections import Cursor
from appliance.storage.silver_postgres.length import Length
from appliance.storage.silver_postgres.locks import Lock
from appliance.storage.sql.scope import SYSTEM_FIELDS
from appliance.storage.sql.source import Stored

_FIND: Final = """
SELECT number, live, columns, keyed, period, chunk_us, created_at, version, era, coalesce(held_until > now(), false)
FROM _pipelines JOIN _generations USING (pipeline_id)
WHERE pipeline_id = %(id)s AND number = coalesce(%(number)s::integer, live)
"""
# With a lock on the generation until the transaction ends: what runs after this sees what who had it before has done.
_ENTER: Final = """
SELECT number, live, columns, keyed, period, chunk_us, created_at, version, era, coalesce(held_until > now(), false),
    {how}(hashtextextended(current_schema() || '/' || pipeline_id || '#' || number, 0))::text
FROM _pipelines JOIN _generations USING (pipeline_id)
WHERE pipeline_id = %(id)s AND number = coalesce(%(number)s::integer, live)
"""
_HOLD: Final = "SELECT live FROM _pipelines WHERE pipeline_id = %(id)s FOR SHARE"
_NUMBERS: Final = "SELECT number FROM _generations WHERE pipeline_id = %(id)s ORDER BY number"
_SOON_SECS: Final = 0.2
_CHANGED: Final = "UPDATE _pipelines SET version = version + 1 WHERE pipeline_id = %(id)s"


class Place(NamedTuple):
    """One generation. ``stored``: the columns of its rows; ``period``: how they are partitioned;
    ``chunk_us``: how wide new chunks of theirs are, None: they are no hypertable.

    ``version``: changes with whatever is done to tables. ``era``: of the pipeline; ``held``: nobody is to commit to
    its live rows at present.
    """

    number: int
    live: bool
    stored: Stored
    keyed: bool
    period: Length | None
    chunk_us: int | None
    created_at: datetime
    version: int
    era: int
    held: bool

    def outdated(self, table: Table) -> bool:
        """Return whether ``table`` means live rows that are not in use any more."""
        return table.generation is None and table.era is not None and table.era < self.era


def find(cursor: Cursor, pipeline_id: PipelineId, generation: int | None = None) -> Place | None:
    """Return the live generation, None where there is no table yet; or the generation named.

    Raises:
        NotFound: it names one that is not there.
    """
    own = {"id": pipeline_id, "number": generation}
    return _place(Table(pipeline_id, (), generation=generation), cursor.execute(_FIND, own).fetchall())


def find_of(cursor: Cursor, table: Table) -> Place | None:
    """Return the generation that ``table`` means; see ``find``."""
    return find(cursor, table.pipeline_id, table.generation)


def enter(cursor: Cursor, table: Table, how: Lock) -> Place | None:
    """Do as ``find_of``, and share the generation with others who write in it, or be alone in it.

    Inside a transaction that shares the pipeline.
    """
    own = {"id": table.pipeline_id, "number": table.generation}
    return _place(table, cursor.execute(_ENTER.format(how=how.value), own).fetchall())


def check_in_use(table: Table, place: Place) -> None:
    """Return if ``table`` means rows as they are in use now. Raises TransientError: others are by now."""
    if place.outdated(table):
        raise TransientError(
            f"Storing rows of {table.pipeline_id}: a replay has put other rows in use, perhaps by another version;"
            " this node goes on when it runs that one too",
            _SOON_SECS,
        )


def check_free(table: Table, place: Place) -> None:
    """Return if live rows may be committed now. Raises TransientError: a replay is about to put others in use."""
    if table.generation is None and place.held:
        told = "a replay catches up with them, to put others in use"
        raise TransientError(f"Storing rows of {table.pipeline_id}: {told}", _SOON_SECS)


def hold(cursor: Cursor, pipeline_id: PipelineId) -> int | None:
    """Return the live generation; fail where the transaction's moment was before somebody's work alone."""
    found = cursor.execute(_HOLD, {"id": pipeline_id}).fetchall()
    return found[0][0] if found else None


def numbers(cursor: Cursor, pipeline_id: PipelineId) -> list[int]:
    """Return the generations there are, oldest first."""
    return [number for (number,) in cursor.execute(_NUMBERS, {"id": pipeline_id}).fetchall()]


def pipelines(cursor: Cursor) -> list[PipelineId]:
    """Return the pipelines there are."""
    return [PipelineId(one) for (one,) in cursor.execute("SELECT pipeline_id FROM _pipelines").fetchall()]


def changed(cursor: Cursor, pipeline_id: PipelineId) -> None:
    """Let it be known that something is done to this pipeline alone."""
    cursor.execute(_CHANGED, {"id": pipeline_id})


def _place(table: Table, found: Sequence[tuple[Any, ...]]) -> Place | None:
    if not found:
        if table.generation is not None:
            raise no_such(table.pipeline_id, table.generation)
        return None
    number, live, columns, keyed, period, chunk_us, created_at, version, era, held, *_ = found[0]
    length = None if period is None else Length(period)
    return Place(number, number == live, decoded(columns), keyed, length, chunk_us, created_at, version, era, held)


def no_such(pipeline_id: PipelineId, number: int) -> NotFound:
    """Return what to raise for a generation that is not there."""
    told = "it was discarded, or the store was begun anew; replay again"
    return NotFound(f"Pipeline {pipeline_id} has no generation {number}: {told}.")


def encoded(stored: Stored) -> str:
    """Return columns as they are kept."""
    own = {name: types for name, types in stored.items() if name not in SYSTEM_FIELDS}
    return msgspec.json.encode(own).decode()


@lru_cache(maxsize=4096)
def decoded(columns: str) -> Stored:
    """Return columns that were kept, and the system's."""
    own = msgspec.json.decode(columns, type=dict[str, tuple[FieldType, ...]])
    return {**{name: (kind,) for name, kind in SYSTEM_FIELDS.items()}, **own}
