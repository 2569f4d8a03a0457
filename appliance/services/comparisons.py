"""What a changed mapping would change, on events that are stored: both mappings over the same frames, compared."""

import asyncio
import time
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec

from appliance.components.comparison import Compare, Comparison, Rows
from appliance.components.lint import lint
from appliance.components.rows import encode_rows
from appliance.domain.access import Action, Principal, require
from appliance.domain.clock import Clock, utc_now
from appliance.domain.event import Frame
from appliance.domain.ids import PipelineId
from appliance.domain.mapping import FieldType, Mapping
from appliance.errors import Invalid
from appliance.services import stretches
from appliance.services.change_views import ChangePreview, DeadLetterChange, Sums
from appliance.services.columns import column_changes
from appliance.services.definitions import CheckMapping
from appliance.services.ports import Engine
from appliance.services.previews import columns_of, preview_of
from appliance.services.stretches import Found, Stretch
from appliance.services.views import Preview
from appliance.storage.control import pipelines as store
from appliance.storage.control.plane import ControlPlane

if TYPE_CHECKING:
    from appliance.components.mapper import Mapped

MOST_EVENTS: Final = 100_000
MOST_EVENTS_ASKED_FOR: Final = 1_000_000
EXAMPLES: Final = 50
NEWEST: Final = 100
WRITING_SHARE: Final = 1.0  # writing rows takes about as long again as mapping them


class Comparisons:
    """Both mappings run at the same time, each in a thread; nothing is stored."""

    def __init__(
        self,
        plane: ControlPlane,
        engine: Engine,
        check_mapping: CheckMapping,
        compare: Compare,
        clock: Clock = utc_now,
    ) -> None:
        self._plane, self._engine, self._clock = plane, engine, clock
        self._check_mapping, self._compare = check_mapping, compare

    async def compare(
        self,
        who: Principal,
        pipeline_id: PipelineId,
        mapping: dict[str, Any],
        stretch: Stretch,
        most_events: int = MOST_EVENTS,
    ) -> Preview:
        """Compare the mapping that runs with ``mapping``, over the newest ``most_events`` of ``stretch``.

        Of the rows and dead letters of the new mapping the newest 100 are answered.

        Raises:
            Invalid: with every problem of the mapping and the range.
            NotFound: there is no such pipeline.
        """
        require(who, Action.PIPELINE_READ)
        require(who, Action.DATA_READ)
        began = time.perf_counter()
        problems = lint(Mapping, mapping, "/mapping") + stretches.problems_of(stretch, "/range")
        if problems:
            raise Invalid(problems)
        after = msgspec.convert(mapping, Mapping)
        if problems := await self._engine.workers.run("read", self._check_mapping, after, "/mapping"):
            raise Invalid(problems)
        _, version = await self._plane.read(lambda tx: store.find(tx, who.organisation_id, pipeline_id))
        before = msgspec.convert(version.definition.get("mapping", {}), Mapping)
        found = await self._find(pipeline_id, stretch, most_events, self._clock())
        stored = await self._engine.workers.run("read", stretches.stored, self._engine.bronze, pipeline_id)
        if not found.frames:
            none = _nothing(before, after, found, stored)
            return Preview(columns=columns_of(after), rows=[], dead=[], filtered=0, events=0, comparison=none)
        tried = await self._try(before, after, found.frames)
        change = _change((before, after), found, tried, (time.perf_counter() - began, stored))
        return msgspec.structs.replace(preview_of(after, _newest(tried.after)), comparison=change)

    async def _find(self, pipeline_id: PipelineId, stretch: Stretch, most: int, now: datetime) -> Found:
        bronze = self._engine.bronze
        return await self._engine.workers.run("read", stretches.find, bronze, pipeline_id, stretch, most, now)

    async def _try(self, before: Mapping, after: Mapping, frames: list[Frame]) -> "_Tried":
        began = time.perf_counter()
        old, new = await asyncio.gather(self._engine.preview(before, frames), self._engine.preview(after, frames))
        took = time.perf_counter() - began
        compared = await self._engine.workers.run("read", self._compare, old, new, EXAMPLES)
        return _Tried(old, new, compared, took)


@dataclass(frozen=True)
class _Tried:
    before: "Mapped"
    after: "Mapped"
    comparison: Comparison
    mapping_secs: float


def _change(
    mappings: tuple[Mapping, Mapping], found: Found, tried: _Tried, figures: tuple[float, int]
) -> ChangePreview:
    compared, (took_secs, stored) = tried.comparison, figures
    last = min(tried.before.last_seq, tried.after.last_seq)
    events = sum(min(frame.count, max(0, last + 1 - frame.first_seq)) for frame in found.frames)
    secs_per_event = tried.mapping_secs * (1 + WRITING_SHARE) / max(1, found.events)
    return ChangePreview(
        events=events,
        matching=found.matching,
        first_seq=found.frames[0].first_seq,
        last_seq=last,
        before=_sums(tried.before, compared.duplicates[0]),
        after=_sums(tried.after, compared.duplicates[1]),
        added=_shown(compared.added, mappings),
        removed=_shown(compared.removed, mappings),
        changed=_shown(compared.changed, mappings),
        unchanged=compared.unchanged,
        columns=column_changes(*mappings, compared.changed_by_column),
        dead=_dead(compared),
        stopped=_stopped(tried, found),
        took_secs=round(took_secs, 3),
        stored_events=stored,
        replay_secs=round(secs_per_event * stored, 1),
    )


def _nothing(before: Mapping, after: Mapping, found: Found, stored: int) -> ChangePreview:
    none, rows = Sums(rows=0, filtered=0, dead=0, duplicates=0), Rows(0, [])
    return ChangePreview(
        events=0,
        matching=found.matching,
        first_seq=None,
        last_seq=None,
        before=none,
        after=none,
        added=rows,
        removed=rows,
        changed=rows,
        unchanged=0,
        columns=column_changes(before, after, {}),
        dead=DeadLetterChange(new=0, new_causes=[], healed=0, healed_causes=[]),
        stopped=None,
        took_secs=0.0,
        stored_events=stored,
        replay_secs=None,
    )


def _newest(mapped: "Mapped") -> "Mapped":
    """Return the last rows and dead letters only."""
    rows, dead = (table.slice(max(0, table.num_rows - NEWEST)) for table in (mapped.rows, mapped.dead))
    return msgspec.structs.replace(mapped, rows=rows, dead=dead)


def _sums(mapped: "Mapped", duplicates: int) -> Sums:
    outcome = mapped.outcome
    return Sums(rows=mapped.rows.num_rows, filtered=outcome.filtered, dead=outcome.dead, duplicates=duplicates)


def _dead(compared: Comparison) -> DeadLetterChange:
    new, healed = compared.new_dead, compared.healed
    counts = [sum(cause.count for cause in causes) for causes in (new, healed)]
    return DeadLetterChange(new=counts[0], new_causes=new, healed=counts[1], healed_causes=healed)


def _stopped(tried: _Tried, found: Found) -> str | None:
    for name, mapped in (("the mapping that runs", tried.before), ("the new mapping", tried.after)):
        if mapped.stopped is not None:
            return f"{name} stops: {mapped.stopped}"
        if mapped.last_seq < found.frames[-1].last_seq:
            return f"{name} makes more rows of these events than are looked at in one call: choose a smaller range"
    return None


def _shown(rows: Rows, mappings: tuple[Mapping, Mapping]) -> Rows:
    """Return ``rows`` with their examples ready for JSON."""
    columns = [frozenset({"_extra", *_json_fields(mapping)}) for mapping in mappings]
    return Rows(
        rows.count,
        [
            msgspec.structs.replace(one, before=_encoded(one.before, columns[0]), after=_encoded(one.after, columns[1]))
            for one in rows.examples
        ],
    )


def _json_fields(mapping: Mapping) -> list[str]:
    return [field.name for field in mapping.fields if field.type is FieldType.JSON]


def _encoded(row: dict[str, Any] | None, json_columns: frozenset[str]) -> dict[str, Any] | None:
    return encode_rows([row], json_columns)[0] if row is not None else None
