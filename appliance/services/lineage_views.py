"""What lineage answers: an event, what became of it, where it came from and who has read it."""

from datetime import datetime
from enum import Enum
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from appliance.domain.ids import PipelineId
from appliance.services.query_documents import QueryDocument
from appliance.services.views import DeadLetter

MOST_SEQS = 100


class Fate(Enum):
    """Whether the event can still be shown."""

    HELD = "held"
    EXPIRED = "expired"  # retention has removed its segment
    ERASED = "erased"  # on somebody's request, for good
    QUARANTINED = "quarantined"  # its segment cannot be read at present
    GONE = "gone"  # its whole pipeline was deleted


class ReceivedEvent(msgspec.Struct, frozen=True, kw_only=True):
    """The event as it was received, and its place in Bronze. ``line``: in the uncompressed segment, from 1."""

    segment: str
    line: int
    received_at: datetime
    source: str
    delivery_id: str | None
    remote: str | None
    headers: dict[str, str]
    payload: Any


class CorrectedBy(msgspec.Struct, frozen=True, kw_only=True):
    """What is refined instead of the event. ``payload`` null: nothing, it was dropped by hand."""

    payload: Any
    reason: str
    by: str
    at: datetime


class RefinedBy(msgspec.Struct, frozen=True, kw_only=True):
    """The version of the pipeline that refined the event, who saved it and when. ``day``: of receipt, UTC."""

    version: int
    author: str | None
    saved_at: datetime | None
    day: str


class Hop(msgspec.Struct, frozen=True, kw_only=True):
    """One event in one pipeline.

    ``told``: why something cannot be shown, in a sentence. ``outcome``: its place in the ledger (``stored``,
    ``filtered``, ``duplicate``, ``dead``, ``pending``); null: it cannot be told any more. ``rows``: as ``…/records``
    has them, with ``_item``; at most 100, ``more_rows`` says whether there are others.
    """

    pipeline: PipelineId
    name: str | None
    seq: int
    item: int | None = None
    fate: Fate
    told: str | None = None
    event: ReceivedEvent | None = None
    correction: CorrectedBy | None = None
    refined: RefinedBy | None = None
    outcome: str | None = None
    rows: list[dict[str, Any]] = []
    more_rows: bool = False
    dead_letters: list[DeadLetter] = []


class ReaderView(msgspec.Struct, frozen=True, kw_only=True):
    """A pipeline that reads this one. ``read``: it has read this event; ``up_to``: the newest event it has."""

    pipeline: PipelineId
    name: str
    read: bool
    up_to: int


class Lineage(Hop, frozen=True, kw_only=True):
    """The whole way of an event. ``upstream``: the rows it was made of, nearest pipeline first, back to raw bytes."""

    upstream: list[Hop] = []
    downstream: list[ReaderView] = []
    sinks: list[dict[str, Any]] = []


class PointDocument(QueryDocument, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """A query as ``POST /api/v1/query`` takes it, and one row of its answer: what of it stands in time and group."""

    point: Annotated[
        dict[str, Any],
        Meta(description="_time of the bucket, and a value (or null) for each field of group_by"),
    ] = {}
    records: Annotated[int, Meta(ge=1, le=MOST_SEQS, description="How many to name")] = MOST_SEQS


class PointRecord(msgspec.Struct, frozen=True, kw_only=True):
    seq: int = msgspec.field(name="_seq")
    item: int = msgspec.field(name="_item")
    time: datetime = msgspec.field(name="_time")


class PointLineage(msgspec.Struct, frozen=True, kw_only=True):
    """The records behind one point, oldest first; ``more``: there are others. Ask for the lineage of each by _seq."""

    pipeline: PipelineId
    start: datetime | None = msgspec.field(name="from")
    end: datetime | None = msgspec.field(name="to")
    records: list[PointRecord]
    more: bool
