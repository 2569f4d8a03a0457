"""Drift from the first event to its acknowledgement, over a restart."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec
from sqlalchemy import select

from appliance.components.source import InboundRequest
from appliance.domain.clock import utc_now
from appliance.domain.drift import LEARNING, Sighting
from appliance.domain.ids import PipelineId
from appliance.services import drift
from appliance.storage.control import drift as kept
from appliance.storage.control.tables import DriftRow, PipelineRow
from tests.scenarios.conftest import until

NORMAL = b'{"device": "a", "temp_c": 20.5}'


async def told_when(api: Any, path: str, holds: Callable[[Any], bool]) -> Any:
    """Return the pipeline once ``holds`` is true of it."""
    async with asyncio.timeout(10):
        while not holds(told := (await api.get(path)).json()):  # noqa: ASYNC110 - what is awaited has no event
            await asyncio.sleep(0.01)
    return told


async def taught(scene: Any) -> str:
    """Return a pipeline whose events are known."""
    pipeline_id: str = await scene.boilers()
    watcher = scene.it.engine.drifts.of(PipelineId(pipeline_id))
    known = watcher.state()
    known.taught, known.last_seq = LEARNING - 1, 0
    scene.it.engine.drifts.restore(PipelineId(pipeline_id), known)
    await scene.receive(pipeline_id, NORMAL)
    return pipeline_id


async def test_drift_is_found_shown_and_acknowledged(scene: Any, api: Any) -> None:
    pipeline_id = await taught(scene)
    path = f"/api/v1/pipelines/{pipeline_id}/drift"
    shown = (await api.get(path)).json()
    assert (shown["learned"], shown["events"], shown["findings"]) == (True, 1, [])
    assert shown["baseline"][1] == {"path": "$.device", "types": ["string"], "share": 0.001}
    await scene.receive(pipeline_id, b'{"device": 7, "temp_c": 20.5, "fw": {"v": "1.2"}}', NORMAL)
    found = (await api.get(path)).json()["findings"]
    assert [(one["id"], one["told"], one["count"], one["share"], one["example_seq"]) for one in found] == [
        ("type_changed:$.device", "$.device was string and is integer now", 1, 0.5, 2),
        ("new_field:$.fw", "$.fw is new: object", 1, 0.5, 2),
    ]  # fmt: skip
    assert found[0]["first_at"].endswith("Z")
    one = await api.post(f"{path}/acknowledge", json={"findings": ["new_field:$.fw"]})
    assert [left["id"] for left in one.json()["findings"]] == ["type_changed:$.device"]
    assert (await api.post(f"{path}/acknowledge", json={"findings": ["new_field:$.fw"]})).status_code == 404
    assert (await api.post(f"{path}/acknowledge", json={})).json()["findings"] == []
    assert {"$.fw", "$.fw.v"} <= {place["path"] for place in (await api.get(path)).json()["baseline"]}
    audit = (await api.get("/api/v1/audit")).json()["items"]
    assert [entry["detail"] for entry in audit if entry["action"] == "drift.acknowledge"] == [
        {"findings": ["type_changed:$.device"]}, {"findings": ["new_field:$.fw"]},
    ]  # fmt: skip


async def test_drift_is_that_of_all_nodes_and_noted_at_all(scene: Any, api: Any) -> None:
    pipeline_id = PipelineId(await taught(scene))
    path = f"/api/v1/pipelines/{pipeline_id}/drift"
    other = scene.it.engine.drifts.of(pipeline_id).state()
    seq = 2 * 17_592_186_044_416  # of partition 2
    other.observe({"device": "a", "temp_c": 20.5, "fw": 1}, Sighting(seq + 1, 1_000_000))
    await scene.it.plane.write(lambda tx: kept.put(tx, pipeline_id, 2, other, utc_now()))
    await scene.receive(pipeline_id, b'{"device": "a", "temp_c": 20.5, "fw": 1}')
    [found] = (await api.get(path)).json()["findings"]
    assert (found["id"], found["count"], found["first_seq"], found["last_seq"]) == ("new_field:$.fw", 2, seq + 1, 2)
    noted = (await api.post(f"{path}/acknowledge", json={"findings": ["new_field:$.fw"]})).raise_for_status().json()
    assert noted["findings"] == (await api.get(path)).json()["findings"] == []
    told = await scene.it.plane.read(lambda tx: [kept.acknowledged(tx, partition) for partition in (0, 2)])
    assert [[one.id for one in each.get(pipeline_id, ())] for each in told] == [[], ["new_field:$.fw"]]


async def test_a_node_that_has_seen_nothing_begins_with_what_others_know(scene: Any) -> None:
    pipeline_id, drifts = PipelineId(await taught(scene)), scene.it.engine.drifts
    other = drifts.of(pipeline_id).state()
    await scene.it.plane.write(lambda tx: kept.put(tx, pipeline_id, 2, other, utc_now()))
    drifts.forget(pipeline_id)
    await scene.it.services.drift.load()
    begun = drifts.of(pipeline_id).state()
    assert (begun.learned, begun.events, sorted(begun.known)) == (True, 0, ["$", "$.device", "$.temp_c"])


async def test_drift_survives_a_restart_and_goes_with_its_pipeline(scene: Any, api: Any) -> None:
    pipeline_id, drifts = await taught(scene), scene.it.engine.drifts
    await scene.receive(pipeline_id, b'{"device": "a", "temp_c": 20.5, "fw": 1}')
    drift.save(scene.it.plane, drifts)
    before = drifts.of(PipelineId(pipeline_id)).state()
    drifts.forget(PipelineId(pipeline_id))
    await scene.it.services.drift.load()
    assert drifts.of(PipelineId(pipeline_id)).state() == before
    assert len(before.findings) == 1
    assert (await api.delete(f"/api/v1/pipelines/{pipeline_id}")).status_code == 204
    drifts.restore(PipelineId(pipeline_id), msgspec.structs.replace(before))
    drifts.of(PipelineId(pipeline_id)).changed = True
    drift.save(scene.it.plane, drifts)  # a watcher that outlived its pipeline disturbs nobody
    assert scene.it.plane.read_now(lambda tx: list(tx.scalars(select(DriftRow)))) == []


async def test_a_frozen_pipeline_tells_why_it_stands_still_and_goes_on(scene: Any, api: Any) -> None:
    frozen = {"fields": [{"name": "device", "path": "$.device", "type": "string"}], "contract": "freeze"}
    pipeline_id = await scene.boilers(mapping=frozen)
    await scene.receive(pipeline_id, b'{"device": "a"}')
    events = b'{"device": "b"}\n{"device": "c", "fw": 1}\n{"device": "d"}'
    request = InboundRequest({"content-type": "application/x-ndjson"}, events, "192.0.2.7", utc_now())
    await scene.it.engine.receiver.post(PipelineId(pipeline_id), request)
    path = f"/api/v1/pipelines/{pipeline_id}"
    told = await told_when(api, path, lambda one: one["state"] == "failed")
    assert told["live"]["last_error"] == (
        "event 3 differs from the mapping and its contract is 'freeze': the event has keys that no field reads: fw "
        "(change the mapping or its contract, or erase the event, then resume)"
    )
    assert told["live"]["ledger"] == {
        "received": 4, "stored": 2, "filtered": 0, "duplicate": 0, "dead": 0, "pending": 2,
    }  # fmt: skip
    resumed = await api.post(f"{path}/resume")
    assert resumed.status_code == 200
    await told_when(api, path, lambda one: one["state"] == "failed")
    document = {"name": "boiler-room", "source": {"type": "webhook", "signature": "none"}}
    put = await api.put(path, json=document | {"mapping": frozen | {"contract": "evolve"}})
    assert put.status_code == 200
    told = await told_when(api, path, lambda one: one["live"]["ledger"]["pending"] == 0)
    assert (told["state"], told["live"]["ledger"]["stored"]) == ("running", 4)


async def test_a_pipeline_that_failed_here_and_was_resumed_on_another_node_is_tried_again_once(scene: Any) -> None:
    frozen = {"fields": [{"name": "device", "path": "$.device", "type": "string"}], "contract": "freeze"}
    pipeline_id = PipelineId(await scene.boilers(mapping=frozen))
    engine, pipelines = scene.it.engine, scene.it.services.pipelines
    await pipelines.catch_up()
    request = InboundRequest({"content-type": "application/json"}, b'{"device": "a", "fw": 1}', "192.0.2.7", utc_now())
    await engine.receiver.post(pipeline_id, request)
    await until(lambda: engine.run_of(pipeline_id).refiner.fatal)
    failed = engine.run_of(pipeline_id)
    await pipelines.catch_up()
    assert engine.run_of(pipeline_id) is failed  # nobody has asked for it
    later = utc_now() + timedelta(seconds=1)
    await scene.it.plane.write(lambda tx: setattr(tx.get(PipelineRow, pipeline_id), "updated_at", later))
    await pipelines.catch_up()
    again = engine.run_of(pipeline_id)
    assert again is not failed
    await until(lambda: again.refiner.fatal)
    await pipelines.catch_up()
    assert engine.run_of(pipeline_id) is again
