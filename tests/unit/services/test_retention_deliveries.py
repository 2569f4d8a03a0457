"""What a round of retention says of the deliveries that a node has refined."""

from datetime import UTC, datetime, timedelta
from typing import Any

from appliance.components.deliveries import Settled
from appliance.components.silver import Progress
from appliance.domain.event import Delivery, Envelope
from appliance.domain.ids import PipelineId
from appliance.errors import TransientError
from appliance.services.retention import RetentionJob
from appliance.storage.control.plane import ControlPlane
from tests.fakes.bronze import MemoryBronzeLog
from tests.fakes.holders import FakeHolders, holder

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
TEN_MINUTES = timedelta(minutes=10)
PIPE = PipelineId("pl_1")


class Silver:
    def __init__(self, refined: int) -> None:
        self.deliveries = self
        self.refined = refined
        self.said: list[Settled] = []
        self.refusing = self.forgotten = False

    def progress(self, pipeline_id: PipelineId) -> Progress:
        return Progress(self.refined)

    def settle(self, pipeline_id: PipelineId, settled: Settled) -> None:
        if self.refusing:
            raise TransientError("the database is away")
        self.said.append(settled)

    def forget(self) -> int:
        self.forgotten = True
        return 0


class Engine:
    def __init__(self) -> None:
        self.bronze: Any = MemoryBronzeLog()
        self.bronze.holders = FakeHolders(holder(0), holder(3))

    async def received(self, *hours: int) -> None:
        for hour in hours:
            envelope = Envelope(received_at=NOON + timedelta(hours=hour), source="webhook")
            await self.bronze.append(PIPE, Delivery(envelope, [b"1"]))


async def said(plane: ControlPlane, silver: Silver) -> list[Settled]:
    engine: Any = Engine()
    await engine.received(1, 2, 3)
    job = RetentionJob(plane, engine, None, 0.3)  # type: ignore[arg-type]
    job._settle(silver, [PIPE], NOON + timedelta(hours=9))  # type: ignore[arg-type]
    assert silver.forgotten is not silver.refusing
    return silver.said


async def test_a_node_that_has_refined_all_says_so_as_of_a_little_before(plane: ControlPlane) -> None:
    assert await said(plane, Silver(3)) == [Settled(NOON + timedelta(hours=9) - TEN_MINUTES, 1, (0, 3))]


async def test_a_node_that_is_behind_says_how_far_it_is(plane: ControlPlane) -> None:
    assert await said(plane, Silver(1)) == [Settled(NOON + timedelta(hours=2) - TEN_MINUTES, 1, (0, 3))]


async def test_a_database_that_is_away_stops_no_round(plane: ControlPlane) -> None:
    silver = Silver(3)
    silver.refusing = True
    assert await said(plane, silver) == []
