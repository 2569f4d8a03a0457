"""Dead letters as objects: chosen, grouped by cause, retried, corrected, dropped. Nothing is lost by any of it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec.structs import replace
from sqlalchemy import select

from appliance.components.bronze import BronzeLog, Correction
from appliance.components.letters import LetterFilter, LetterGroup
from appliance.components.rows import encode_rows, public_rows
from appliance.components.silver import DeadLetterQuery
from appliance.domain.access import Action, Principal, require
from appliance.domain.clock import Clock, utc_now
from appliance.domain.ids import PipelineId
from appliance.domain.partition import spoken
from appliance.domain.replay import ReplayState
from appliance.errors import Conflict, Invalid, Problem
from appliance.services.dead_letters import dead_letters_of
from appliance.services.letter_documents import (
    EXAMPLES,
    DropRequest,
    FixRequest,
    LetterCause,
    LetterChoice,
    LetterWork,
    RetryRequest,
)
from appliance.services.ownership import Ownership
from appliance.services.pipeline_views import live_stats
from appliance.services.ports import Amender, Engine
from appliance.services.query_documents import read_span
from appliance.services.records import json_columns
from appliance.services.views import DeadLetter
from appliance.storage.control.audit import Deed, record
from appliance.storage.control.plane import ControlPlane
from appliance.storage.control.tables import ReplayRow

READ_EVENTS, READ_BYTES = 2_000, 4 << 20  # at once, to patch some of them

_ENDED: Final = (ReplayState.SWAPPED, ReplayState.CANCELLED, ReplayState.FAILED, ReplayState.UNDONE)
_UNFINISHED: Final = [state.value for state in ReplayState if state not in _ENDED]

_NUMBERS_NOTED: Final = 100

AnyRequest = RetryRequest | FixRequest | DropRequest


class DeadLetters:
    """Reads in the threads for reading, changes in those for control; every change is in the audit trail."""

    def __init__(
        self, plane: ControlPlane, ownership: Ownership, engine: Engine, amender: Amender, clock: Clock = utc_now
    ) -> None:
        self._plane, self._ownership, self._engine = plane, ownership, engine
        self._amender, self._clock = amender, clock

    async def newest(self, who: Principal, pipeline_id: PipelineId, query: DeadLetterQuery) -> list[DeadLetter]:
        """Return dead letters, newest first. Raises NotFound."""
        await self._check(who, pipeline_id, Action.DATA_READ)
        silver = await self._engine.workers.run("read", self._engine.silver, who.organisation_id)
        return dead_letters_of(await self._engine.workers.run("read", silver.look.dead_letters, pipeline_id, query))

    async def causes(self, who: Principal, pipeline_id: PipelineId, choice: LetterChoice) -> list[LetterCause]:
        """Return what dead letters have in common, most events first. Raises NotFound, Invalid."""
        await self._check(who, pipeline_id, Action.DATA_READ)
        chosen = self._filter(choice)
        silver = await self._engine.workers.run("read", self._engine.silver, who.organisation_id)
        groups = await self._engine.workers.run("read", silver.letters.groups, pipeline_id, chosen)
        return [_cause(group) for group in groups]

    async def retry(self, who: Principal, pipeline_id: PipelineId, request: RetryRequest) -> LetterWork:
        """Refine the chosen events again by the mapping of now; those that still fail stay dead letters.

        Raises:
            NotFound, Invalid; Conflict: the pipeline does not run.
        """
        return await self._work(who, pipeline_id, request, lambda seqs: {})

    async def drop(self, who: Principal, pipeline_id: PipelineId, request: DropRequest) -> LetterWork:
        """Refine nothing instead of the chosen events: filtered from now on, for every replay too.

        Raises as ``retry``; Conflict: a replay is under way.
        """
        return await self._work(who, pipeline_id, request, lambda seqs: dict.fromkeys(seqs, None))

    async def fix(self, who: Principal, pipeline_id: PipelineId, request: FixRequest) -> LetterWork:
        """Refine something else instead of the chosen events, for every replay too. Raises as ``drop``."""
        payload, patch = request.payload, request.patch
        if (payload is msgspec.UNSET) == (patch is None):
            raise Invalid([Problem("/payload", "expected either a payload (of one event) or a patch")])
        if patch is not None:
            return await self._work(who, pipeline_id, request, lambda seqs: self._patched(pipeline_id, seqs, patch))
        if len(request.choose.seqs) != 1:
            raise Invalid([Problem("/choose/seqs", "a payload replaces one event: name it here, or send a patch")])
        line = msgspec.json.encode(payload)
        return await self._work(who, pipeline_id, request, lambda seqs: dict.fromkeys(seqs, line))

    def _patched(self, pipeline_id: PipelineId, seqs: Sequence[int], patch: dict[str, Any]) -> dict[int, bytes | None]:
        """Return each event, as corrected before, merged with ``patch``; not those that cannot be read; blocking.

        Raises:
            Invalid: an event is not a JSON object.
        """
        merged: dict[int, bytes | None] = {}
        for seq, line in lines_of(self._engine.bronze, pipeline_id, seqs):
            try:
                event = msgspec.json.decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                event = None
            if not isinstance(event, dict):
                told = f"event {spoken(seq)} is no JSON object and cannot be patched"
                raise Invalid([Problem("/patch", told, "choose others, or give its whole payload")])
            merged[seq] = msgspec.json.encode(merge_patch(event, patch))
        return merged

    async def _work(
        self,
        who: Principal,
        pipeline_id: PipelineId,
        request: AnyRequest,
        replace_by: Callable[[list[int]], Mapping[int, bytes | None]],
    ) -> LetterWork:
        """Do ``request`` for its next events; ``replace_by`` (blocking) says what is refined instead of each."""
        await self._check(who, pipeline_id, Action.PIPELINE_WRITE)
        if isinstance(request, (FixRequest, DropRequest)) and not request.dry_run:
            await self._refuse_beside_replay(pipeline_id)
        seqs, more = await self._chosen(who, pipeline_id, request)
        ahead = [] if seqs else self._ahead(pipeline_id, request)
        seqs = seqs or ahead
        if not seqs:
            if request.choose.seqs and not request.after_seq:
                told = "none of these events is a dead letter of this pipeline"
                raise Invalid([Problem("/choose/seqs", told, "look at the list again: they may be mended already")])
            return self._empty(pipeline_id, request.dry_run)
        run = self._engine.workers.run
        replaced = await run("read", replace_by, seqs)
        if request.dry_run or ahead:
            done = await self._amender.attempt(pipeline_id, seqs, replaced)
        if not request.dry_run:
            await self._note(who, pipeline_id, request, len(seqs))
            if replaced:
                corrections = self._corrections(who, request, replaced)
                await run("control", self._engine.bronze.upkeep.correct, pipeline_id, corrections)
            if not ahead:
                done = await self._amender.redo(who.organisation_id, pipeline_id, seqs)
        json_fields = json_columns(self._engine.table(pipeline_id))
        return replace(
            self._empty(pipeline_id, request.dry_run),
            events=len(seqs),
            stored=done.outcome.stored,
            filtered=done.outcome.filtered,
            dead=done.outcome.dead,
            missing=len(done.missing),
            rows=encode_rows(public_rows(done.rows.slice(0, EXAMPLES)), json_fields),
            dead_letters=dead_letters_of(done.dead.slice(0, EXAMPLES)),
            next_seq=seqs[-1] if more else None,
        )

    def _empty(self, pipeline_id: PipelineId, dry_run: bool) -> LetterWork:
        ledger = live_stats(self._engine, pipeline_id).ledger
        return LetterWork(
            dry_run=dry_run, events=0, stored=0, filtered=0, dead=0, missing=0, rows=[], dead_letters=[],
            next_seq=None, ledger=ledger,
        )  # fmt: skip

    async def _chosen(self, who: Principal, pipeline_id: PipelineId, request: AnyRequest) -> tuple[list[int], bool]:
        """Return the next events, ascending, and whether there are more after them."""
        chosen = self._filter(request.choose)
        silver = await self._engine.workers.run("read", self._engine.silver, who.organisation_id)
        wanted = request.limit + 1
        ask = silver.letters.seqs
        found = await self._engine.workers.run("read", ask, pipeline_id, chosen, request.after_seq, wanted)
        return found[: request.limit], len(found) > request.limit

    def _ahead(self, pipeline_id: PipelineId, request: AnyRequest) -> list[int]:
        """Return the events named that are still to be refined here: what a pipeline that stopped there needs mended.

        They are corrected only; refining finds them so when the pipeline is resumed.
        """
        if isinstance(request, RetryRequest):
            return []
        elsewhere = self._engine.elsewhere.get(pipeline_id, {}).values()
        waiting = live_stats(self._engine, pipeline_id).ledger.pending - sum(one.ledger.pending for one in elsewhere)
        last = self._engine.bronze.last_seq(pipeline_id)
        return sorted({seq for seq in request.choose.seqs if last - waiting < seq <= last})

    def _corrections(
        self, who: Principal, request: AnyRequest, replaced: Mapping[int, bytes | None]
    ) -> Sequence[Correction]:
        reason = "" if isinstance(request, RetryRequest) else request.reason
        now = self._clock()
        return [Correction(seq, payload, reason, who.name, now) for seq, payload in replaced.items()]

    def _filter(self, choice: LetterChoice) -> LetterFilter:
        span, problems = read_span(choice.start, choice.end, self._clock())
        if problems:
            raise Invalid([replace(problem, pointer=f"/choose{problem.pointer}") for problem in problems])
        return LetterFilter(
            reason=choice.reason,
            field=choice.field,
            message=choice.message,
            version=choice.version,
            received_from=span.start,
            received_to=span.end,
            seqs=tuple(choice.seqs),
        )

    async def _refuse_beside_replay(self, pipeline_id: PipelineId) -> None:
        under_way = select(ReplayRow.id).where(ReplayRow.pipeline_id == pipeline_id, ReplayRow.state.in_(_UNFINISHED))
        if (found := await self._plane.read(lambda tx: tx.scalars(under_way).first())) is not None:
            raise Conflict(
                f"replay {found!r} of this pipeline is under way and has read what you want to correct: "
                "wait until it has ended, or cancel it"
            )

    async def _note(self, who: Principal, pipeline_id: PipelineId, request: AnyRequest, events: int) -> None:
        # Neither values of events, which a message may hold, nor ten thousand numbers: the trail outlives an erasure.
        choose = replace(request.choose, message=None, seqs=request.choose.seqs[:_NUMBERS_NOTED])
        detail: dict[str, Any] = {"events": events, "choose": msgspec.to_builtins(choose)}
        if not isinstance(request, RetryRequest):
            detail["reason"] = request.reason
        kind = type(request).__name__.removesuffix("Request").lower()
        deed = Deed(
            organisation_id=who.organisation_id,
            who=who.name,
            action=f"dead_letters.{kind}",
            target=pipeline_id,
            detail=detail,
        )
        await self._plane.write(lambda tx: record(tx, deed, self._clock()))

    async def _check(self, who: Principal, pipeline_id: PipelineId, action: Action) -> None:
        require(who, action)
        await self._ownership.check(who, pipeline_id)


def lines_of(bronze: BronzeLog, pipeline_id: PipelineId, seqs: Sequence[int]) -> Iterator[tuple[int, bytes]]:
    """Yield each of these events (ascending) that can be read, as it is refined; blocking."""
    wanted, read_up_to = set(seqs), 0
    for seq in seqs:
        if seq <= read_up_to:
            continue
        frames = bronze.read(pipeline_id, seq - 1, READ_EVENTS, READ_BYTES)
        for frame in frames:
            numbered = enumerate(frame.lines.split(b"\n"), frame.first_seq) if frame.damaged is None else ()
            yield from (one for one in numbered if one[0] in wanted)
        read_up_to = max([seq, *(frame.last_seq for frame in frames)])


def merge_patch(value: Any, patch: Any) -> Any:
    """Return ``value`` as ``patch`` changes it; null removes a member. Source: RFC 7396, section 2."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(value) if isinstance(value, dict) else {}
    for name, change in patch.items():
        if change is None:
            merged.pop(name, None)
        else:
            merged[name] = merge_patch(merged.get(name), change)
    return merged


def _cause(group: LetterGroup) -> LetterCause:
    return msgspec.convert(group, LetterCause, from_attributes=True)
