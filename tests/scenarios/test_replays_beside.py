"""Replays beside what else goes on: live traffic, expired events, a row store begun anew, followers, scrapes."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import structlog

from appliance.components.source import InboundRequest
from appliance.compose import Appliance, opened
from appliance.domain.access import Principal
from appliance.domain.clock import utc_now
from appliance.domain.ids import PipelineId
from appliance.domain.replay import ReplayState
from appliance.observe.replay_metrics import ReplayMetrics
from appliance.services.replay_documents import ReplayRequest, ReplayView
from appliance.services.views import SetupRequest
from appliance.settings import Settings
from appliance.settings.sections import Bronze, Server
from tests.scenarios.conftest import ADMIN, PASSWORD, Scene, until

DOCUMENT: dict[str, Any] = {
    "name": "numbers",
    "source": {"type": "webhook", "signature": "none"},
    "mapping": {"fields": [{"name": "n", "path": "$.n", "type": "integer", "required": True}], "unmapped": "drop"},
}
TWICE: dict[str, Any] = DOCUMENT | {
    "mapping": DOCUMENT["mapping"]
    | {"fields": [*DOCUMENT["mapping"]["fields"], {"name": "twice", "expr": "n * 2", "type": "integer"}]}
}


class House:
    """An appliance with small segments, and its administrator."""

    def __init__(self, it: Appliance, who: Principal) -> None:
        self.it, self.who = it, who

    async def post(self, pipeline_id: PipelineId, numbers: range, padding: int = 0) -> None:
        body = json.dumps([{"n": number, "padding": "x" * padding} for number in numbers]).encode()
        request = InboundRequest({"content-type": "application/json"}, body, "192.0.2.7", utc_now())
        await self.it.engine.receiver.post(pipeline_id, request)

    async def refined(self, pipeline_id: PipelineId) -> None:
        await until(lambda: self.it.engine.stats(pipeline_id).ledger.pending == 0)

    async def swapped(self, pipeline_id: PipelineId, **wish: Any) -> ReplayView:
        view = await self.it.services.replays.begin(self.who, pipeline_id, ReplayRequest(**wish))
        for _ in range(1000):
            view = await self.it.services.replays.get(self.who, pipeline_id, view.id)
            if view.state is ReplayState.SWAPPED:
                return view
            assert view.state is not ReplayState.FAILED, view
            await asyncio.sleep(0.01)
        raise AssertionError(view)

    def rows(self, pipeline_id: PipelineId) -> list[dict[str, Any]]:
        from appliance.components.silver import Order, RecordQuery

        silver = self.it.engine.silver(self.who.organisation_id)
        query = RecordQuery(order=Order.ASC, limit=100_000)
        found: list[dict[str, Any]] = silver.records(self.it.engine.table(pipeline_id), query).to_pylist()
        return sorted(found, key=lambda row: row["_seq"])

    def ledger(self, pipeline_id: PipelineId) -> tuple[int, int, int, int]:
        """Return received, stored, filtered, pending; the rest is nothing and the sum is right."""
        ledger = self.it.engine.stats(pipeline_id).ledger
        assert ledger.balanced
        assert ledger.duplicate == ledger.dead == 0
        return ledger.received, ledger.stored, ledger.filtered, ledger.pending


@asynccontextmanager
async def house(data_dir: Path, who: Principal | None = None) -> AsyncIterator[House]:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    settings = Settings(server=Server(data_dir=data_dir), bronze=Bronze(segment_size=1 << 20))
    async with opened(settings) as it:
        await it.services.replays.running.recover()
        await it.engine.start(await it.services.pipelines.stored())
        await it.services.replays.running.resume()
        if who is None:
            request = SetupRequest(admin_email=ADMIN, admin_password=PASSWORD, organisation="Example Works")
            who = (await it.services.setup.run(request)).principal
        yield House(it, who)


async def test_live_traffic_beside_a_replay_loses_nothing(tmp_path: Path) -> None:
    async with house(tmp_path / "data") as home:
        pipeline_id = (await home.it.services.pipelines.create(home.who, DOCUMENT)).pipeline.id
        await home.post(pipeline_id, range(20_000))
        candidate = await home.it.services.versions.save(home.who, pipeline_id, TWICE)
        going = asyncio.Event()
        sent = 20_000

        async def live() -> None:
            nonlocal sent
            while not going.is_set():
                await home.post(pipeline_id, range(sent, sent + 50))
                sent += 50
                await asyncio.sleep(0.002)

        sending = asyncio.create_task(live())
        view = await home.swapped(pipeline_id, version=candidate.version)
        going.set()
        await sending
        await home.refined(pipeline_id)
        rows = home.rows(pipeline_id)
        assert [row["n"] for row in rows] == list(range(sent))
        assert [row["twice"] for row in rows] == [number * 2 for number in range(sent)]
        assert sent > 20_000
        assert home.ledger(pipeline_id) == (sent, sent, 0, 0)
        assert view.identical is None


async def test_rows_of_expired_events_are_taken_over(tmp_path: Path) -> None:
    async with house(tmp_path / "data") as home:
        pipeline_id, expired = await with_expired_events(home)
        before = home.rows(pipeline_id)
        candidate = await home.it.services.versions.save(home.who, pipeline_id, TWICE)
        plan = await home.it.services.replays.plan(home.who, pipeline_id, ReplayRequest(version=candidate.version))
        assert (plan.expired, plan.first_seq, plan.events) == (expired, expired + 1, 2400 - expired)
        await home.swapped(pipeline_id, version=candidate.version)
        rows = home.rows(pipeline_id)
        assert [row["n"] for row in rows] == [row["n"] for row in before] == list(range(2400))
        assert [row["twice"] for row in rows[:expired]] == [None] * expired
        assert [row["twice"] for row in rows[expired:]] == [number * 2 for number in range(expired, 2400)]
        assert home.ledger(pipeline_id) == (2400, 2400, 0, 0)


async def test_a_row_store_begun_anew_counts_what_has_expired_as_filtered(tmp_path: Path) -> None:
    async with house(tmp_path / "data") as home:
        pipeline_id, expired = await with_expired_events(home)
        who = home.who
    for file in (tmp_path / "data" / "silver").iterdir():
        file.unlink()
    async with house(tmp_path / "data", who) as home:
        await home.refined(pipeline_id)
        assert [row["n"] for row in home.rows(pipeline_id)] == list(range(expired, 2400))
        assert home.ledger(pipeline_id) == (2400, 2400 - expired, expired, 0)
        spans = home.it.engine.silver(who.organisation_id).generations.spans(pipeline_id)
        gap = spans[0]
        assert (gap.day, gap.version, gap.first_seq, gap.last_seq) == ("1970-01-01", 0, 1, expired)
        view = await home.swapped(pipeline_id)
        assert view.identical is True
        assert home.ledger(pipeline_id) == (2400, 2400 - expired, expired, 0)


async def with_expired_events(home: House) -> tuple[PipelineId, int]:
    """Return a pipeline with 2,400 events in segments, of which the oldest have expired, and how many those are."""
    pipeline_id = (await home.it.services.pipelines.create(home.who, DOCUMENT)).pipeline.id
    for first in range(0, 2400, 600):
        await home.post(pipeline_id, range(first, first + 600), padding=1000)
    await home.refined(pipeline_id)
    upkeep = home.it.bronze.upkeep
    gone = await asyncio.to_thread(lambda: upkeep.expire(pipeline_id, before=None, keep_bytes=1_000_000, up_to=1300))
    assert gone.events > 0
    return pipeline_id, gone.events


async def test_followers_are_told_of_each_state_and_scrapes_of_progress(scene: Scene) -> None:
    pipeline_id = PipelineId(await scene.boilers())
    await scene.receive(pipeline_id, b'{"device": "b1", "temp_c": 20}')
    replays = scene.it.services.replays
    told: list[dict[str, Any]] = []
    async with scene.it.engine.hub.subscribe(f"replay:{pipeline_id}") as payloads:
        view = await replays.begin(scene.admin, pipeline_id, ReplayRequest(swap=False))
        while not told or told[-1]["replay"]["state"] != "ready":
            told.append(json.loads(await asyncio.wait_for(anext(payloads), 10)))
        names = {
            sample.name: sample.value
            for metric in ReplayMetrics(replays.running.under_way).collect()
            for sample in metric.samples
            if sample.labels in ({"pipeline": pipeline_id}, {"state": "ready"})
        }
        await replays.cancel(scene.admin, pipeline_id, view.id)
        while told[-1]["replay"]["state"] != "cancelled":
            told.append(json.loads(await asyncio.wait_for(anext(payloads), 10)))
    states = [one["replay"]["state"] for one in told]
    assert list(dict.fromkeys(states)) == ["rebuilding", "ready", "cancelled"]
    assert told[0]["topic"] == f"replay:{pipeline_id}"
    ready = next(one for one in told if one["replay"]["state"] == "ready")
    assert (ready["progress"]["done_events"], ready["progress"]["total_events"]) == (1, 1)
    assert told[-1]["progress"] is None
    assert names == {
        "dash_replays": 1, "dash_replay_done_events": 1, "dash_replay_wanted_events": 1,
        "dash_replay_events_per_second": 1, "dash_replay_throttled": 0,
    }  # fmt: skip


async def test_former_rows_are_discarded_when_they_cannot_be_put_back_any_more(scene: Scene) -> None:
    pipeline_id = PipelineId(await scene.boilers())
    await scene.receive(pipeline_id, b'{"device": "b1", "temp_c": 20}')
    replays = scene.it.services.replays
    view = await replays.begin(scene.admin, pipeline_id, ReplayRequest())
    for _ in range(1000):
        view = await replays.get(scene.admin, pipeline_id, view.id)
        if view.state is ReplayState.SWAPPED:
            break
        await asyncio.sleep(0.01)
    silver = scene.it.engine.silver(scene.admin.organisation_id)
    assert [one.live for one in silver.generations.all(pipeline_id)] == [False, True]
    assert await replays.running.forget() == 0
    assert await replays.running.forget(view.undo_until) == 1
    assert [one.live for one in silver.generations.all(pipeline_id)] == [True]
    assert (await replays.get(scene.admin, pipeline_id, view.id)).undo_until is None
