"""A mapper that takes whole numbers, and what tests of refining share."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import pyarrow as pa

from appliance.components.mapper import CompiledMapping, Mapped
from appliance.components.silver import Column
from appliance.domain.event import Delivery, Envelope, Frame
from appliance.domain.ids import PipelineId
from appliance.domain.ledger import Outcome
from appliance.domain.mapping import FieldType, Mapping
from tests.fakes.bronze import MemoryBronzeLog

BOILERS = PipelineId("pl_boilers")
COLUMNS = (Column("number", FieldType.INTEGER),)


class Compiled:
    columns, keyed = COLUMNS, False


class Numbers:
    """Maps a line that is a whole number to a row, every other to a dead letter."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def compile(self, mapping: Mapping) -> CompiledMapping:
        return Compiled()

    def run(self, compiled: CompiledMapping, frames: Sequence[Frame], version: int = 0) -> Mapped:
        lines = b"\n".join(frame.lines for frame in frames).split(b"\n")
        good = [int(line) for line in lines if line.isdigit()]
        self.batches.append(len(lines))
        outcome = Outcome(stored=len(good), dead=len(lines) - len(good))
        rows = pa.table({"number": good})
        return Mapped(rows, pa.table({}), outcome, frames[0].first_seq, frames[-1].last_seq)


async def append(bronze: MemoryBronzeLog, *lines: bytes, at: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
    await bronze.append(BOILERS, Delivery(Envelope(received_at=at, source="t"), lines))


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - what is awaited has no event of its own
            await asyncio.sleep(0.005)
