"""What the data occupies, how long it is kept, and the rounds that remove what is old."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from appliance.components.source import InboundRequest
from appliance.domain.clock import utc_now
from appliance.domain.disk import DiskState
from appliance.domain.ids import PipelineId
from appliance.engine.attempt import Attempt
from appliance.services.retention import RetentionJob
from appliance.storage.control.keeping import add_usage, usage

DAY = timedelta(days=1)


async def receive_at(scene: Any, pipeline_id: str, age: timedelta, *payloads: bytes) -> None:
    """Receive events as if they had come ``age`` ago, and have the segment closed behind them."""
    for payload in payloads:
        headers = {"content-type": "application/json"}
        request = InboundRequest(headers, payload, "192.0.2.7", utc_now() - age)
        await scene.it.engine.receiver.post(PipelineId(pipeline_id), request)
    await scene.refined(pipeline_id)


def job(scene: Any) -> RetentionJob:
    return RetentionJob(scene.it.plane, scene.it.engine, scene.it.disk, 0.3)


async def test_the_overview_says_what_is_occupied_and_how_the_disk_is(scene: Any, api: Any) -> None:
    pipeline_id = await scene.boilers()
    await scene.receive(pipeline_id, b'{"device": "b1", "temp_c": 20}')
    scene.it.disk.look()
    found = (await api.get("/api/v1/storage")).raise_for_status().json()
    [pipeline] = found["pipelines"]
    assert (pipeline["id"], pipeline["name"]) == (pipeline_id, "boiler-room")
    assert pipeline["bronze_bytes"] == found["bronze_bytes"] > 0
    assert found["silver_bytes"] > 0
    disk = found["disk"]
    assert 0 < disk["free_bytes"] < disk["total_bytes"]
    assert (disk["warn_percent"], disk["slow_percent"], disk["stop_percent"]) == (80, 90, 95)
    assert disk["stop_free_bytes"] == 2 << 30
    assert (disk["growth_bytes_per_day"], disk["days_until_stop"]) == (None, None)
    async with scene.client(scene.tokens["other"]) as other:
        assert (await other.get("/api/v1/storage")).json()["pipelines"] == []


async def test_growth_is_told_from_hourly_samples(scene: Any, api: Any) -> None:
    pipeline_id = await scene.boilers()
    await scene.receive(pipeline_id, b'{"device": "b1"}')
    scene.it.disk.look()
    await scene.it.services.storage.sample(Attempt())
    [(at, sample)] = await scene.it.plane.read(lambda tx: usage(tx, utc_now() - DAY))
    assert sample["pipelines"][pipeline_id] > 0
    used = sample["used"]
    for hour in range(1, 13):
        older = {"used": used - hour * 1_000_000, "total": sample["total"], "pipelines": {pipeline_id: 1000 - hour}}
        await scene.it.plane.write(lambda tx, o=older, h=hour: add_usage(tx, at - timedelta(hours=h), o))
    found = (await api.get("/api/v1/storage")).json()
    # a million bytes an hour
    assert found["disk"]["growth_bytes_per_day"] == pytest.approx(24_000_000, rel=0.01)
    assert found["pipelines"][0]["growth_bytes_per_day"] > 0


async def test_an_administrator_says_how_long_data_is_kept(scene: Any, api: Any) -> None:
    organisation_id = scene.admin.organisation_id
    path = f"/api/v1/organisations/{organisation_id}/retention"
    assert (await api.get(path)).json() == {}
    wanted = {"bronze": "365d", "silver": "90d", "bronze_size": "20 GiB"}
    assert (await api.put(path, json=wanted)).json() == wanted
    assert (await api.get(path)).json() == wanted
    refused = await api.put(path, json={"bronze": "a while", "bronze_size": "20", "gold": "1d"})
    assert refused.status_code == 422
    assert {one["pointer"] for one in refused.json()["problems"]} == {"/bronze", "/bronze_size", "/gold"}
    nothing = (await api.put(path, json={"bronze": "0s", "bronze_size": "0 B"})).json()["problems"]
    assert [(one["pointer"], one["hint"]) for one in nothing] == [
        ("/bronze", "to keep everything, say 'forever'"), ("/bronze_size", "to keep everything, say 'forever'"),
    ]  # fmt: skip
    [entry] = [one for one in (await api.get("/api/v1/audit")).json()["items"] if "retention" in one["action"]]
    assert (entry["action"], entry["detail"]) == ("organisation.retention", wanted)


async def test_a_round_removes_what_is_old_and_nothing_else(scene: Any, api: Any) -> None:
    """Rows by their own time, dead letters and events by receipt; the ledger stays as it is."""
    old, new = utc_now() - 100 * DAY, utc_now()
    pipeline_id = await scene.boilers(retention={"bronze": "60d", "silver": "30d"})
    row = '{{"device": "{}", "ts": "{}"}}'
    await receive_at(scene, pipeline_id, 99 * DAY, row.format("b1", old.isoformat()).encode(), b'{"no": "device"}')
    scene.it.bronze.tick()
    await receive_at(scene, pipeline_id, timedelta(), row.format("b2", new.isoformat()).encode())
    await receive_at(scene, pipeline_id, timedelta(), row.format("late", old.isoformat()).encode())
    before = (await api.get(f"/api/v1/pipelines/{pipeline_id}/ledger")).json()
    await scene.closed_segments(pipeline_id)
    keeper = job(scene)
    await keeper.run(Attempt())
    rows = (await api.get(f"/api/v1/pipelines/{pipeline_id}/records")).json()["items"]
    assert [one["device"] for one in rows] == ["b2"]
    assert (await api.get(f"/api/v1/pipelines/{pipeline_id}/dead-letters")).json()["items"] == []
    assert (await api.get(f"/api/v1/pipelines/{pipeline_id}/ledger")).json() == before
    [done] = (await api.get("/api/v1/storage")).json()["rounds"]
    assert (done["rows"], done["events"]) == (2, 2)
    assert done["bytes_freed"] > 0
    assert [one["pipeline_id"] for one in done["pipelines"]] == [pipeline_id]
    assert (keeper.removed_rows, keeper.removed_events) == (2, 2)
    gone = await api.get(f"/api/v1/pipelines/{pipeline_id}/records/1")
    assert gone.status_code == 404
    assert "expired" in gone.json()["detail"]


async def test_rows_that_another_node_keeps_are_left_to_it_and_events_are_not(scene: Any, api: Any) -> None:
    old = utc_now() - 100 * DAY
    pipeline_id = await scene.boilers(retention={"bronze": "60d", "silver": "30d"})
    await receive_at(scene, pipeline_id, 99 * DAY, f'{{"device": "b1", "ts": "{old.isoformat()}"}}'.encode())
    await scene.closed_segments(pipeline_id)
    keeper, keeps = job(scene), False
    keeper.keeps_rows = lambda: keeps
    await keeper.run(Attempt())
    assert (keeper.removed_rows, keeper.removed_events) == (0, 1)
    assert [one["device"] for one in (await api.get(f"/api/v1/pipelines/{pipeline_id}/records")).json()["items"]] == [
        "b1"
    ]
    keeps = True
    await keeper.run(Attempt())
    assert (keeper.removed_rows, keeper.removed_events) == (1, 1)


async def test_a_pipeline_says_otherwise_than_its_organisation(scene: Any, api: Any) -> None:
    await api.put(f"/api/v1/organisations/{scene.admin.organisation_id}/retention", json={"silver": "30d"})
    ordinary = await scene.boilers()
    keeping = await scene.boilers(name="keeping", retention={"silver": "forever"})
    old = f'{{"device": "b1", "ts": "{(utc_now() - 100 * DAY).isoformat()}"}}'.encode()
    for pipeline_id in (ordinary, keeping):
        await scene.receive(pipeline_id, old)
    await job(scene).run(Attempt())
    counts = [len((await api.get(f"/api/v1/pipelines/{one}/records")).json()["items"]) for one in (ordinary, keeping)]
    assert counts == [0, 1]


async def test_what_a_downstream_pipeline_has_not_read_stays(scene: Any, api: Any) -> None:
    upstream = await scene.boilers(retention={"bronze": "60d", "silver": "30d"})
    source = {"type": "pipeline", "pipeline": upstream}
    reader = await scene.it.services.pipelines.create(scene.admin, {"name": "reader", "source": source})
    await scene.it.services.pipelines.pause(scene.admin, reader.pipeline.id)
    row = f'{{"device": "b1", "ts": "{(utc_now() - 100 * DAY).isoformat()}"}}'.encode()
    await receive_at(scene, upstream, 99 * DAY, row)
    await scene.closed_segments(upstream)
    await job(scene).run(Attempt())
    assert len((await api.get(f"/api/v1/pipelines/{upstream}/records")).json()["items"]) == 1
    [done] = (await api.get("/api/v1/storage")).json()["rounds"]
    assert done["pipelines"][0]["held_back"] == f"pipeline {reader.pipeline.id!r} has read the rows up to event 0"
    await scene.it.services.pipelines.resume(scene.admin, reader.pipeline.id)
    await scene.refined(reader.pipeline.id, received=1)
    await job(scene).run(Attempt())
    assert (await api.get(f"/api/v1/pipelines/{upstream}/records")).json()["items"] == []


async def test_free_blocks_are_given_back_when_asked(scene: Any, api: Any) -> None:
    pipeline_id = await scene.boilers()
    await scene.receive(pipeline_id, b'{"device": "b1", "temp_c": 20}')
    done = (await api.post("/api/v1/storage/compact")).raise_for_status().json()
    assert set(done) == {"before_bytes", "after_bytes", "took_secs"}
    assert len((await api.get(f"/api/v1/pipelines/{pipeline_id}/records")).json()["items"]) == 1
    assert "storage.compact" in {one["action"] for one in (await api.get("/api/v1/audit")).json()["items"]}


async def test_a_disk_at_its_mark_is_told_in_the_overview(scene: Any, api: Any) -> None:
    guard = scene.it.disk
    guard.marks = msgspec.structs.replace(guard.marks, stop=0.0)
    guard.look()
    assert guard.state is DiskState.STOPPED
    disk = (await api.get("/api/v1/storage")).json()["disk"]
    assert disk["state"] == "stopped"
    assert "free space" in disk["told"]
