"""Replays over the API, on real Bronze and DuckDB: rebuilt, swapped in, cancelled, undone, refused."""

import asyncio
import time
from typing import Any

import httpx
import pytest

from appliance.domain.ids import PipelineId
from tests.scenarios.conftest import BOILERS, Scene, until

FIELDS: list[dict[str, Any]] = [
    {"name": "device", "path": "$.device", "type": "string", "required": True},
    {"name": "temp_c", "path": "$.temp_c", "type": "float"},
]
FAHRENHEIT = {
    "fields": [
        {"name": "device", "path": "$.device", "type": "string", "required": True},
        {"name": "temp_f", "expr": "temp_c * 9 / 5 + 32", "type": "float"},
    ]
}


async def ended(api: httpx.AsyncClient, replay: dict[str, Any], *states: str) -> dict[str, Any]:
    """Return the replay once it is in one of ``states``."""
    deadline = time.monotonic() + 20
    while True:
        now = (await api.get(f"/api/v1/pipelines/{replay['pipeline_id']}/replays/{replay['id']}")).json()
        if now["state"] in states:
            return dict(now)
        assert now["state"] not in ("failed", "cancelled"), now
        assert time.monotonic() < deadline, now
        await asyncio.sleep(0.02)


async def begun(api: httpx.AsyncClient, pipeline_id: str, **wish: Any) -> dict[str, Any]:
    answer = await api.post(f"/api/v1/pipelines/{pipeline_id}/replays", json=wish)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def rows(api: httpx.AsyncClient, pipeline_id: str) -> list[dict[str, Any]]:
    answer = await api.get(f"/api/v1/pipelines/{pipeline_id}/records", params={"order": "asc", "limit": 1000})
    return list(answer.json()["items"])


async def ledger(api: httpx.AsyncClient, pipeline_id: str) -> dict[str, int]:
    return dict((await api.get(f"/api/v1/pipelines/{pipeline_id}/ledger")).json())


async def candidate(api: httpx.AsyncClient, pipeline_id: str, mapping: dict[str, Any], **more: Any) -> int:
    document = BOILERS | {"mapping": mapping} | more
    answer = await api.post(f"/api/v1/pipelines/{pipeline_id}/versions", json={"document": document})
    assert answer.status_code == 201, answer.text
    return int(answer.json()["version"])


@pytest.fixture
async def boilers(scene: Scene) -> str:
    """A pipeline with five events: three rows, one filtered by nothing, one dead letter."""
    pipeline_id = await scene.boilers(mapping={"time": {"path": "$.ts"}, "fields": FIELDS})
    lines = [b'{"device": "b%d", "temp_c": %d, "ts": "2026-11-0%dT00:00:00Z"}' % (n, n * 10, n) for n in (1, 2, 3)]
    await scene.receive(pipeline_id, *lines, b'{"temp_c": 1}', b'{"device": "b5", "temp_c": 50}')
    return pipeline_id


async def test_a_replay_by_the_same_version_gives_the_very_same_rows(api: httpx.AsyncClient, boilers: str) -> None:
    before = await rows(api, boilers)
    replay = await begun(api, boilers)
    assert (replay["version"], replay["state"], replay["swap"]) == (1, "waiting", True)
    done = await ended(api, replay, "swapped")
    assert done["identical"] is True
    assert done["undo_until"] > done["finished_at"]
    assert await rows(api, boilers) == before
    assert await ledger(api, boilers) == {
        "received": 5, "stored": 4, "filtered": 0, "duplicate": 0, "dead": 1, "pending": 0,
    }  # fmt: skip
    assert (await api.get(f"/api/v1/pipelines/{boilers}")).json()["version"] == 1


async def test_a_candidate_becomes_the_version_in_use_and_can_be_undone(
    api: httpx.AsyncClient, scene: Scene, boilers: str
) -> None:
    before = await rows(api, boilers)
    number = await candidate(api, boilers, FAHRENHEIT)
    done = await ended(api, await begun(api, boilers, version=number), "swapped")
    assert (done["identical"], done["former_version"]) == (None, 1)
    assert [row["temp_f"] for row in await rows(api, boilers)] == [50.0, 68.0, 86.0, 122.0]
    assert (await api.get(f"/api/v1/pipelines/{boilers}")).json()["version"] == number == 2
    await scene.receive(boilers, b'{"device": "b6", "temp_c": 100}')
    assert [row["temp_f"] for row in await rows(api, boilers)] == [50.0, 68.0, 86.0, 122.0, 212.0]

    undone = await api.post(f"/api/v1/pipelines/{boilers}/replays/{done['id']}/undo")
    assert (undone.status_code, undone.json()["state"]) == (200, "undone")
    assert (await api.get(f"/api/v1/pipelines/{boilers}")).json()["version"] == 1
    await scene.receive(boilers, b'{"device": "b7", "temp_c": 70}')
    after = await rows(api, boilers)
    assert after[:4] == before
    assert [row["temp_c"] for row in after[4:]] == [100.0, 70.0]  # what came meanwhile is refined by it too
    assert await ledger(api, boilers) == {
        "received": 7, "stored": 6, "filtered": 0, "duplicate": 0, "dead": 1, "pending": 0,
    }  # fmt: skip
    again = await api.post(f"/api/v1/pipelines/{boilers}/replays/{done['id']}/undo")
    assert (again.status_code, again.json()["code"]) == (409, "E_CONFLICT")


async def test_a_dry_run_says_what_would_happen_and_changes_nothing(api: httpx.AsyncClient, boilers: str) -> None:
    number = await candidate(api, boilers, FAHRENHEIT)
    answer = await api.post(f"/api/v1/pipelines/{boilers}/replays", json={"version": number, "dry_run": True})
    plan = answer.json()
    assert answer.status_code == 200
    assert plan.pop("secs") >= 0
    assert plan == {
        "version": 2, "running_version": 1, "first_seq": 1, "last_seq": 5, "events": 5, "whole": True, "expired": 0,
        "columns": [
            {"name": "temp_c", "before": "float", "after": None}, {"name": "temp_f", "before": None, "after": "float"},
        ],
    }  # fmt: skip
    assert (await api.get(f"/api/v1/pipelines/{boilers}/replays")).json()["items"] == []


async def test_ready_follows_the_log_until_it_is_told_to_swap(
    api: httpx.AsyncClient, scene: Scene, boilers: str
) -> None:
    number = await candidate(api, boilers, FAHRENHEIT)
    replay = await ended(api, await begun(api, boilers, version=number, swap=False), "ready")
    assert "temp_c" in (await rows(api, boilers))[0]
    too_early = await api.post(f"/api/v1/pipelines/{boilers}/replays/{replay['id']}/undo")
    assert (too_early.status_code, "nothing to undo yet" in too_early.text) == (409, True)
    await scene.receive(boilers, b'{"device": "b6", "temp_c": 100}')
    told = await api.post(f"/api/v1/pipelines/{boilers}/replays/{replay['id']}/swap")
    assert told.status_code == 200
    await ended(api, replay, "swapped")
    assert [row["temp_f"] for row in await rows(api, boilers)] == [50.0, 68.0, 86.0, 122.0, 212.0]


async def test_cancelled_it_leaves_no_trace(api: httpx.AsyncClient, scene: Scene, boilers: str) -> None:
    before = await rows(api, boilers)
    replay = await ended(api, await begun(api, boilers, swap=False), "ready")
    second = await api.post(f"/api/v1/pipelines/{boilers}/replays", json={})
    assert (second.status_code, second.json()["code"]) == (409, "E_CONFLICT")
    cancelled = await api.post(f"/api/v1/pipelines/{boilers}/replays/{replay['id']}/cancel")
    assert cancelled.json()["state"] == "cancelled"
    assert await rows(api, boilers) == before
    silver = scene.it.engine.silver(scene.admin.organisation_id)
    assert [one.live for one in silver.generations.all(boilers)] == [True]  # type: ignore[arg-type]
    again = await api.post(f"/api/v1/pipelines/{boilers}/replays/{replay['id']}/cancel")
    assert again.status_code == 409


async def test_a_range_is_exchanged_by_itself_and_undone(api: httpx.AsyncClient, boilers: str) -> None:
    before = await rows(api, boilers)
    warmer = {"time": {"path": "$.ts"}, "fields": [FIELDS[0], {"name": "temp_c", "path": "$.none", "type": "float"}]}
    number = await candidate(api, boilers, warmer)
    replay = await begun(api, boilers, version=number, first_seq=2, last_seq=4)
    done = await ended(api, replay, "swapped")
    assert (done["first_seq"], done["last_seq"], done["progress"]) == (2, 4, None)
    assert [row["temp_c"] for row in await rows(api, boilers)] == [10.0, None, None, 50.0]
    assert (await api.get(f"/api/v1/pipelines/{boilers}")).json()["version"] == 1  # only what is past has changed
    undone = await api.post(f"/api/v1/pipelines/{boilers}/replays/{done['id']}/undo")
    assert undone.json()["state"] == "undone"
    assert await rows(api, boilers) == before
    assert await ledger(api, boilers) == {
        "received": 5, "stored": 4, "filtered": 0, "duplicate": 0, "dead": 1, "pending": 0,
    }  # fmt: skip


async def test_a_range_that_is_the_same_already_is_exchanged_once(api: httpx.AsyncClient, boilers: str) -> None:
    await ended(api, await begun(api, boilers), "swapped")
    before, counted = await rows(api, boilers), await ledger(api, boilers)
    for _ in range(2):  # the second finds rows and ledger cut at the very same places
        done = await ended(api, await begun(api, boilers, first_seq=2, last_seq=4), "swapped")
        assert (await rows(api, boilers), await ledger(api, boilers)) == (before, counted)
    undone = await api.post(f"/api/v1/pipelines/{boilers}/replays/{done['id']}/undo")
    assert (undone.status_code, undone.json()["state"]) == (200, "undone")
    assert (await rows(api, boilers), await ledger(api, boilers)) == (before, counted)


@pytest.mark.parametrize(
    ("wish", "status", "told"),
    [
        ({"version": 9}, 404, "has no version 9"),
        ({"from": "yesterday"}, 422, "expected a time"),
        ({"from": "now+1d"}, 422, "Bronze holds no events there"),
        ({"first_seq": 6}, 422, "it has 1 to 5"),
        ({"sawp": True}, 422, "sawp"),
    ],
)
async def test_what_cannot_be_replayed_is_refused(
    api: httpx.AsyncClient, boilers: str, wish: dict[str, Any], status: int, told: str
) -> None:
    answer = await api.post(f"/api/v1/pipelines/{boilers}/replays", json=wish)
    assert answer.status_code == status
    assert told in answer.text


async def test_a_range_of_nothing_says_that_there_is_nothing(api: httpx.AsyncClient, scene: Scene) -> None:
    answer = await api.post(f"/api/v1/pipelines/{await scene.boilers()}/replays", json={"from": "now-1d"})
    assert (answer.status_code, answer.json()["detail"]) == (422, "/from: Bronze holds no events there: it has none")


async def test_a_range_of_a_keyed_pipeline_is_refused_with_the_remedy(api: httpx.AsyncClient, scene: Scene) -> None:
    keyed = await scene.boilers(mapping={"fields": FIELDS, "key": ["device"]})
    await scene.receive(keyed, b'{"device": "b1", "temp_c": 1}', b'{"device": "b1", "temp_c": 2}')
    answer = await api.post(f"/api/v1/pipelines/{keyed}/replays", json={"first_seq": 1, "last_seq": 1})
    assert answer.status_code == 409
    assert "replay the whole pipeline" in answer.json()["detail"]
    done = await ended(api, await begun(api, keyed), "swapped")
    assert done["identical"] is True
    assert [row["temp_c"] for row in await rows(api, keyed)] == [2.0]
    assert await ledger(api, keyed) == {
        "received": 2, "stored": 1, "filtered": 0, "duplicate": 1, "dead": 0, "pending": 0,
    }  # fmt: skip


async def test_a_column_may_change_its_type(api: httpx.AsyncClient, scene: Scene, boilers: str) -> None:
    whole = {"time": {"path": "$.ts"}, "fields": [FIELDS[0], {"name": "temp_c", "path": "$.temp_c", "type": "integer"}]}
    refused = await api.put(f"/api/v1/pipelines/{boilers}", json=BOILERS | {"mapping": whole})
    assert refused.status_code == 409
    number = await candidate(api, boilers, whole)
    narrow = await api.post(
        f"/api/v1/pipelines/{boilers}/replays", json={"version": number, "first_seq": 1, "last_seq": 2}
    )
    assert narrow.status_code == 409
    await ended(api, await begun(api, boilers, version=number), "swapped")
    assert [row["temp_c"] for row in await rows(api, boilers)] == [10, 20, 30, 50]


async def test_a_pipeline_changed_meanwhile_is_not_put_back_unasked(
    api: httpx.AsyncClient, scene: Scene, boilers: str
) -> None:
    number = await candidate(api, boilers, FAHRENHEIT)
    replay = await ended(api, await begun(api, boilers, version=number, swap=False), "ready")
    await api.post(f"/api/v1/pipelines/{boilers}/replays/{replay['id']}/cancel")
    async with scene.it.services.replays.running.slot(scene.admin.organisation_id):  # as if another rebuilt
        waiting = await begun(api, boilers, version=number)
        third = BOILERS | {"mapping": {"time": {"path": "$.ts"}, "fields": FIELDS}, "description": "another"}
        assert (await api.put(f"/api/v1/pipelines/{boilers}", json=third)).json()["version"] == 3
        assert (await api.get(f"/api/v1/pipelines/{boilers}/replays/{waiting['id']}")).json()["state"] == "waiting"
    ready = await ended(api, waiting, "ready")
    assert ready["error"].startswith("the pipeline was changed to version 3 while version 2 was replayed")
    await api.post(f"/api/v1/pipelines/{boilers}/replays/{waiting['id']}/swap")
    done = await ended(api, waiting, "swapped")
    assert (done["former_version"], done["error"]) == (3, None)
    assert (await api.get(f"/api/v1/pipelines/{boilers}")).json()["version"] == 2


async def test_a_frozen_version_that_history_drifts_from_fails_and_says_where(
    api: httpx.AsyncClient, scene: Scene, boilers: str
) -> None:
    before = await rows(api, boilers)
    frozen = {"fields": [FIELDS[0]], "contract": "freeze"}
    number = await candidate(api, boilers, frozen)
    replay = await begun(api, boilers, version=number)
    deadline = time.monotonic() + 20
    while (now := (await api.get(f"/api/v1/pipelines/{boilers}/replays/{replay['id']}")).json())["state"] != "failed":
        assert time.monotonic() < deadline, now
        await asyncio.sleep(0.02)
    assert "event 1" in now["error"]
    assert "change the mapping or its contract, or erase the event" in now["error"]
    assert await rows(api, boilers) == before
    await ended(api, await begun(api, boilers), "swapped")  # a failure is not in the way of the next


async def test_deleting_does_not_wait_for_a_replay_that_waits_to_swap(
    api: httpx.AsyncClient, scene: Scene, boilers: str
) -> None:
    async with scene.it.services.replays.book.turn():  # as whoever deletes the pipeline holds it
        replay = await begun(api, boilers)
        await until(lambda: scene.it.services.replays.running.exchanging(replay["id"]))
        await asyncio.wait_for(scene.it.engine.delete_pipeline(PipelineId(boilers)), 20)
    assert (await api.get(f"/api/v1/pipelines/{boilers}/replays/{replay['id']}")).json()["progress"] is None


async def test_replays_are_listed_and_noted(api: httpx.AsyncClient, scene: Scene, boilers: str) -> None:
    first = await ended(api, await begun(api, boilers), "swapped")
    second = await ended(api, await begun(api, boilers), "swapped")
    listed = (await api.get(f"/api/v1/pipelines/{boilers}/replays", params={"limit": 1})).json()
    assert [one["id"] for one in listed["items"]] == [second["id"]]
    rest = (await api.get("/api/v1/replays", params={"cursor": listed["next_cursor"]})).json()
    assert [one["id"] for one in rest["items"]] == [first["id"]]
    assert rest["items"][0]["undo_until"] is None  # a later one has taken its place
    deeds = [one["action"] for one in (await api.get("/api/v1/audit")).json()["items"]]
    assert deeds[:4] == ["replay.swapped", "replay.begin", "replay.swapped", "replay.begin"]


async def test_a_deleted_pipeline_takes_its_replays_with_it(api: httpx.AsyncClient, boilers: str) -> None:
    await ended(api, await begun(api, boilers, swap=False), "ready")
    assert (await api.delete(f"/api/v1/pipelines/{boilers}")).status_code == 204
    assert (await api.get("/api/v1/replays")).json()["items"] == []


async def test_damaged_events_are_not_exchanged_for_their_rows_unasked(
    api: httpx.AsyncClient, scene: Scene, boilers: str
) -> None:
    before = await rows(api, boilers)
    [segment] = (scene.it.settings.server.data_dir / "bronze" / boilers).glob("*.jsonl")
    whole = segment.read_bytes()
    segment.write_bytes(whole.replace(b'"device": "b2"', b'"device": "xx"'))  # its checksum is wrong now
    replay = await ended(api, await begun(api, boilers), "ready")
    assert "Bronze cannot be read at events 2 to 2" in replay["error"]
    assert await rows(api, boilers) == before
    told = await api.post(f"/api/v1/pipelines/{boilers}/replays/{replay['id']}/swap")
    assert told.status_code == 200
    await ended(api, replay, "swapped")
    assert [row["_seq"] for row in await rows(api, boilers)] == [1, 3, 5]
    assert (await ledger(api, boilers))["dead"] == 2
