"""What a mapping would make of real events, before it is saved."""

import time
from typing import Any, Final

import msgspec

from appliance.components.lint import lint
from appliance.components.rows import encode_rows, public_rows
from appliance.domain.access import Action, Principal, require
from appliance.domain.event import Frame
from appliance.domain.ids import PipelineId
from appliance.domain.mapping import FieldType, Mapping
from appliance.errors import Invalid, Problem
from appliance.services.dead_letters import dead_letters_of
from appliance.services.definitions import CheckMapping
from appliance.services.ownership import Ownership
from appliance.services.ports import Engine, Mapped
from appliance.services.views import Preview, PreviewColumn

MOST_EVENTS: Final = 1_000
MOST_BYTES: Final = 4 << 20


class Previews:
    """Maps a few events with the very mapper that refining uses; nothing is stored."""

    def __init__(self, ownership: Ownership, engine: Engine, check_mapping: CheckMapping) -> None:
        self._ownership, self._engine, self._check_mapping = ownership, engine, check_mapping

    async def preview(
        self,
        who: Principal,
        mapping: dict[str, Any],
        samples: list[Any] | None = None,
        pipeline_id: PipelineId | None = None,
        last: int = 100,
    ) -> Preview:
        """Map ``samples`` (each one event), or else the ``last`` events of a pipeline's Bronze.

        Raises:
            Invalid: with every problem of the mapping; or neither samples nor a pipeline was given.
            NotFound: there is no such pipeline.
        """
        require(who, Action.PIPELINE_READ)
        problems = _problems(samples, pipeline_id, last) + lint(Mapping, mapping, "/mapping")
        if problems:
            raise Invalid(problems)
        decoded = msgspec.convert(mapping, Mapping)
        if problems := await self._engine.workers.run("read", self._check_mapping, decoded, "/mapping"):
            raise Invalid(problems)
        if samples is not None:
            frames = _frames_of(samples)
        else:
            frames = await self._last(who, pipeline_id, last)
        if not frames:
            return Preview(columns=_columns(decoded), rows=[], dead=[], filtered=0, events=0)
        return _preview(decoded, await self._engine.preview(decoded, frames), sum(frame.count for frame in frames))

    async def _last(self, who: Principal, pipeline_id: PipelineId | None, last: int) -> list[Frame]:
        if pipeline_id is None:
            return []
        require(who, Action.DATA_READ)
        await self._ownership.check(who, pipeline_id)
        bronze = self._engine.bronze
        after = max(0, bronze.last_seq(pipeline_id) - last)
        return await self._engine.workers.run("read", bronze.read, pipeline_id, after, last, MOST_BYTES)


def _problems(samples: list[Any] | None, pipeline_id: PipelineId | None, last: int) -> list[Problem]:
    if samples is None and pipeline_id is None:
        return [Problem("/samples", "expected samples, or a pipeline to take its last events from")]
    if samples is not None and not 1 <= len(samples) <= MOST_EVENTS:
        return [Problem("/samples", f"expected 1 to {MOST_EVENTS} samples, got {len(samples)}")]
    if not 1 <= last <= MOST_EVENTS:
        return [Problem("/last", f"expected between 1 and {MOST_EVENTS}, got {last}")]
    return []


def _frames_of(samples: list[Any]) -> list[Frame]:
    lines = b"\n".join(msgspec.json.encode(sample) for sample in samples)
    return [Frame(1, len(samples), time.time_ns() // 1_000, lines)]


def _columns(mapping: Mapping) -> list[PreviewColumn]:
    return [PreviewColumn(field.name, field.type.value) for field in mapping.fields]


def _preview(mapping: Mapping, mapped: Mapped, events: int) -> Preview:
    json_fields = frozenset({"_extra"} | {field.name for field in mapping.fields if field.type is FieldType.JSON})
    return Preview(
        columns=_columns(mapping),
        rows=encode_rows(public_rows(mapped.rows), json_fields),
        dead=dead_letters_of(mapped.dead),
        filtered=mapped.outcome.filtered,
        events=events,
    )
