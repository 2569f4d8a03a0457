"""What a mapping would make of real events, before it is saved."""

import time
from typing import TYPE_CHECKING, Any, Final

import msgspec

from appliance.components.lint import lint
from appliance.components.rows import encode_rows, public_rows
from appliance.domain.access import Action, Principal, require
from appliance.domain.clock import Clock, utc_now
from appliance.domain.event import Frame
from appliance.domain.ids import PipelineId
from appliance.domain.mapping import FieldType, Mapping
from appliance.errors import Invalid, Problem
from appliance.services.dead_letters import dead_letters_of
from appliance.services.definitions import CheckMapping
from appliance.services.ownership import Ownership
from appliance.services.ports import Engine
from appliance.services.stretches import Stretch, find, problems_of
from appliance.services.views import Preview, PreviewColumn

if TYPE_CHECKING:
    from appliance.components.mapper import Mapped

MOST_EVENTS: Final = 1_000
LAST: Final = Stretch(last=100)


class Previews:
    """Maps a few events with the very mapper that refining uses; nothing is stored."""

    def __init__(
        self, ownership: Ownership, engine: Engine, check_mapping: CheckMapping, clock: Clock = utc_now
    ) -> None:
        self._ownership, self._engine, self._check_mapping = ownership, engine, check_mapping
        self._clock = clock

    async def preview(
        self,
        who: Principal,
        mapping: dict[str, Any],
        samples: list[Any] | None = None,
        pipeline_id: PipelineId | None = None,
        stretch: Stretch = LAST,
    ) -> Preview:
        """Map ``samples`` (each one event), or else a ``stretch`` of a pipeline's Bronze: its newest 1,000 events.

        Raises:
            Invalid: with every problem of the mapping; or neither samples nor a pipeline was given.
            NotFound: there is no such pipeline.
        """
        require(who, Action.PIPELINE_READ)
        problems = _problems(samples, pipeline_id) + problems_of(stretch, "/range") + lint(Mapping, mapping, "/mapping")
        if problems:
            raise Invalid(problems)
        decoded = msgspec.convert(mapping, Mapping)
        if problems := await self._engine.workers.run("read", self._check_mapping, decoded, "/mapping"):
            raise Invalid(problems)
        if samples is not None:
            frames = frames_of(samples)
        else:
            frames = await self._stored(who, pipeline_id, stretch)
        if not frames:
            return Preview(columns=columns_of(decoded), rows=[], dead=[], filtered=0, events=0)
        return preview_of(decoded, await self._engine.preview(decoded, frames))

    async def _stored(self, who: Principal, pipeline_id: PipelineId | None, stretch: Stretch) -> list[Frame]:
        if pipeline_id is None:
            return []
        require(who, Action.DATA_READ)
        await self._ownership.check(who, pipeline_id)
        engine, now = self._engine, self._clock()
        found = await engine.workers.run("read", find, engine.bronze, pipeline_id, stretch, MOST_EVENTS, now)
        return found.frames


def _problems(samples: list[Any] | None, pipeline_id: PipelineId | None) -> list[Problem]:
    if samples is None and pipeline_id is None:
        return [Problem("/samples", "expected samples, or a pipeline to take its last events from")]
    if samples is not None and not 1 <= len(samples) <= MOST_EVENTS:
        return [Problem("/samples", f"expected 1 to {MOST_EVENTS} samples, got {len(samples)}")]
    return []


def frames_of(samples: list[Any]) -> list[Frame]:
    lines = b"\n".join(msgspec.json.encode(sample) for sample in samples)
    return [Frame(1, len(samples), time.time_ns() // 1_000, lines)]


def columns_of(mapping: Mapping) -> list[PreviewColumn]:
    return [PreviewColumn(field.name, field.type.value) for field in mapping.fields]


def preview_of(mapping: Mapping, mapped: "Mapped") -> Preview:
    json_fields = frozenset({"_extra"} | {field.name for field in mapping.fields if field.type is FieldType.JSON})
    return Preview(
        columns=columns_of(mapping),
        rows=encode_rows(public_rows(mapped.rows), json_fields),
        dead=dead_letters_of(mapped.dead),
        filtered=mapped.outcome.filtered,
        stopped=mapped.stopped,
        events=mapped.outcome.total,
    )
