"""One event looked up in Bronze and Silver: what is known of it there. Blocking."""

from bisect import bisect_left
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from appliance.components.bronze import BronzeLog, Correction
from appliance.components.generations import Span
from appliance.components.partitions import log_with
from appliance.components.rows import encode_rows
from appliance.components.silver import Condition, DeadLetterQuery, Order, RecordQuery, SilverStore, Table
from appliance.domain.event import Frame, StoredEvent
from appliance.domain.ids import PipelineId
from appliance.domain.partition import local_of, spoken, up_to
from appliance.errors import NotFound
from appliance.services.dead_letters import dead_letters_of
from appliance.services.lineage_views import Fate
from appliance.services.records import Row, json_columns
from appliance.services.views import DeadLetter

if TYPE_CHECKING:
    import pyarrow as pa

MOST_ROWS: Final = 100
_MOST_LETTERS: Final = 1_000


class Place(msgspec.Struct, frozen=True):
    """A row of a pipeline; ``item`` None: all that its event became."""

    pipeline_id: PipelineId
    seq: int
    item: int | None = None


class Origin(msgspec.Struct, frozen=True):
    """What the source ``pipeline`` writes into each event: the row that it was."""

    pipeline: PipelineId = msgspec.field(name="_pipeline")
    seq: int = msgspec.field(name="_seq")
    item: int = msgspec.field(name="_item")


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """``refined``: how far the pipeline is. ``outcomes``: what may have become of the event; one: that is it."""

    place: Place
    fate: Fate
    told: str | None
    event: StoredEvent | None
    correction: Correction | None
    span: Span | None
    rows: list[Row]
    more_rows: bool
    letters: list[DeadLetter]
    outcomes: tuple[str, ...]
    frames: Sequence[Frame] = ()  # to be mapped again, where that alone can tell between the outcomes

    @property
    def origin(self) -> Origin | None:
        """The row of another pipeline that the event was; None: it came from outside, or is not held any more."""
        if self.event is None or self.event.envelope.source != "pipeline":
            return None
        try:
            return msgspec.json.decode(self.event.payload, type=Origin)
        except msgspec.DecodeError:
            return None


def look_up(bronze: BronzeLog, silver: SilverStore, table: Table | None, place: Place) -> Facts:
    """Return what is known. ``table`` None: the pipeline does not run, its rows cannot be asked for.

    Raises:
        NotFound: the pipeline has not received such an event.
    """
    log = log_with(bronze, place.pipeline_id, place.seq)
    last = log.last_seq(place.pipeline_id)
    if place.seq not in up_to(last):
        received = f"it has received {local_of(last)}"
        raise NotFound(f"pipeline {place.pipeline_id!r} has no event {spoken(place.seq)}: {received}")
    event, fate, told = _event(log, place)
    correction = log.upkeep.correction(place.pipeline_id, place.seq)
    spans = silver.generations.spans(place.pipeline_id)
    span = _span(spans, place.seq)
    rows = _rows(silver, table, place)
    letters = _letters(silver, place)
    outcomes = _outcomes(bool(rows), bool(letters), span, fate, correction)
    if len(outcomes) > 1 and silver.deliveries.repeated(place.pipeline_id, place.seq, place.seq):
        outcomes = ("duplicate",)
    frames = log.read(place.pipeline_id, place.seq - 1, 1, 1) if len(outcomes) > 1 and event else []
    return Facts(
        place=place, fate=fate, told=told or (None if table else "the pipeline does not run: its rows are not shown"),
        event=event, correction=correction, span=span, letters=letters, outcomes=outcomes, frames=frames,
        rows=rows[:MOST_ROWS], more_rows=len(rows) > MOST_ROWS,
    )  # fmt: skip


def mapped_outcome(facts: Facts, rows: int, dead: int) -> str:
    """Return which of the outcomes it is, now that the event was mapped again into so many rows and dead letters."""
    if dead:
        return "dead"
    if not rows:
        return "filtered"
    return "duplicate" if "duplicate" in facts.outcomes else "stored"


def _event(bronze: BronzeLog, place: Place) -> tuple[StoredEvent | None, Fate, str | None]:
    try:
        return bronze.event(place.pipeline_id, place.seq), Fate.HELD, None
    except NotFound as error:
        told = str(error)
    if place.seq < bronze.upkeep.first_seq(place.pipeline_id):
        return None, Fate.EXPIRED, told
    places = bronze.upkeep.quarantined(place.pipeline_id)
    if any(one.first_seq <= place.seq <= one.last_seq for one in places):
        return None, Fate.QUARANTINED, told
    return None, Fate.ERASED, told


def _span(spans: Sequence[Span], seq: int) -> Span | None:
    at = bisect_left(spans, seq, key=lambda span: span.last_seq)
    return spans[at] if at < len(spans) and spans[at].first_seq <= seq else None


def _rows(silver: SilverStore, table: Table | None, place: Place) -> list[Row]:
    if table is None:
        return []
    where = [Condition("_seq", "=", place.seq)]
    if place.item is not None:
        where.append(Condition("_item", "=", place.item))
    found: pa.Table = silver.records(table, RecordQuery(where=tuple(where), order=Order.ASC, limit=MOST_ROWS + 1))
    return encode_rows(found.to_pylist(), json_columns(table))


def _letters(silver: SilverStore, place: Place) -> list[DeadLetter]:
    query = DeadLetterQuery(seq=place.seq, limit=_MOST_LETTERS)
    letters = dead_letters_of(silver.dead_letters(place.pipeline_id, query))
    found = [letter for letter in letters if place.item in (None, letter.item)]
    return sorted(found, key=lambda letter: letter.item)[:MOST_ROWS]


def _outcomes(
    has_rows: bool, has_letters: bool, span: Span | None, fate: Fate, correction: Correction | None
) -> tuple[str, ...]:
    """Return what may have become of an event; what left nothing behind is told by what its span counts."""
    if span is None:
        return ("pending",)
    if has_letters:
        return ("dead",)
    if has_rows:
        return ("stored",)
    if fate is Fate.ERASED or (correction is not None and correction.payload is None):
        return ("filtered",)
    counted = {"filtered": span.filtered, "duplicate": span.duplicate, "stored": span.gone}
    return tuple(outcome for outcome, count in counted.items() if count) or ("dead",)  # dead letters go with retention
