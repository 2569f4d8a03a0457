"""A pipeline that two nodes received events of, looked at from one of them."""

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from appliance.components.partitions import Share
from appliance.components.silver import Progress
from appliance.domain.clock import utc_now
from appliance.domain.event import Delivery, Envelope
from appliance.domain.ids import NodeId, PipelineId
from appliance.domain.node import Card
from appliance.engine.attempt import Attempt
from appliance.storage.bronze_cluster import ClusterBronze, Own, PartitionLog, RemoteLog
from appliance.storage.control import erasures
from appliance.storage.control.nodes import Nodes
from appliance.storage.control.tables import NodeRow, PartitionRow
from tests.fakes.bronze import MemoryBronzeLog
from tests.fakes.holders import FakeHolders, holder
from tests.fakes.internal_room import calling, room, served

TWO = 35_184_372_088_832  # 2 · 2^44
MAPPING = {
    "time": {"path": "$.ts"},
    "fields": [{"name": "device", "path": "$.device", "type": "string", "required": True}],
}


def event(device: str) -> bytes:
    return json.dumps({"device": device, "ts": "2026-03-01T12:00:00Z"}).encode()


@dataclass
class Pair:
    pipeline: str
    there: PartitionLog  # the other node's log


@pytest.fixture
def there() -> PartitionLog:
    return PartitionLog(MemoryBronzeLog(), 2)


@pytest.fixture
def remote(there: PartitionLog) -> Iterator[RemoteLog]:
    with served(room(there, node_id="nd_2"), 2) as other, calling() as caller:
        yield RemoteLog(other, caller)


@pytest.fixture
async def pair(scene: Any, there: PartitionLog, remote: RemoteLog) -> AsyncIterator[Pair]:
    """Two events here, the second refined last of all; three there, received an hour ago and not refined."""
    pipeline = await scene.boilers(mapping=MAPPING)
    await scene.receive(pipeline, event("here-1"), event("here-2"))
    envelope = Envelope(received_at=utc_now() - timedelta(hours=1), source="webhook", headers={"x-request-id": "7"})
    payloads = [event("there-1"), event("there-2"), event("here-1")]
    await there.append(PipelineId(pipeline), Delivery(envelope, payloads))
    engine, alone = scene.it.engine, scene.it.engine.bronze
    holders = FakeHolders(remote._holder)
    holders.received[PipelineId(pipeline)] = [0, 2]
    engine.bronze = ClusterBronze(Own(0, alone), holders, lambda _: remote)
    yield Pair(pipeline, there)
    engine.bronze = alone


async def test_a_preview_takes_events_of_both(api: Any, pair: Pair) -> None:
    body = {"pipeline": pair.pipeline, "mapping": MAPPING}
    found = (await api.post("/api/v1/mappings/preview", json=body)).raise_for_status().json()
    assert [(row["_seq"], row["device"]) for row in found["rows"]] == [
        (1, "here-1"), (2, "here-2"), (TWO + 1, "there-1"), (TWO + 2, "there-2"), (TWO + 3, "here-1"),
    ]  # fmt: skip
    body |= {"range": {"last": 3}}  # what was received last: both of here, and the last of there
    found = (await api.post("/api/v1/mappings/preview", json=body)).raise_for_status().json()
    assert [row["_seq"] for row in found["rows"]] == [1, 2, TWO + 3]
    body |= {"range": {"to": "now-30m"}, "compare": True}
    found = (await api.post("/api/v1/mappings/preview", json=body)).raise_for_status().json()
    assert [row["_seq"] for row in found["rows"]] == [TWO + 1, TWO + 2, TWO + 3]
    assert (found["comparison"]["matching"], found["comparison"]["unchanged"]) == (3, 3)


async def test_an_event_of_the_other_node_is_shown_with_its_bytes(api: Any, pair: Pair) -> None:
    answer = await api.get(f"/api/v1/pipelines/{pair.pipeline}/records/{TWO + 2}/lineage")
    hop = answer.raise_for_status().json()
    assert (hop["seq"], hop["event"]["payload"]["device"], hop["outcome"]) == (TWO + 2, "there-2", "pending")
    assert hop["event"]["headers"] == {"x-request-id": "7"}
    assert (await api.get(f"/api/v1/pipelines/{pair.pipeline}/records/2:2/lineage")).json() == hop
    assert (await api.get(f"/api/v1/pipelines/{pair.pipeline}/records/2:2")).json()["seq"] == TWO + 2
    for wrong in ("x", "0", "2:x", "999:1"):
        answer = await api.get(f"/api/v1/pipelines/{pair.pipeline}/records/{wrong}")
        assert (answer.status_code, "written as 42, or 1:42" in answer.json()["detail"]) == (404, True)
    for seq, told in (
        ("2:4", "no event 2:4: it has received 3"),
        (TWO + 4, "it has received 3"),
        (3, "it has received 2"),
        (TWO // 2 + 1, "at no node"),
    ):
        answer = await api.get(f"/api/v1/pipelines/{pair.pipeline}/records/{seq}/lineage")
        assert (answer.status_code, told in answer.json()["detail"]) == (404, True), answer.text


async def test_the_ledger_counts_events_and_not_numbers(api: Any, pair: Pair) -> None:
    ledger = (await api.get(f"/api/v1/pipelines/{pair.pipeline}/ledger")).raise_for_status().json()
    assert ledger == {"received": 2, "stored": 2, "filtered": 0, "duplicate": 0, "dead": 0, "pending": 0}


async def asked_to_erase(api: Any, pair: Pair, **more: Any) -> str:
    """Ask for what two events have, one at each node; return where the erasure is told of."""
    payload = [{"path": "$.device", "value": "here-1"}]
    asked = {"reason": "request 4711", "pipelines": [pair.pipeline], "payload": payload, **more}
    answer = await api.post("/api/v1/erasures", json=asked)
    assert answer.status_code == 202, answer.text
    place: str = answer.headers["location"]
    return place


async def gone_on(scene: Any, api: Any, place: str, *, late: bool = False) -> Any:
    """Do the next step of an erasure and return how it stands. ``late``: a quarter of an hour after the last one."""
    job = scene.it.services.erasures.job
    job._clock = (lambda: utc_now() + timedelta(minutes=15)) if late else utc_now
    await job.run(Attempt({"id": place.rpartition("/")[2]}))
    return (await api.get(place)).raise_for_status().json()


def erased_there(pair: Pair) -> list[int]:
    frames = pair.there.read(PipelineId(pair.pipeline), TWO, 100, 1 << 20)
    return [seq for one in frames for seq in one.withdrawn]


def erased_here(scene: Any, pair: Pair) -> list[int]:
    frames = scene.it.bronze.read(PipelineId(pair.pipeline), 0, 100, 1 << 20)
    return [seq for one in frames for seq in one.withdrawn]


async def test_an_erasure_finds_and_erases_on_both(scene: Any, api: Any, pair: Pair) -> None:
    place = await asked_to_erase(api, pair)
    await gone_on(scene, api, place)
    looked = await gone_on(scene, api, place)
    assert (looked["state"], looked["waits_for"]) == ("confirming", [])  # there it is not refined yet
    done = await gone_on(scene, api, place, late=True)
    assert (done["state"], done["searched_events"]) == ("done", 5)
    assert [(one["events"], one["segments"]) for one in done["pipelines"]] == [(2, 2)]
    assert (erased_here(scene, pair), erased_there(pair)) == ([1], [TWO + 3])
    records = (await api.get(f"/api/v1/pipelines/{pair.pipeline}/records")).json()["items"]
    assert [one["device"] for one in records] == ["here-2"]


@pytest.fixture
async def silent(scene: Any, pair: Pair) -> AsyncIterator[Any]:
    """The other node, known to the control plane, does not answer; called, it is back."""
    card = Card(
        id=NodeId("nd_2"), life="life-2", name="node-2", role="all", address="http://127.0.0.1:1", version="1",
        offers=("bronze",), every_secs=3.0,
    )  # fmt: skip
    Nodes(scene.it.plane).enter(card)
    given = PartitionRow(number=2, node_id="nd_2", given_at=utc_now())
    await scene.it.plane.write(lambda tx: tx.add(given))
    engine, answering = scene.it.engine, scene.it.engine.bronze
    holders = FakeHolders(holder(2))
    holders.received[PipelineId(pair.pipeline)] = [0, 2]
    with calling() as caller:
        engine.bronze = ClusterBronze(Own(0, scene.it.bronze), holders, lambda one: RemoteLog(one, caller))
        yield lambda: setattr(engine, "bronze", answering)


async def test_an_erasure_waits_for_a_node_that_is_down_and_is_done_when_it_is_back(
    scene: Any, api: Any, pair: Pair, silent: Any
) -> None:
    place = await asked_to_erase(api, pair)
    for _ in range(2):
        waits = await gone_on(scene, api, place)
        assert (waits["state"], waits["error"]) == ("confirming", None)
        [other] = waits["waits_for"]
        assert (other["node"], other["name"], "'node-2'" in other["told"]) == ("nd_2", "node-2", True)
        assert (erased_here(scene, pair), erased_there(pair)) == ([1], [])
    waits = await gone_on(scene, api, place, late=True)  # however long
    assert (waits["state"], waits["searched_events"], waits["total_events"]) == ("confirming", 2, 2)
    jobs = (await api.get("/api/v1/jobs", params={"kind": "erasure.run"})).json()["items"]
    assert [one["needs"] for one in jobs] == [["node:nd_2"], ["node:nd_2"], ["bronze"], ["bronze"]]
    silent()
    back = await gone_on(scene, api, place)
    assert (back["state"], back["waits_for"], erased_there(pair)) == ("confirming", [], [TWO + 3])
    done = await gone_on(scene, api, place, late=True)
    assert (done["state"], done["searched_events"], done["total_events"]) == ("done", 5, 5)
    assert [(one["events"], one["rows"], one["segments"]) for one in done["pipelines"]] == [(2, 1, 2)]
    kept = await scene.it.plane.read(lambda tx: erasures.load(tx, done["id"]))
    assert kept is not None
    assert kept.wanted is None  # what was looked for is kept no longer than it is needed


async def test_a_dry_run_says_what_it_could_not_count(scene: Any, api: Any, pair: Pair, silent: Any) -> None:
    place = await asked_to_erase(api, pair, dry_run=True)
    found = await gone_on(scene, api, place)
    assert (found["state"], found["waits_for"], found["pipelines"][0]["events"]) == ("found", [], 1)
    assert ["'node-2'" in one and "not counted" in one for one in found["notes"]] == [True]


async def test_an_erasure_does_not_wait_for_a_node_that_is_forgotten(
    scene: Any, api: Any, pair: Pair, silent: Any
) -> None:
    place = await asked_to_erase(api, pair)
    for _ in range(2):
        await gone_on(scene, api, place)
    await scene.it.plane.write(lambda tx: tx.execute(update(NodeRow).values(state="gone")))
    assert (await api.delete("/api/v1/nodes/nd_2")).status_code == 204
    jobs = (await api.get("/api/v1/jobs", params={"kind": "erasure.run"})).json()["items"]
    assert [(one["needs"], one["state"]) for one in jobs[:2]] == [([], "ready"), (["node:nd_2"], "cancelled")]
    scene.it.engine.bronze = ClusterBronze(Own(0, scene.it.bronze), FakeHolders(), lambda _: scene.it.bronze)
    await gone_on(scene, api, place)
    done = await gone_on(scene, api, place, late=True)
    assert (done["state"], done["waits_for"], done["pipelines"][0]["events"]) == ("done", [], 1)
    assert done["notes"] == [
        "what is on the disk of node 'node-2' was not searched and not erased: it was forgotten"
    ]  # fmt: skip


async def test_a_replay_is_of_the_events_of_both(api: Any, pair: Pair) -> None:
    async def planned(**wish: Any) -> Any:
        return await api.post(f"/api/v1/pipelines/{pair.pipeline}/replays", json={"dry_run": True, **wish})

    both, there, late = (1, TWO + 3, 5), (TWO + 1, TWO + 3, 3), (1, 2, 2)
    for wish, expected in (
        ({}, both), ({"from": "now-1d"}, both), ({"first_seq": TWO + 1}, there), ({"to": "now-30m"}, there),
        ({"from": "now-30m"}, late), ({"first_seq": 2, "last_seq": TWO + 1}, (2, TWO + 1, 2)),
    ):  # fmt: skip
        plan = (await planned(**wish)).raise_for_status().json()
        assert (plan["first_seq"], plan["last_seq"], plan["events"]) == expected, wish
        assert plan["whole"] is (not wish)
        assert (plan["expired"], plan["secs"] is None) == (0, False)
    answer = await planned(first_seq=TWO + 9)
    assert (answer.status_code, answer.json()["problems"][0]["pointer"]) == (422, "/first_seq")
    assert f"it has 1 to 2 and {TWO + 1} to {TWO + 3}" in answer.json()["problems"][0]["message"]


async def test_a_node_that_does_not_answer_is_named(scene: Any, api: Any, pair: Pair) -> None:
    holders = FakeHolders(
        scene.it.engine.bronze._holders.holder(2).__class__("nd_2", "node-2", "http://127.0.0.1:1", 2)
    )
    holders.received[PipelineId(pair.pipeline)] = [0, 2]
    with calling() as caller:
        scene.it.engine.bronze = ClusterBronze(
            Own(0, scene.it.bronze), holders, lambda holder: RemoteLog(holder, caller)
        )
        answer = await api.get(f"/api/v1/pipelines/{pair.pipeline}/records/{TWO + 2}/lineage")
        assert (answer.status_code, "node 'node-2'" in answer.json()["detail"]) == (503, True)
        answer = await api.get(f"/api/v1/pipelines/{pair.pipeline}/records/2/lineage")
        assert answer.status_code == 200


async def test_the_ledger_is_that_of_both_also_while_one_does_not_answer(scene: Any, api: Any, pair: Pair) -> None:
    engine, remote = scene.it.engine, scene.it.engine.bronze
    engine.elsewhere = {PipelineId(pair.pipeline): {2: Share(TWO + 3, Progress(TWO))}}
    ledger = (await api.get(f"/api/v1/pipelines/{pair.pipeline}/ledger")).raise_for_status().json()
    assert ledger == {"received": 5, "stored": 2, "filtered": 0, "duplicate": 0, "dead": 0, "pending": 3}
    view = (await api.get(f"/api/v1/pipelines/{pair.pipeline}")).raise_for_status().json()
    assert (view["live"]["ledger"], view["live"]["lag_events"]) == (ledger, 3)
    for _ in range(2):
        asked = await api.get(f"/api/v1/pipelines/{pair.pipeline}/ledger/lines", params={"by": "version"})
        lines = asked.raise_for_status().json()["items"]
        assert [(one.get("version"), one["received"], one["pending"]) for one in lines] == [(None, 3, 3), (1, 2, 0)]
        engine.bronze = ClusterBronze(Own(0, scene.it.bronze), FakeHolders(), remote._dial)  # then nobody has it
    engine.elsewhere = {}
