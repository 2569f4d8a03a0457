"""Somebody's events erased through the API: found by rows, payloads and numbers, gone everywhere, and provably so."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from appliance import examine
from appliance.components.jobs import Claimant, NewJob
from appliance.domain.ids import PipelineId
from appliance.engine.attempt import Attempt
from appliance.errors import TransientError
from appliance.services.erasure_job import JOB
from appliance.storage.control import audit, erasures

SECRET = "ada-lovelace-4711"
ADA = json.dumps({"device": "b1", "temp_c": 20, "who": SECRET}).encode()
BOB = json.dumps({"device": "b2", "temp_c": 21, "who": "bob"}).encode()
DEAD = json.dumps({"temp_c": 22, "who": SECRET}).encode()  # no device
MAPPING = {
    "fields": [
        {"name": "device", "path": "$.device", "type": "string", "required": True},
        {"name": "who", "path": "$.who", "type": "string"},
    ],
}


async def erase(scene: Any, api: Any, **asked: Any) -> dict[str, Any]:
    """Ask, do all the steps of the job, and return how it ended."""
    answer = await api.post("/api/v1/erasures", json={"reason": "request 4711", **asked})
    assert answer.status_code == 202, answer.text
    job = scene.it.services.erasures.job
    for _ in range(2):  # the erasure, and the look afterwards
        await job.run(Attempt({"id": answer.json()["id"]}))
    found: dict[str, Any] = (await api.get(answer.headers["location"])).raise_for_status().json()
    return found


async def rows(api: Any, pipeline_id: str) -> list[str]:
    items = (await api.get(f"/api/v1/pipelines/{pipeline_id}/records", params={"order": "asc"})).json()["items"]
    return [one["device"] for one in items]


async def dead(api: Any, pipeline_id: str) -> list[int]:
    return [one["seq"] for one in (await api.get(f"/api/v1/pipelines/{pipeline_id}/dead-letters")).json()["items"]]


def holding(scene: Any, what: str) -> list[str]:
    """Return the files of the data directory that hold ``what``, compressed segments read as they were written."""
    found = []
    for path in Path(scene.it.settings.server.data_dir).rglob("*"):
        if path.is_file() and what.encode() in path.read_bytes():
            found.append(path.name)
    return found


async def test_a_dry_run_counts_and_touches_nothing(scene: Any, api: Any) -> None:
    pipeline_id = await scene.boilers(mapping=MAPPING)
    await scene.receive(pipeline_id, ADA, BOB, DEAD, ADA)
    found = await erase(scene, api, pipelines=[pipeline_id], where={"who": SECRET}, dry_run=True)
    assert (found["state"], found["chosen_by"], found["notes"]) == ("found", ["rows"], [])
    # the dead letter is found too: 'who' is read from $.who
    assert found["pipelines"] == [
        {"pipeline_id": pipeline_id, "derived": False, "events": 3, "rows": 2, "segments": 1, "erased": False}
    ]
    assert await rows(api, pipeline_id) == ["b1", "b2", "b1"]


async def test_what_is_erased_is_gone_everywhere(scene: Any, api: Any) -> None:
    pipeline_id = await scene.boilers(mapping=MAPPING)
    await scene.receive(pipeline_id, ADA, BOB, DEAD)
    found = await erase(scene, api, pipelines=[pipeline_id], where=[{"field": "who", "value": SECRET}])
    assert (found["state"], found["error"]) == ("done", None)
    assert await rows(api, pipeline_id) == ["b2"]
    assert await dead(api, pipeline_id) == []
    assert [one["device"] for one in (await api.get(f"/api/v1/pipelines/{pipeline_id}/recent")).json()["items"]] == [
        "b2"
    ]
    ledger = (await api.get(f"/api/v1/pipelines/{pipeline_id}/ledger")).json()
    assert ledger == {"received": 3, "stored": 1, "filtered": 2, "duplicate": 0, "dead": 0, "pending": 0}
    event = await api.get(f"/api/v1/pipelines/{pipeline_id}/records/1")
    assert (event.status_code, "erased" in event.json()["detail"]) == (404, True)
    assert list(scene.it.bronze.verify(PipelineId(pipeline_id))) == []
    assert SECRET not in (await api.get("/api/v1/audit")).text
    assert {one["action"] for one in (await api.get("/api/v1/audit")).json()["items"]} >= {
        "erasure.request", "erasure.done",
    }  # fmt: skip
    [row] = await scene.it.plane.read(lambda tx: erasures.page(tx, scene.admin.organisation_id, None, 10))
    assert row.wanted is None


async def test_no_file_holds_what_was_erased(scene: Any, api: Any) -> None:
    pipeline_id = await scene.boilers(mapping=MAPPING)
    await scene.receive(pipeline_id, ADA, BOB, DEAD)
    assert holding(scene, SECRET) != []
    await erase(scene, api, pipelines=[pipeline_id], payload=[{"path": "$.who", "value": SECRET}])
    assert holding(scene, SECRET) == []


async def test_what_is_left_is_proved_by_verify(scene: Any, api: Any) -> None:
    pipeline_id = await scene.boilers(mapping=MAPPING)
    await scene.receive(pipeline_id, ADA, BOB, DEAD)
    await erase(scene, api, pipelines=[pipeline_id], seqs=[1, 3])
    stored = await scene.it.services.pipelines.stored()
    entries = await scene.it.plane.read(lambda tx: list(audit.verify(tx)))
    report = await asyncio.to_thread(
        examine.verify_all, stored, scene.it.bronze, scene.it.silvers.of, scene.it.mapper, entries
    )
    assert report.findings == []


async def test_what_came_from_it_downstream_is_erased_too(scene: Any, api: Any) -> None:
    upstream = await scene.boilers(mapping=MAPPING)
    readers = [upstream]
    for name in ("first", "second"):
        document = {"name": name, "source": {"type": "pipeline", "pipeline": readers[-1]}, "mapping": MAPPING}
        readers.append((await scene.it.services.pipelines.create(scene.admin, document)).pipeline.id)
    await scene.receive(upstream, ADA, BOB, ADA)
    for reader in readers[1:]:
        await scene.refined(reader, received=3)
    found = await erase(scene, api, pipelines=[upstream], seqs=[1, 3])
    assert [(one["derived"], one["events"], one["erased"]) for one in found["pipelines"]] == [
        (False, 2, True), (True, 2, True), (True, 2, True),
    ]  # fmt: skip
    for pipeline_id in readers:
        assert await rows(api, pipeline_id) == ["b2"], pipeline_id
        assert list(scene.it.bronze.verify(PipelineId(pipeline_id))) == []
    await api.post("/api/v1/storage/compact")
    assert holding(scene, SECRET) == []


async def test_corrected_and_dropped_events_are_found_as_they_came(scene: Any, api: Any) -> None:
    pipeline_id = await scene.boilers(mapping=MAPPING)
    await scene.receive(pipeline_id, DEAD, DEAD, BOB)
    path = f"/api/v1/pipelines/{pipeline_id}/dead-letters"
    fixed = {"choose": {"seqs": [1]}, "payload": {"device": "b9"}, "reason": "the device was missing"}
    (await api.post(f"{path}/fix", json=fixed)).raise_for_status()
    (await api.post(f"{path}/drop", json={"choose": {"seqs": [2]}, "reason": "a test"})).raise_for_status()
    found = await erase(scene, api, pipelines=[pipeline_id], payload=[{"path": "$.who", "value": [SECRET, "nobody"]}])
    assert found["pipelines"][0]["events"] == 2
    assert await rows(api, pipeline_id) == ["b2"]


async def test_what_where_cannot_say_of_events_is_noted(scene: Any, api: Any) -> None:
    mapping = {"fields": [{"name": "loud", "expr": "upper(who)", "type": "string"}]}
    pipeline_id = await scene.boilers(mapping=mapping)
    await scene.receive(pipeline_id, ADA, BOB)
    found = await erase(scene, api, pipelines=[pipeline_id], where={"loud": "BOB"}, dry_run=True)
    assert found["pipelines"][0]["events"] == 1
    [note] = found["notes"]
    assert "give 'payload' as well" in note


async def test_an_erasure_that_fails_says_so_and_goes_on(scene: Any, api: Any) -> None:
    """As after a crash between two steps: what was found is written down, and the rest is done again."""
    pipeline_id = await scene.boilers(mapping=MAPPING)
    await scene.receive(pipeline_id, ADA, BOB, DEAD)
    asked = {"pipelines": [pipeline_id], "where": {"who": SECRET}, "reason": "request 4711"}
    accepted = (await api.post("/api/v1/erasures", json=asked)).json()
    job, silver = scene.it.services.erasures.job, scene.it.silvers.of(scene.admin.organisation_id)
    broken = _Broken(silver)
    scene.it.silvers._stores[scene.admin.organisation_id] = broken
    with pytest.raises(TransientError):
        await job.run(Attempt({"id": accepted["id"]}))
    path = f"/api/v1/erasures/{accepted['id']}"
    halfway = (await api.get(path)).json()
    assert (halfway["state"], halfway["error"]) == ("erasing", "the store is busy")
    scene.it.silvers._stores[scene.admin.organisation_id] = silver
    await job.run(Attempt({"id": accepted["id"]}))
    await job.run(Attempt({"id": accepted["id"]}))
    assert (await api.get(path)).json()["state"] == "done"
    assert await rows(api, pipeline_id) == ["b2"]
    assert await dead(api, pipeline_id) == []


class _Broken:
    """A store whose upkeep refuses."""

    def __init__(self, silver: Any) -> None:
        self._silver, self.upkeep = silver, self

    def erase(self, table: Any, seqs: Any) -> None:
        raise TransientError("the store is busy")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._silver, name)


async def test_a_request_is_judged_whole(scene: Any, api: Any) -> None:
    pipeline_id = await scene.boilers()
    wrong = {"pipelines": [pipeline_id], "payload": [{"path": "who", "value": {}}], "reason": ""}
    answer = await api.post("/api/v1/erasures", json=wrong)
    assert [one["pointer"] for one in answer.json()["problems"]] == ["/reason"]
    answer = await api.post("/api/v1/erasures", json=wrong | {"reason": "a test", "seqs": [1]})
    assert [one["pointer"] for one in answer.json()["problems"]] == ["/payload/0/path", "/payload/0/value"]
    answer = await api.post("/api/v1/erasures", json={"pipelines": [pipeline_id], "reason": "a test"})
    assert "nothing says whose events" in answer.text
    answer = await api.post(
        "/api/v1/erasures", json={"pipelines": [pipeline_id], "reason": "a test", "where": {"colour": 1}}
    )
    assert answer.status_code == 422
    answer = await api.post("/api/v1/erasures", json={"pipelines": ["pl_none"], "reason": "a test", "seqs": [1]})
    assert answer.status_code == 404


async def test_the_job_of_an_erasure_is_enqueued_with_it(scene: Any, api: Any) -> None:
    from appliance.storage.control.jobs import Jobs

    pipeline_id = await scene.boilers()
    await scene.receive(pipeline_id, ADA)
    accepted = (
        await api.post("/api/v1/erasures", json={"pipelines": [pipeline_id], "seqs": [1], "reason": "x"})
    ).json()
    jobs = Jobs(scene.it.plane)
    claimed = await asyncio.to_thread(jobs.claim, Claimant("tester", (JOB,)), 60)
    assert claimed is not None
    assert claimed.payload == {"id": accepted["id"]}
    assert await asyncio.to_thread(jobs.enqueue, NewJob(kind=JOB, unique_key=f"{JOB}:{accepted['id']}:request")) is None
