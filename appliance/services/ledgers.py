"""The ledger by day and version: where the events of each went."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

import msgspec

from appliance.components.bronze import BronzeLog
from appliance.components.generations import Span
from appliance.components.partitions import log_with
from appliance.domain.access import Action, Principal, require
from appliance.domain.clock import Clock, utc_now
from appliance.domain.ids import PipelineId
from appliance.domain.partition import Partition, base_of, partition_of
from appliance.errors import NotFound, TransientError
from appliance.services.ownership import Ownership
from appliance.services.ports import Engine

By = Literal["day", "version", "day,version"]
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_PLACES: Final = ("stored", "filtered", "duplicate", "dead", "pending", "gone")


class LedgerLine(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Events received on ``day`` (UTC) and refined by ``version``: received is the sum of the five places after it.

    ``version`` None: not refined yet. ``gone``: of those stored, events whose rows retention has removed since.
    """

    day: str | None = None
    version: int | None = None
    received: int
    stored: int
    filtered: int
    duplicate: int
    dead: int
    pending: int
    gone: int


class Ledgers:
    """Reads the spans that every commit writes, and asks Bronze for what is not refined yet."""

    def __init__(self, ownership: Ownership, engine: Engine, clock: Clock = utc_now) -> None:
        self._ownership, self._engine, self._clock = ownership, engine, clock

    async def lines(self, who: Principal, pipeline_id: PipelineId, by: By) -> list[LedgerLine]:
        """Return the ledger's lines, newest day or version first. Raises NotFound."""
        require(who, Action.DATA_READ)
        await self._ownership.check(who, pipeline_id)
        silver = await self._engine.workers.run("read", self._engine.silver, who.organisation_id)

        def look() -> list[LedgerLine]:
            spans = silver.generations.spans(pipeline_id)
            return grouped(spans, self._waiting(pipeline_id, refined_in(spans)), by)

        return await self._engine.workers.run("read", look)

    def _waiting(self, pipeline_id: PipelineId, refined: Mapping[int, int]) -> Iterator[tuple[str, int]]:
        """Yield the days of what is not refined, of every node; blocking."""
        bronze, elsewhere = self._engine.bronze, self._engine.elsewhere.get(pipeline_id, {})
        own = partition_of(bronze.last_seq(pipeline_id))
        yield from pending_days(bronze, pipeline_id, refined.get(own, base_of(own)))
        for number, share in elsewhere.items():
            reached = refined.get(number, base_of(Partition(number)))
            if share.last_seq > reached:
                yield from self._waiting_there(pipeline_id, reached, share.last_seq)

    def _waiting_there(self, pipeline_id: PipelineId, refined: int, last: int) -> Sequence[tuple[str, int]]:
        """Return the days at another node; of one that does not answer today has all that it has said it has."""
        try:
            log = log_with(self._engine.bronze, pipeline_id, last)
            return list(pending_days(log, pipeline_id, refined))
        except (TransientError, NotFound):
            return [(self._clock().date().isoformat(), last - refined)]


def refined_in(spans: Iterable[Span]) -> dict[int, int]:
    """Return the last event refined of each partition that has any."""
    return {partition_of(span.last_seq): span.last_seq for span in spans}


def pending_days(bronze: BronzeLog, pipeline_id: PipelineId, refined: int) -> Iterator[tuple[str, int]]:
    """Yield the days of receipt of the events after ``refined``, each with their number; blocking."""
    seq, last = refined + 1, bronze.last_seq(pipeline_id)
    while seq <= last:
        frames = bronze.read(pipeline_id, seq - 1, 1, 1)
        if not frames:
            return
        received = _EPOCH + timedelta(microseconds=frames[0].received_us)
        tomorrow = received.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
        until = max(min(bronze.upkeep.seq_at(pipeline_id, tomorrow), last + 1), frames[0].last_seq + 1)
        yield received.date().isoformat(), until - seq
        seq = until


def grouped(spans: Iterable[Span], waiting: Iterable[tuple[str, int]], by: By) -> list[LedgerLine]:
    """Return one line for each day, version, or both."""
    sums: dict[tuple[str | None, int | None], dict[str, int]] = {}

    def add(day: str, version: int | None, counts: dict[str, int]) -> None:
        key = (day if "day" in by else None, version if "version" in by else None)
        line = sums.setdefault(key, dict.fromkeys(_PLACES, 0))
        for place, count in counts.items():
            line[place] += count

    for span in spans:
        add(span.day, span.version, {place: getattr(span, place) for place in _PLACES if place != "pending"})
    for day, count in waiting:
        add(day, None, {"pending": count})
    newest = sorted(sums.items(), key=lambda one: (one[0][0] or "", one[0][1] or 1 << 62), reverse=True)
    return [
        LedgerLine(day=day, version=version, received=sum(counts.values()) - counts["gone"], **counts)
        for (day, version), counts in newest
    ]
