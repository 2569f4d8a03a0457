"""Jobs and nodes through the API: listed, cancelled, sent back; drained, taken back, forgotten; and the trail of it."""

from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy.orm import Session

from appliance.components.partitions import Received
from appliance.domain.clock import utc_now
from appliance.domain.drift import Drift
from appliance.domain.ids import NodeId, PipelineId
from appliance.domain.job import on_node
from appliance.domain.node import Card, Load
from appliance.services.housekeeping import forget_expired
from appliance.storage.control import drift, partitions
from appliance.storage.control.nodes import Nodes
from appliance.storage.control.tables import PartitionRow


@pytest.fixture
def cards(scene: Any) -> list[Card]:
    """Two nodes that have entered."""
    made = [
        Card(
            id=NodeId(f"node_{name}"), life=f"life-{name}", name=name, role="all", address=f"http://{name}:8080",
            version="1", offers=("bronze",), every_secs=3.0,
        )
        for name in ("anna", "bert")
    ]  # fmt: skip
    for card in made:
        Nodes(scene.it.plane).enter(card)
    return made


async def test_jobs_are_listed_by_state_and_page(scene: Any, api: Any) -> None:
    ids = [await scene.job() for _ in range(3)]
    await api.post(f"/api/v1/jobs/{ids[0]}/cancel")
    waiting = (await api.get("/api/v1/jobs", params={"state": "ready", "limit": 1})).json()
    assert [one["id"] for one in waiting["items"]] == [ids[2]]
    rest = (await api.get("/api/v1/jobs", params={"state": "ready", "cursor": waiting["next_cursor"]})).json()
    assert [one["id"] for one in rest["items"]] == [ids[1]]
    assert rest["next_cursor"] is None
    assert (await api.get("/api/v1/jobs", params={"kind": "no.such"})).json()["items"] == []
    wrong = await api.get("/api/v1/jobs", params={"state": "sleeping"})
    assert (wrong.status_code, wrong.json()["problems"][0]["pointer"]) == (422, "/state")


async def test_a_job_is_cancelled_and_sent_back_and_both_are_noted(scene: Any, api: Any) -> None:
    job_id = await scene.job()
    cancelled = (await api.post(f"/api/v1/jobs/{job_id}/cancel")).json()
    assert (cancelled["state"], cancelled["cancelling"]) == ("cancelled", False)
    assert (await api.post(f"/api/v1/jobs/{job_id}/cancel")).status_code == 409
    again = (await api.post(f"/api/v1/jobs/{job_id}/retry")).json()
    assert (again["state"], again["attempt"]) == ("ready", 0)
    assert (await api.post(f"/api/v1/jobs/{job_id}/retry")).status_code == 409
    trail = (await api.get("/api/v1/audit")).json()["items"]
    deeds = [(one["action"], one["target"]) for one in trail if one["action"].startswith("job.")]
    assert sorted(deeds) == [("job.cancel", job_id), ("job.retry", job_id)]


async def test_an_erasure_is_one_job_for_all_nodes_and_nobody_may_cancel_it(
    scene: Any, api: Any, cards: list[Card]
) -> None:
    pipeline_id = await scene.boilers()
    asked = {"pipelines": [pipeline_id], "where": {"device": "b1"}, "reason": "request 4711"}
    assert (await api.post("/api/v1/erasures", json=asked)).status_code == 202
    [erasure] = (await api.get("/api/v1/erasures")).json()["items"]
    assert (erasure["state"], erasure["waits_for"]) == ("waiting", [])
    [job] = (await api.get("/api/v1/jobs", params={"kind": "erasure.run"})).json()["items"]
    assert (job["needs"], job["node"]) == (["bronze"], None)
    refused = await api.post(f"/api/v1/jobs/{job['id']}/cancel")
    assert (refused.status_code, "promised" in refused.json()["detail"]) == (409, True)


async def test_a_node_is_drained_and_hears_of_it_at_its_next_heartbeat(scene: Any, api: Any, cards: list[Card]) -> None:
    store = Nodes(scene.it.plane)
    anna = cards[0]
    assert store.beat(anna, Load(events_per_sec=12.5)).value == "running"
    listed = (await api.get("/api/v1/nodes")).json()["items"]
    assert [(one["name"], one["state"]) for one in listed] == [("anna", "running"), ("bert", "running")]
    assert listed[0]["load"]["events_per_sec"] == 12.5
    scene.it.services.nodes.bell.clear()
    drained = (await api.post("/api/v1/nodes/node_anna/drain")).json()
    assert drained["state"] == "draining"
    assert scene.it.services.nodes.bell.is_set()
    assert store.beat(anna, Load()).value == "draining"
    assert (await api.post("/api/v1/nodes/node_anna/resume")).json()["state"] == "running"
    assert store.beat(anna, Load()).value == "running"
    actions = [one["action"] for one in (await api.get("/api/v1/audit")).json()["items"]]
    assert {"node.drain", "node.resume"} <= set(actions)


async def test_the_partition_of_each_node_is_told(scene: Any, api: Any, cards: list[Card]) -> None:
    given = PartitionRow(number=7, node_id="node_bert", given_at=utc_now())
    await scene.it.plane.write(lambda tx: tx.add(given))
    listed = (await api.get("/api/v1/nodes")).json()["items"]
    assert [(one["name"], one["partition"]) for one in listed] == [("anna", None), ("bert", 7)]
    assert (await api.get("/api/v1/nodes/node_bert")).json()["partition"] == 7


async def test_a_node_that_is_forgotten_leaves_a_balanced_ledger_and_a_line_in_the_trail(
    scene: Any, api: Any, cards: list[Card]
) -> None:
    pipeline_id = PipelineId(await scene.boilers())
    base = 7 * 17_592_186_044_416

    def known(tx: Session) -> None:
        tx.add(PartitionRow(number=7, node_id="node_bert", given_at=utc_now()))
        partitions.publish(tx, 7, [Received(pipeline_id, 7, base + 1, base + 12)], [])
        partitions.publish(tx, 3, [Received(pipeline_id, 3, 1, 2), Received(PipelineId("pl_deleted"), 3, 1, 2)], [])
        drift.put(tx, pipeline_id, 7, Drift(), utc_now())

    await scene.it.plane.write(known)
    Nodes(scene.it.plane).leave(cards[1])
    assert (await api.delete("/api/v1/nodes/node_bert")).status_code == 204
    [entry] = [one for one in (await api.get("/api/v1/audit")).json()["items"] if one["action"] == "node.forget"]
    assert entry["detail"] == {"name": "bert", "given_up": {pipeline_id: 12}}
    left = await scene.it.plane.read(partitions.published)
    assert [(one.pipeline_id, one.partition) for one in left] == [(pipeline_id, 3), ("pl_deleted", 3)]
    assert await scene.it.plane.read(lambda tx: drift.of(tx, pipeline_id)) == {}
    assert await scene.it.plane.read(lambda tx: partitions.given(tx, NodeId("node_bert"))) == 7  # never given twice
    await scene.it.plane.write(lambda tx: forget_expired(tx, utc_now))
    left = await scene.it.plane.read(partitions.published)
    assert [(one.pipeline_id, one.partition) for one in left] == [(pipeline_id, 3)]


async def test_nodes_without_events_that_are_long_gone_are_forgotten_by_themselves(
    scene: Any, api: Any, cards: list[Card]
) -> None:
    Nodes(scene.it.plane).enter(replace(cards[0], id=NodeId("node_web"), name="web", life="3", offers=()))
    for days, left in ((29, ["anna", "bert", "web"]), (31, ["anna", "bert"])):
        later = utc_now() + timedelta(days=days)
        await scene.it.plane.write(lambda tx, later=later: forget_expired(tx, lambda: later))
        assert [one["name"] for one in (await api.get("/api/v1/nodes")).json()["items"]] == left


async def test_only_a_node_that_is_gone_can_be_forgotten_and_its_jobs_go_with_it(
    scene: Any, api: Any, cards: list[Card]
) -> None:
    job_id = await scene.job(needs=(on_node(NodeId("node_bert")),))
    assert (await api.delete("/api/v1/nodes/node_bert")).status_code == 409
    Nodes(scene.it.plane).leave(cards[1])
    assert (await api.post("/api/v1/nodes/node_bert/drain")).status_code == 409
    assert (await api.delete("/api/v1/nodes/node_bert")).status_code == 204
    job = (await api.get(f"/api/v1/jobs/{job_id}")).json()
    assert (job["state"], job["error"]) == ("cancelled", "its node 'bert' was forgotten")
    assert (await api.get("/api/v1/nodes/node_bert")).status_code == 404
