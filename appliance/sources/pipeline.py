"""Pipeline: reads the rows of other pipelines of the organisation, each exactly once, on a checkpoint of its own."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Annotated, Any, Final, Literal

import msgspec
import pyarrow as pa
from msgspec import Meta
from msgspec.structs import replace

from appliance.components.feed import ReaderCheckpoint, Reading, furthest, readings_in
from appliance.components.json_lines import json_lines
from appliance.components.resources import Resources, Upstream, UpstreamRows
from appliance.components.source import Page, PullSource, Schedule
from appliance.domain.ids import PipelineId
from appliance.domain.quantity import Duration, parse_duration
from appliance.domain.schedule import Every
from appliance.errors import ConfigError, FatalError, Problem
from appliance.sources.row_choice import EXTRA, ORIGIN, Where, chosen_schema, filtered

FIRST_ROWS: Final = 1_000
MOST_ROWS: Final = 20_000
PAGE_BYTES: Final = 8 << 20  # of JSON, about: pages grow towards it
UNSAVED_EVENTS: Final = 10_000  # passed over without a row to store, before the checkpoint alone is worth a write
UNSAVED: Final = timedelta(seconds=30)

Named = Annotated[str, Meta(min_length=1, max_length=100)]


class PipelineConfig(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="pipeline", kw_only=True
):
    """The rows of another pipeline, or of several, as events."""

    pipeline: Annotated[Named | None, Meta(title="Pipeline", description="Its id or name", examples=["boilers"])] = None
    pipelines: Annotated[
        list[Named],
        Meta(title="Pipelines", description="Several, instead of one: their rows come together", max_length=50),
    ] = []
    start: Annotated[
        Literal["beginning", "now"],
        Meta(title="Start", description="With the oldest row there is, or with the next one to be committed"),
    ] = "beginning"
    fields: Annotated[
        list[Annotated[str, Meta(min_length=1)]],
        Meta(title="Fields", description="Which columns; empty: all. _pipeline, _seq, _item and _time always come"),
    ] = []
    where: Annotated[
        Where,
        Meta(title="Only rows where", description='Conditions that all hold, or in short {"device": ["a1", "a2"]}'),
    ] = []
    interval: Annotated[
        Duration,
        Meta(title="Interval", description="Rows come at once; this often it is looked whether one was missed"),
        Meta(extra={"min": "1s", "max": "1h"}),
    ] = "10s"

    def __post_init__(self) -> None:
        if (self.pipeline is None) == (not self.pipelines):
            raise ValueError("exactly one of pipeline and pipelines is needed: name the pipelines to read")
        if len(set(self.named)) < len(self.named):
            raise ValueError("a pipeline is named twice in pipelines: leave one of them out")

    @property
    def named(self) -> list[str]:
        return [self.pipeline] if self.pipeline is not None else self.pipelines


class PipelineRows:
    """One poll takes everything there is, page by page, of each upstream in turn, so that none waits for another.

    The checkpoint of a page goes into Bronze in the frame of its events: what is stored was read, and what was read is
    stored, whatever dies in between. So pages need no names.
    """

    def __init__(self, config: PipelineConfig, resources: Resources) -> None:
        self._config, self._resources = config, resources
        self._schedule = Every(parse_duration(config.interval))
        self._rows = FIRST_ROWS
        self._passed: dict[PipelineId, tuple[Reading, Reading]] = {}  # saved → where it has been looked at since
        self._saved_at = resources.clock()

    @property
    def schedule(self) -> Schedule:
        return self._schedule

    def resumed(self, own: dict[str, Any] | None, elsewhere: Sequence[dict[str, Any] | None]) -> dict[str, Any] | None:
        """See ``Resumable.resumed``: what any node has read is read."""
        return furthest(own, elsewhere)

    async def poll(self, checkpoint: dict[str, Any] | None) -> AsyncIterator[Page]:
        """See ``PullSource.poll``. Whatever stands in the way of one upstream is told after the others were read."""
        saved = readings_in(checkpoint)
        reached, problems = await self._begun(saved)
        if self._config.start == "now" and not reached.keys() <= saved.keys():
            yield self._page(b"", saved := saved | reached)  # where it began counts from now on
        waiting = list(reached)
        while waiting:
            for pipeline_id in tuple(waiting):
                lines, after = await self._next(pipeline_id, reached[pipeline_id])
                if after == reached[pipeline_id]:
                    waiting.remove(pipeline_id)
                    continue
                reached[pipeline_id] = after
                if lines or self._worth_saving(saved, reached):
                    yield self._page(lines, saved := saved | reached, pipeline_id)
        self._passed = {one: (saved.get(one, Reading()), place) for one, place in reached.items()}
        if problems := problems + self._troubles(reached):
            raise ConfigError(problems)

    async def _begun(self, saved: dict[PipelineId, Reading]) -> tuple[dict[PipelineId, Reading], list[Problem]]:
        """Return where to go on with each upstream, and what is wrong with those there is no going on with."""
        reached: dict[PipelineId, Reading] = {}
        problems: list[Problem] = []
        for named in self._config.named:
            try:
                pipeline_id = self._upstream.find(named)
            except ConfigError as error:
                problems += error.problems
                continue
            if pipeline_id not in saved and self._config.start == "now":
                end = await self._upstream.end(pipeline_id)
                reached[pipeline_id] = Reading.beginning_at(end)
                continue
            before = saved.get(pipeline_id, Reading())
            known, passed = self._passed.get(pipeline_id, (before, before))
            reached[pipeline_id] = passed if known == before else before
        return reached, problems

    async def _next(self, pipeline_id: PipelineId, before: Reading) -> tuple[bytes, Reading]:
        """Return the next rows as JSON lines, and the place after them; the same place: there is nothing."""
        while True:
            found = await self._upstream.read(pipeline_id, before.place, self._rows)
            if not found.rows.num_rows:
                return b"", replace(before, place=found.place)
            lines = await asyncio.to_thread(self._lines, pipeline_id, found)
            asked = self._rows
            self._rows = _fitting(asked, len(lines))
            # A page far too large is read again in parts; one event is never parted, and Bronze takes any one delivery.
            if len(lines) <= 2 * PAGE_BYTES or self._rows == asked:
                return lines, replace(before, place=found.place)

    def _lines(self, pipeline_id: PipelineId, found: UpstreamRows) -> bytes:
        """Return the rows that are wanted, one JSON object a line; blocking."""
        schema = chosen_schema(found.table, self._config.fields)
        rows = filtered(found.table, found.rows, self._config.where)
        if not rows.num_rows:
            return b""
        if EXTRA in schema.names and rows.column(EXTRA).null_count == rows.num_rows:
            schema = schema.remove(schema.get_field_index(EXTRA))
        rows = rows.append_column(ORIGIN[0], pa.repeat(pipeline_id, rows.num_rows)).select(schema.names)
        left_out = (EXTRA,) if EXTRA in schema.names else ()
        return json_lines(rows, schema, left_out=left_out)

    def _page(self, lines: bytes, readings: dict[PipelineId, Reading], pipeline_id: PipelineId | None = None) -> Page:
        self._saved_at = self._resources.clock()
        checkpoint: dict[str, Any] = msgspec.to_builtins(ReaderCheckpoint(upstream=readings))
        return Page(lines.split(b"\n")[:-1], checkpoint, remote=pipeline_id)

    def _worth_saving(self, saved: dict[PipelineId, Reading], reached: dict[PipelineId, Reading]) -> bool:
        """Return whether a place with nothing to store behind it is to be saved: passing it again costs only time."""
        passed = sum(one.place.events - saved.get(of, Reading()).place.events for of, one in reached.items())
        return passed >= UNSAVED_EVENTS or self._resources.clock() - self._saved_at >= UNSAVED

    def _troubles(self, reached: dict[PipelineId, Reading]) -> list[Problem]:
        found = ((pipeline_id, self._upstream.trouble(pipeline_id)) for pipeline_id in reached)
        return [Problem("/source", told) for _, told in found if told is not None]

    @property
    def _upstream(self) -> Upstream:
        if self._resources.upstream is None:
            raise FatalError("reading another pipeline: there is none to read here", hint="report it as a defect")
        return self._resources.upstream


def _fitting(rows: int, size: int) -> int:
    """Return how many rows to ask for next, when so many made a page of that size."""
    if size > PAGE_BYTES:
        return max(1, rows * PAGE_BYTES // (size * 2))
    return min(MOST_ROWS, rows * 2) if size < PAGE_BYTES // 2 else rows


_: type[PullSource] = PipelineRows
