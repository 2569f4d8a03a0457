"""The contract of dead letters as objects: grouped, chosen, and refined again in place."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

import msgspec
import pyarrow as pa

from appliance.components.silver import Progress, Table
from appliance.domain.ids import PipelineId


class LetterFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which dead letters. None: any. ``seqs``: exactly these events (at most 10,000)."""

    reason: str | None = None
    field: str | None = None
    message: str | None = None  # exactly
    version: int | None = None
    first_seq: int | None = None
    last_seq: int | None = None
    received_from: datetime | None = None
    received_to: datetime | None = None
    seqs: tuple[int, ...] = ()


class LetterGroup(msgspec.Struct, frozen=True):
    """Dead letters with one cause: the same reason and field. ``example``: one of their messages."""

    reason: str
    field: str | None
    events: int
    oldest: datetime
    newest: datetime
    first_seq: int
    last_seq: int
    example: str


class LetterCount(msgspec.Struct, frozen=True):
    events: int
    oldest: datetime | None  # received; None: there are none


class Amendment(msgspec.Struct, frozen=True):
    """Events refined again: ``rows`` and ``dead`` as in ``Batch``, of exactly the events ``seqs`` (ascending).

    An event of ``seqs`` with neither row nor dead letter is filtered from now on. ``version``: refined by.
    """

    table: Table
    version: int
    seqs: Sequence[int]
    rows: pa.Table
    dead: pa.Table


class Letters(Protocol):
    """Dead letters of one organisation's pipelines, in the live generation. Errors as ``SilverStore``."""

    def groups(self, pipeline_id: PipelineId, chosen: LetterFilter) -> list[LetterGroup]:
        """Return the causes, most events first; at most 1,000. For people: as old as the answers of ``Look`` may be."""
        ...

    def seqs(self, pipeline_id: PipelineId, chosen: LetterFilter, after_seq: int, limit: int) -> list[int]:
        """Return the next events (distinct, ascending) that have such a dead letter."""
        ...

    def count(self, pipeline_ids: Sequence[PipelineId]) -> dict[PipelineId, LetterCount]:
        """Return how many events are dead and the age of the oldest; for metrics, so it must be cheap."""
        ...

    def amend(self, amendment: Amendment) -> Progress:
        """Replace rows and dead letters of these events by the new ones, in one transaction; return the new progress.

        Everything else stays as if the events had been refined so in the first place: keyed rows that a later event
        superseded do not come back, rollups follow, and ``Feed`` hands the new rows to downstream readers once.
        Events above the progress are refused with Conflict; doing it again changes nothing.
        """
        ...
