"""Dead letters as objects: grouped by cause, retried, fixed, dropped; never twice in the rows, always in the ledger."""

from typing import Any

import msgspec
import pytest

from appliance.components.source import InboundRequest
from appliance.domain.clock import utc_now
from appliance.domain.ids import PipelineId
from tests.scenarios.conftest import until

BOILER = {"name": "device", "path": "$.device", "type": "string", "required": True}
TEMPERATURE = {"name": "temp_c", "path": "$.temp_c", "type": "float", "max": 200}
EVENTS = [
    b'{"device": "b1", "temp_c": 20.5}',
    b'{"temp_c": 21}',  # no device
    b'{"device": "b1", "temp_c": 999}',  # too hot
    b'{"device": "b2", "temp_c": "warm"}',  # no number
    b'{"device": "b2", "temp_c": 500}',  # too hot
]


class Boilers:
    """The pipeline with five events, four of them dead letters."""

    def __init__(self, scene: Any, api: Any, pipeline_id: str) -> None:
        self.scene, self.id, self._api = scene, pipeline_id, api
        self._path = f"/api/v1/pipelines/{pipeline_id}"

    async def get(self, path: str, **parameters: Any) -> Any:
        return (await self._api.get(f"{self._path}{path}", params=parameters)).json()

    async def post(self, verb: str, document: Any, status: int = 200) -> Any:
        answer = await self._api.post(f"{self._path}/dead-letters/{verb}", json=document)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def rows(self) -> list[tuple[int, str, float]]:
        found = await self.get("/records", order="asc")
        return [(row["_seq"], row["device"], row["temp_c"]) for row in found["items"]]

    async def map(self, *fields: dict[str, Any]) -> None:
        """Run a new version of the mapping."""
        view = msgspec.to_builtins(await self.scene.it.services.pipelines.get(self.scene.admin, PipelineId(self.id)))
        document = {"name": "boiler-room", "source": view["source"], "mapping": {"fields": list(fields)}}
        await self.scene.it.services.pipelines.replace(self.scene.admin, PipelineId(self.id), document)

    async def audit(self) -> list[str]:
        found = (await self._api.get("/api/v1/audit")).json()["items"]
        return [one["action"] for one in found if one["action"].startswith("dead_letters")]


@pytest.fixture
async def boilers(scene: Any, api: Any) -> Boilers:
    pipeline_id = await scene.boilers(mapping={"fields": [BOILER, TEMPERATURE]})
    await scene.receive(pipeline_id, *EVENTS)
    return Boilers(scene, api, pipeline_id)


async def test_causes_come_with_their_events(boilers: Boilers) -> None:
    causes = (await boilers.get("/dead-letters/causes"))["items"]
    told = [(one["reason"], one["field"], one["events"], one["first_seq"], one["last_seq"]) for one in causes]
    assert told[0] == ("max", "temp_c", 2, 3, 5)
    assert sorted(told[1:]) == [("required", "device", 1, 2, 2), ("type", "temp_c", 1, 4, 4)]
    assert [one["reason"] for one in (await boilers.get("/dead-letters/causes", reason="type"))["items"]] == ["type"]


async def test_a_dry_run_changes_nothing(boilers: Boilers) -> None:
    before = await boilers.get("/ledger")
    work = await boilers.post("retry", {"dry_run": True})
    assert (work["events"], work["stored"], work["dead"]) == (4, 0, 4)
    fixed = await boilers.post("fix", {"patch": {"temp_c": 30}, "reason": "sensor", "dry_run": True})
    assert (fixed["events"], fixed["stored"], fixed["dead"]) == (4, 3, 1)
    assert await boilers.get("/ledger") == before
    assert await boilers.audit() == []


async def test_a_better_mapping_and_a_retry(boilers: Boilers) -> None:
    await boilers.map(BOILER, TEMPERATURE | {"max": 600})
    work = await boilers.post("retry", {"choose": {"reason": "max"}})
    assert (work["events"], work["stored"], work["dead"], work["next_seq"]) == (2, 1, 1, None)
    assert await boilers.rows() == [(1, "b1", 20.5), (5, "b2", 500.0)]
    assert work["ledger"] == {"received": 5, "stored": 2, "filtered": 0, "duplicate": 0, "dead": 3, "pending": 0}
    again = await boilers.post("retry", {"choose": {"reason": "max"}})
    assert (again["events"], again["stored"]) == (1, 0)
    assert await boilers.rows() == [(1, "b1", 20.5), (5, "b2", 500.0)]  # none of them twice
    assert await boilers.audit() == ["dead_letters.retry", "dead_letters.retry"]


async def test_one_event_is_fixed_by_its_whole_payload(boilers: Boilers) -> None:
    payload = {"device": "b9", "temp_c": 21}
    work = await boilers.post("fix", {"choose": {"seqs": [2]}, "payload": payload, "reason": "old firmware"})
    assert (work["events"], work["stored"]) == (1, 1)
    assert await boilers.rows() == [(1, "b1", 20.5), (2, "b9", 21.0)]
    event = await boilers.get("/records/2")
    assert event["payload"] == {"temp_c": 21}  # Bronze keeps it as it came


async def test_several_are_fixed_by_a_patch(boilers: Boilers) -> None:
    work = await boilers.post("fix", {"choose": {"field": "temp_c"}, "patch": {"temp_c": None}, "reason": "broken"})
    assert (work["events"], work["stored"], work["dead"]) == (3, 3, 0)
    assert [seq for seq, _, _ in await boilers.rows()] == [1, 3, 4, 5]
    assert (await boilers.get("/ledger"))["dead"] == 1


async def test_a_patch_goes_on_from_the_one_before(boilers: Boilers) -> None:
    work = await boilers.post("fix", {"choose": {"seqs": [2]}, "patch": {"temp_c": 999}, "reason": "a slip"})
    assert (work["stored"], work["dead"]) == (0, 1)
    await boilers.post("fix", {"choose": {"seqs": [2]}, "patch": {"device": "b3"}, "reason": "old firmware"})
    work = await boilers.post("fix", {"choose": {"seqs": [2]}, "patch": {"temp_c": 22}, "reason": "the slip"})
    assert (work["stored"], work["dead"]) == (1, 0)
    assert (await boilers.rows())[1] == (2, "b3", 22.0)


async def test_what_cannot_be_read_does_not_keep_others_from_being_patched(boilers: Boilers) -> None:
    folder = boilers.scene.it.settings.server.data_dir / "bronze" / boilers.id
    (segment,) = folder.glob("*.jsonl")
    content = segment.read_bytes()
    at = content.index(b'"temp_c": 999')
    segment.write_bytes(content[:at] + b'"temp_c": 998' + content[at + 13 :])
    work = await boilers.post("fix", {"patch": {"device": "b1", "temp_c": 30}, "reason": "sensor"})
    assert (work["events"], work["stored"], work["dead"]) == (4, 3, 1)
    assert [one["reason"] for one in work["dead_letters"]] == ["damaged"]
    ledger = await boilers.get("/ledger")
    assert ledger == {"received": 5, "stored": 4, "filtered": 0, "duplicate": 0, "dead": 1, "pending": 0}


async def test_dropped_events_are_filtered(boilers: Boilers) -> None:
    work = await boilers.post("drop", {"choose": {"reason": "type"}, "reason": "test message"})
    assert (work["events"], work["filtered"]) == (1, 1)
    ledger = {"received": 5, "stored": 1, "filtered": 1, "duplicate": 0, "dead": 3, "pending": 0}
    assert work["ledger"] == await boilers.get("/ledger") == ledger
    assert [one["seq"] for one in (await boilers.get("/dead-letters"))["items"]] == [5, 3, 2]
    assert (await boilers.get("/records/4"))["payload"] == {"device": "b2", "temp_c": "warm"}


async def test_many_are_worked_through_step_by_step(boilers: Boilers) -> None:
    done, after = [], 0
    while after is not None:
        work = await boilers.post("drop", {"reason": "all of them", "limit": 1, "after_seq": after})
        done.append(work["events"])
        after = work["next_seq"]
    assert done == [1, 1, 1, 1]
    assert (await boilers.get("/ledger"))["filtered"] == 4


WRONG: list[tuple[str, dict[str, Any], list[str]]] = [
    ("fix", {"reason": "x"}, ["/payload"]),
    ("fix", {"reason": "x", "payload": {}}, ["/choose/seqs"]),
    ("fix", {"patch": {}, "dry_run": 1}, ["/dry_run", "/reason"]),
    ("drop", {}, ["/reason"]),
    ("retry", {"choose": {"from": "yesterday", "sequs": [1]}, "limit": 0}, ["/choose/sequs", "/limit"]),
    ("retry", {"choose": {"from": "yesterday"}}, ["/choose/from"]),
]


async def test_what_is_wrong_is_told_whole(boilers: Boilers) -> None:
    for verb, document, pointers in WRONG:
        told = await boilers.post(verb, document, status=422)
        assert (sorted(one["pointer"] for one in told["problems"]), verb) == (pointers, verb)


async def test_the_ledger_by_day_and_version(boilers: Boilers) -> None:
    await boilers.map(BOILER, TEMPERATURE | {"max": 600})
    await boilers.scene.receive(boilers.id, b'{"device": "b3", "temp_c": 550}')
    lines = (await boilers.get("/ledger/lines"))["items"]
    told = [(one["version"], one["received"], one["stored"], one["dead"], one["pending"]) for one in lines]
    assert told == [(2, 1, 1, 0, 0), (1, 5, 1, 4, 0)]
    by_day = (await boilers.get("/ledger/lines", by="day"))["items"]
    assert [(one["received"], one["stored"], one["dead"]) for one in by_day] == [(6, 2, 4)]
    assert "version" not in by_day[0]


async def test_the_event_that_stops_a_frozen_pipeline_is_dropped(boilers: Boilers) -> None:
    view = msgspec.to_builtins(await boilers.scene.it.services.pipelines.get(boilers.scene.admin, boilers.id))
    mapping = {"fields": [BOILER | {"required": False}, TEMPERATURE], "contract": "freeze"}
    document = {"name": "boiler-room", "source": view["source"], "mapping": mapping}
    await boilers.scene.it.services.pipelines.replace(boilers.scene.admin, boilers.id, document)
    for payload in (b'{"device": "b3", "new": 1}', b'{"device": "b4"}'):
        request = InboundRequest({"content-type": "application/json"}, payload, None, utc_now())
        await boilers.scene.it.engine.receiver.post(PipelineId(boilers.id), request)
    engine = boilers.scene.it.engine
    await until(lambda: engine.run_of(PipelineId(boilers.id)).refiner.fatal)
    work = await boilers.post("drop", {"choose": {"seqs": [6]}, "reason": "an experiment"})
    assert (work["events"], work["filtered"], work["ledger"]["pending"]) == (1, 1, 2)
    await boilers.scene.it.services.pipelines.resume(boilers.scene.admin, PipelineId(boilers.id))
    await until(lambda: engine.stats(PipelineId(boilers.id)).ledger.pending == 0)
    assert [seq for seq, _, _ in await boilers.rows()] == [1, 7]


async def test_events_that_are_no_dead_letters_are_told(boilers: Boilers) -> None:
    told = await boilers.post("retry", {"choose": {"seqs": [1]}}, status=422)
    assert told["problems"][0]["pointer"] == "/choose/seqs"


async def test_the_audit_trail_keeps_no_values(boilers: Boilers) -> None:
    letter = next(one for one in (await boilers.get("/dead-letters"))["items"] if one["reason"] == "type")
    await boilers.post("drop", {"choose": {"message": letter["message"]}, "reason": "a test"})
    entries = (await boilers._api.get("/api/v1/audit")).json()["items"]
    [entry] = [one for one in entries if one["action"] == "dead_letters.drop"]
    assert entry["detail"] == {"events": 1, "choose": {}, "reason": "a test"}
