"""Other pipelines to read from, in memory: rows by event, amendments, and the states that stand in the way."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from appliance.components.arrow import ARROW_TYPES
from appliance.components.feed import FeedPlace
from appliance.components.resources import Upstream, UpstreamRows
from appliance.components.silver import Column, Table
from appliance.domain.ids import PipelineId
from appliance.domain.mapping import FieldType
from appliance.errors import ConfigError, Problem

START = datetime(2026, 1, 31, 8, tzinfo=UTC)
COLUMNS = (
    Column("device", FieldType.STRING),
    Column("n", FieldType.INTEGER),
    Column("temp_c", FieldType.FLOAT),
    Column("exact", FieldType.DECIMAL),
    Column("ok", FieldType.BOOLEAN),
    Column("at", FieldType.TIMESTAMP),
    Column("tags", FieldType.JSON),
)
SYSTEM = [("_time", pa.timestamp("us", "UTC")), ("_seq", pa.int64()), ("_item", pa.int32()), ("_extra", pa.string())]


class MemoryUpstream:
    """``put`` commits one event's rows, ``amend`` commits other rows for it. ``troubles``: by pipeline, in words."""

    def __init__(self, **names: str) -> None:
        self.names = {PipelineId(pipeline_id): name for pipeline_id, name in names.items()}
        self.troubles: dict[PipelineId, str] = {}
        self.reads: list[tuple[str, FeedPlace, int]] = []
        self._events: dict[str, dict[int, tuple[int, list[dict[str, Any]]]]] = {}  # seq → number of amendment, rows
        self._seq: dict[str, int] = {}
        self._amendments: dict[str, int] = {}

    def put(self, pipeline_id: str, *rows: Mapping[str, Any]) -> int:
        """Commit an event with these rows (none: it was filtered) and return its number."""
        seq = self._seq[pipeline_id] = self._seq.get(pipeline_id, 0) + 1
        self._events.setdefault(pipeline_id, {})[seq] = (0, self._rows(seq, rows))
        return seq

    def amend(self, pipeline_id: str, seq: int, *rows: Mapping[str, Any]) -> None:
        number = self._amendments[pipeline_id] = self._amendments.get(pipeline_id, 0) + 1
        self._events[pipeline_id][seq] = (number, self._rows(seq, rows))

    def find(self, named: str) -> PipelineId:
        for pipeline_id, name in self.names.items():
            if named in (pipeline_id, name):
                return pipeline_id
        raise ConfigError([Problem("/source/pipeline", f"no pipeline {named!r} runs here")])

    async def end(self, pipeline_id: PipelineId) -> FeedPlace:
        return FeedPlace(self._seq.get(pipeline_id, 0), self._amendments.get(pipeline_id, 0))

    async def read(self, pipeline_id: PipelineId, after: FeedPlace, limit: int) -> UpstreamRows:
        self.reads.append((pipeline_id, after, limit))
        taken: list[dict[str, Any]] = []
        reached = after.seq
        for seq, (number, rows) in sorted(self._events.get(pipeline_id, {}).items()):
            if seq <= after.seq and number <= after.amendment:
                continue
            if seq > after.seq:
                if taken and len(taken) + len(rows) > limit:
                    break
                reached = seq
            taken += rows
        place = FeedPlace(reached, self._amendments.get(pipeline_id, 0))
        return UpstreamRows(Table(pipeline_id, COLUMNS), pa.Table.from_pylist(taken, _SCHEMA), place)

    def trouble(self, pipeline_id: PipelineId) -> str | None:
        return self.troubles.get(pipeline_id)

    def _rows(self, seq: int, rows: tuple[Mapping[str, Any], ...]) -> list[dict[str, Any]]:
        own = {"_time": START + timedelta(seconds=seq), "_seq": seq}
        return [{**own, "_item": item, **row} for item, row in enumerate(rows)]


_SCHEMA = pa.schema([*SYSTEM, *((column.name, ARROW_TYPES[column.type]) for column in COLUMNS)])

_: type[Upstream] = MemoryUpstream
