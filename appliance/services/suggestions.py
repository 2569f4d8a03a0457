"""Suggests a first mapping, from samples or from what a pipeline has received, and says what it would make of them."""

from typing import Any, Final

import msgspec

from appliance.components.suggestion import Suggest, Suggestion
from appliance.domain.access import Action, Principal, require
from appliance.domain.clock import Clock, utc_now
from appliance.domain.event import Frame
from appliance.domain.ids import PipelineId
from appliance.errors import Invalid, Problem
from appliance.services.ownership import Ownership
from appliance.services.ports import Engine
from appliance.services.previews import MOST_EVENTS, frames_of
from appliance.services.stretches import Stretch, find

MOST_BYTES: Final = 8 << 20  # of events that are decoded


class SuggestionView(Suggestion, frozen=True, kw_only=True):
    """``rows`` and ``dead``: what the mapping makes of the events that it was made from."""

    rows: int
    dead: int


class Suggestions:
    """Nothing is stored: the mapping is there to be looked at, changed and saved."""

    def __init__(self, ownership: Ownership, engine: Engine, suggest: Suggest, clock: Clock = utc_now) -> None:
        self._ownership, self._engine, self._suggest, self._clock = ownership, engine, suggest, clock

    async def suggest(
        self,
        who: Principal,
        samples: list[Any] | None = None,
        pipeline_id: PipelineId | None = None,
        last: int = MOST_EVENTS,
    ) -> SuggestionView:
        """Return a mapping for ``samples``, or else for the ``last`` events of a pipeline.

        Raises:
            Invalid: neither was given, or there are no events to look at.
            NotFound: there is no such pipeline.
        """
        require(who, Action.PIPELINE_READ)
        if samples is None and pipeline_id is None:
            raise Invalid([Problem("/samples", "expected samples, or a pipeline to take its last events from")])
        if samples is not None and not 1 <= len(samples) <= MOST_EVENTS:
            raise Invalid([Problem("/samples", f"expected 1 to {MOST_EVENTS} samples, got {len(samples)}")])
        frames = frames_of(samples) if samples is not None else await self._last(who, pipeline_id, last)
        given = await self._engine.workers.run("read", _decoded, frames)
        if not given:
            raise Invalid([Problem("/pipeline", "the pipeline has no events that can be read", "send some first")])
        found = await self._engine.workers.run("read", self._suggest, given)
        mapped = await self._engine.preview(found.mapping, frames)
        return SuggestionView(**msgspec.structs.asdict(found), rows=mapped.rows.num_rows, dead=mapped.outcome.dead)

    async def _last(self, who: Principal, pipeline_id: PipelineId | None, last: int) -> list[Frame]:
        if pipeline_id is None:
            return []
        require(who, Action.DATA_READ)
        await self._ownership.check(who, pipeline_id)
        engine, wanted = self._engine, Stretch(last=last)
        found = await engine.workers.run("read", find, engine.bronze, pipeline_id, wanted, MOST_EVENTS, self._clock())
        return found.frames


def _decoded(frames: list[Frame]) -> list[Any]:
    """Return the events of ``frames`` that can be read, up to 8 MiB of them."""
    found: list[Any] = []
    size = 0
    for frame in frames:
        for seq, line in enumerate(frame.lines.split(b"\n") if frame.damaged is None else [], frame.first_seq):
            size += len(line)
            if size > MOST_BYTES:
                return found
            if seq not in frame.withdrawn:
                try:
                    found.append(msgspec.json.decode(line))
                except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                    continue  # nothing can be suggested for it
    return found
