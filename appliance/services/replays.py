"""Replays: history refined again beside the rows in use; asked for, looked at, swapped in, cancelled, undone."""

import time
from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy.orm import Session

from appliance.components.bronze import BronzeLog
from appliance.components.partitions import logs_of
from appliance.domain.access import Action, Principal, require
from appliance.domain.clock import Clock, utc_now
from appliance.domain.ids import PipelineId, new_id
from appliance.domain.mapping import FieldType
from appliance.domain.partition import local_of
from appliance.domain.pipeline import Pipeline
from appliance.domain.replay import Part, Replay, ReplayState
from appliance.errors import Conflict, DashError, Invalid, Problem
from appliance.services.moments import parse_moment
from appliance.services.paging import bounded, cursor_of, place_of
from appliance.services.ports import Engine, Replaying
from appliance.services.replay_book import ControlBook
from appliance.services.replay_documents import ReplayPlan, ReplayRequest, ReplayView, planned_columns, replay_view
from appliance.services.views import Page
from appliance.storage.control import pipelines as pipeline_store
from appliance.storage.control import replays as store
from appliance.storage.control.audit import Deed, record
from appliance.storage.control.plane import ControlPlane

TRIED_EVENTS: Final = 2_000
TRIED_BYTES: Final = 4 << 20
WORKING_THREADS: Final = 2
WORK_BESIDE_MAPPING: Final = 1.6  # times the mapping: reading and storing too (decision 0013)


class _Wish(NamedTuple):
    """A request, understood: how the pipeline runs now, how it would, and which events."""

    before: Pipeline
    after: Pipeline
    whole: bool
    spans: Sequence[range]  # of each partition, ascending; at least one, which may be empty
    expired: int

    @property
    def events(self) -> int:
        return sum(len(span) for span in self.spans)

    @property
    def first_seq(self) -> int:
        return self.spans[0].start

    @property
    def last_seq(self) -> int:
        return self.spans[-1].stop - 1


class Replays:
    """What people do with replays. ``running``: those of this process, for its start and its end; ``book``: theirs."""

    def __init__(
        self, plane: ControlPlane, book: ControlBook, running: Replaying, engine: Engine, clock: Clock = utc_now
    ) -> None:
        self._plane, self.book, self.running, self._engine, self._clock = plane, book, running, engine, clock

    async def plan(self, who: Principal, pipeline_id: PipelineId, request: ReplayRequest) -> ReplayPlan:
        """Return what ``begin`` would do. Raises as it."""
        require(who, Action.PIPELINE_WRITE)
        wish = await self._understood(who, pipeline_id, request)
        return ReplayPlan(
            version=wish.after.version,
            running_version=wish.before.version,
            first_seq=wish.first_seq,
            last_seq=wish.last_seq,
            events=wish.events,
            whole=wish.whole,
            expired=wish.expired,
            columns=planned_columns(wish.before.document.mapping, wish.after.document.mapping),
            secs=await self._tried(wish),
        )

    async def begin(self, who: Principal, pipeline_id: PipelineId, request: ReplayRequest) -> ReplayView:
        """Begin a replay, or let it wait for its turn.

        Raises:
            NotFound: no such pipeline or version.
            Invalid: with every problem of the request.
            Conflict: the pipeline has a replay that is not finished, or the range cannot be replayed by itself.
        """
        require(who, Action.PIPELINE_WRITE)
        wish = await self._understood(who, pipeline_id, request)
        replay = Replay(
            id=new_id("rp"),
            organisation_id=who.organisation_id,
            pipeline_id=pipeline_id,
            version=wish.after.version,
            state=ReplayState.WAITING,
            created_by=who.name,
            created_at=self._clock(),
            first_seq=None if wish.whole else wish.first_seq,
            last_seq=None if wish.whole else wish.last_seq,
            parts=() if wish.whole else tuple(Part(span.start, span.stop - 1) for span in wish.spans),
            swap=request.swap,
            resend=request.resend,
            former_version=wish.before.version,
        )

        def save(tx: Session) -> None:
            store.add(tx, replay)
            self._note(tx, who, replay, "replay.begin")

        await self._plane.write(save)
        self.running.begin(replay)
        return self._view(replay)

    async def list(
        self, who: Principal, pipeline_id: PipelineId | None = None, cursor: str | None = None, limit: int = 50
    ) -> Page[ReplayView]:
        """Return replays, newest first, of one pipeline or of the organisation. Raises NotFound, Invalid."""
        require(who, Action.PIPELINE_READ)
        before = place_of(cursor)[0] if cursor is not None else None
        wanted = bounded(limit) + 1

        def read(tx: Session) -> list[Replay]:
            if pipeline_id is not None:
                pipeline_store.find(tx, who.organisation_id, pipeline_id)
            return [*store.page(tx, who.organisation_id, pipeline_id, before, wanted)]

        found = await self._plane.read(read)
        more = cursor_of([found[limit - 1].id]) if len(found) > limit else None
        return Page([self._view(replay) for replay in found[:limit]], more)

    async def get(self, who: Principal, pipeline_id: PipelineId, replay_id: str) -> ReplayView:
        """Return one replay. Raises NotFound."""
        require(who, Action.PIPELINE_READ)
        return self._view(await self._find(who, pipeline_id, replay_id))

    async def latest(self, who: Principal, pipeline_id: PipelineId) -> ReplayView | None:
        """Return the newest replay of a pipeline; None: there was none. Raises NotFound."""
        return next(iter((await self.list(who, pipeline_id, limit=1)).items), None)

    async def swap(self, who: Principal, pipeline_id: PipelineId, replay_id: str) -> ReplayView:
        """Swap it in as soon as it is rebuilt. Raises NotFound, Conflict: it is not under way."""
        replay = await self._asked(who, pipeline_id, replay_id)
        await self.running.swap(replay)
        await self._plane.write(lambda tx: self._note(tx, who, replay, "replay.swap"))
        return await self.get(who, pipeline_id, replay_id)

    async def cancel(self, who: Principal, pipeline_id: PipelineId, replay_id: str) -> ReplayView:
        """End it and discard what it rebuilt; the rows in use are not touched. Raises NotFound, Conflict: too late."""
        replay = await self._asked(who, pipeline_id, replay_id)
        await self.running.cancel(replay)
        await self._plane.write(lambda tx: self._note(tx, who, replay, "replay.cancel"))
        return await self.get(who, pipeline_id, replay_id)

    async def undo(self, who: Principal, pipeline_id: PipelineId, replay_id: str) -> ReplayView:
        """Put the former rows and the former version back. Raises NotFound, Conflict: too late, or not the last."""
        replay = await self._asked(who, pipeline_id, replay_id)
        await self.running.undo(replay)
        await self._plane.write(lambda tx: self._note(tx, who, replay, "replay.undo"))
        return await self.get(who, pipeline_id, replay_id)

    async def _understood(self, who: Principal, pipeline_id: PipelineId, request: ReplayRequest) -> _Wish:
        await self._plane.read(lambda tx: pipeline_store.find(tx, who.organisation_id, pipeline_id))
        if problems := _problems(request):
            raise Invalid(problems)
        before = await self.book.pipeline(pipeline_id)
        after = await self.book.pipeline(pipeline_id, request.version)
        span = await self._engine.workers.run("read", self._spans, before, request)
        wish = _Wish(before, after, *span)
        if not wish.whole:
            _check_range(wish)
        return wish

    def _spans(self, pipeline: Pipeline, request: ReplayRequest) -> tuple[bool, Sequence[range], int]:
        """Return whether it is everything, its events by partition, and how many earlier ones have expired."""
        now, pipeline_id = self._clock(), pipeline.id
        refined = self._engine.silver(pipeline.organisation_id).partitions([pipeline_id])[pipeline_id]
        logs = logs_of(self._engine.bronze, pipeline_id, refined)
        whole = all(one is None for one in (request.start, request.end, request.first_seq, request.last_seq))
        held = [range(log.upkeep.first_seq(pipeline_id), log.last_seq(pipeline_id) + 1) for log in logs]
        spans = [span for log in logs if (span := events_in(log, pipeline_id, request, now))]
        if not whole and not spans:
            there = " and ".join(f"{one.start} to {one.stop - 1}" for one in held if one)
            told = f"Bronze holds no events there: it has {there or 'none'}"
            raise Invalid([Problem("/from" if request.start is not None else "/first_seq", told)])
        expired = sum(local_of(one.start - 1) for one in held) if whole else 0
        return whole, spans or held[:1] or [range(1, 1)], expired

    async def _tried(self, wish: _Wish) -> float | None:
        """Map some of the events and return about how many seconds all of them take."""
        if not wish.events:
            return 0.0
        most = max(wish.spans, key=len)
        after = most.start - 1 + max(0, len(most) - TRIED_EVENTS) // 2
        frames = await self._engine.workers.run(
            "read", self._engine.bronze.read, wish.before.id, after, TRIED_EVENTS, TRIED_BYTES
        )
        if not frames:
            return None
        began = time.monotonic()
        try:
            await self._engine.preview(wish.after.document.mapping, frames)
        except DashError:
            return None  # what is wrong is told by the replay itself
        each = (time.monotonic() - began) / sum(frame.count for frame in frames)
        return round(wish.events * each * WORK_BESIDE_MAPPING / WORKING_THREADS, 1)

    async def _asked(self, who: Principal, pipeline_id: PipelineId, replay_id: str) -> Replay:
        """Return a replay of which ``who`` may ask something."""
        require(who, Action.PIPELINE_WRITE)
        return await self._find(who, pipeline_id, replay_id)

    async def _find(self, who: Principal, pipeline_id: PipelineId, replay_id: str) -> Replay:
        return await self._plane.read(lambda tx: store.find(tx, who.organisation_id, replay_id, pipeline_id))

    def _note(self, tx: Session, who: Principal, replay: Replay, action: str) -> None:
        told = ("version", "first_seq", "last_seq", "swap", "resend")
        detail = {"replay": replay.id, **{name: getattr(replay, name) for name in told}}
        deed = Deed(
            organisation_id=who.organisation_id, who=who.name, action=action, target=replay.pipeline_id, detail=detail
        )
        record(tx, deed, self._clock())

    def _view(self, replay: Replay) -> ReplayView:
        return replay_view(*self.running.now(replay))


def events_in(log: BronzeLog, pipeline_id: PipelineId, request: ReplayRequest, now: datetime) -> range:
    """Return the events of one partition that ``request`` means, of those that Bronze still holds; blocking."""
    seq_at, oldest, newest = log.upkeep.seq_at, log.upkeep.first_seq(pipeline_id), log.last_seq(pipeline_id)
    first, last = max(oldest, request.first_seq or oldest), min(newest, request.last_seq or newest)
    if request.start is not None:
        first = max(first, seq_at(pipeline_id, parse_moment(request.start, now)))
    if request.end is not None:
        last = min(last, seq_at(pipeline_id, parse_moment(request.end, now)) - 1)
    return range(first, last + 1)


def _problems(request: ReplayRequest) -> list[Problem]:
    problems = []
    now = utc_now()
    for name, text in (("from", request.start), ("to", request.end)):
        if text is not None:
            try:
                parse_moment(text, now)
            except ValueError as error:
                problems.append(Problem(f"/{name}", str(error)))
    return problems


def _check_range(wish: _Wish) -> None:
    """Return if the range can be replayed by itself. Raises Conflict: only the whole can."""
    keyed = [one for one in (wish.before, wish.after) if one.document.mapping.key]
    if keyed:
        raise Conflict(
            "a range of a pipeline with a key cannot be replayed by itself, since its rows may have replaced rows "
            "elsewhere: replay the whole pipeline (without from, to, first_seq and last_seq)"
        )
    types: dict[str, FieldType] = {field.name.lower(): field.type for field in wish.before.document.mapping.fields}
    for field in wish.after.document.mapping.fields:
        if types.get(field.name.lower(), field.type) is not field.type:
            raise Conflict(
                f"version {wish.after.version} makes {field.name!r} {field.type.value}, and the rows around the range "
                f"hold {types[field.name.lower()].value}: replay the whole pipeline"
            )
