"""Pipelines that read pipelines, through the API: chains, fan-out, fan-in, what is refused, what is told."""

import asyncio
import time
from typing import Any

import pytest

from tests.scenarios.conftest import until

BOILERS = {
    "name": "boilers",
    "source": {"type": "webhook", "signature": "none"},
    "mapping": {
        "time": {"path": "$.ts"},
        "fields": [
            {"name": "device", "path": "$.device", "type": "string", "required": True},
            {"name": "temp_c", "path": "$.temp_c", "type": "float"},
        ],
    },
}


def reader(name: str, *read: str, **source: Any) -> dict[str, Any]:
    return {
        "name": name,
        "source": {"type": "pipeline", "pipelines": list(read), **source},
        "mapping": {
            "time": {"path": "$._time"},
            "fields": [
                {"name": "device", "path": "$.device", "type": "string"},
                {"name": "temp_c", "path": "$.temp_c", "type": "float"},
                {"name": "origin", "path": "$._pipeline", "type": "string"},
            ],
            "unmapped": "drop",
        },
    }


async def create(api: Any, document: dict[str, Any]) -> str:
    answer = await api.post("/api/v1/pipelines", json=document)
    assert answer.status_code == 201, answer.text
    pipeline_id: str = answer.json()["id"]
    return pipeline_id


async def rows(api: Any, pipeline_id: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = (await api.get(f"/api/v1/pipelines/{pipeline_id}/records?order=asc")).json()["items"]
    return items


async def arrived(api: Any, pipeline_id: str, count: int) -> list[dict[str, Any]]:
    deadline = time.monotonic() + 10
    while len(found := await rows(api, pipeline_id)) < count:
        assert time.monotonic() < deadline, found
        await asyncio.sleep(0.01)
    return found


async def test_a_row_goes_through_a_chain_at_once(scene: Any, api: Any) -> None:
    first = await create(api, BOILERS)
    second = await create(api, reader("second", "boilers"))
    third = await create(api, reader("third", second))
    await arrived_quietly(scene, third)
    began = time.monotonic()
    await scene.receive(first, b'{"ts": "2026-01-31T08:00:00Z", "device": "b1", "temp_c": 20.5}')
    [row] = await arrived(api, third, 1)
    assert time.monotonic() - began < 2  # far below the interval of 10 s: it was poked
    assert row == {
        "_time": "2026-01-31T08:00:00Z", "_seq": 1, "device": "b1", "temp_c": 20.5, "origin": second,
    }  # fmt: skip
    for pipeline_id in (first, second, third):
        assert (await api.get(f"/api/v1/pipelines/{pipeline_id}/ledger")).json() == {
            "received": 1, "stored": 1, "filtered": 0, "duplicate": 0, "dead": 0, "pending": 0,
        }  # fmt: skip


async def arrived_quietly(scene: Any, pipeline_id: str) -> None:
    """Wait until the pipeline has polled once and found nothing wrong."""
    await until(lambda: scene.it.engine.stats(pipeline_id).last_error is None)


async def test_one_is_read_by_many_and_one_reads_many(scene: Any, api: Any) -> None:
    a, b = await create(api, BOILERS), await create(api, BOILERS | {"name": "pumps"})
    await scene.receive(a, b'{"device": "a1", "temp_c": 1}', b'{"device": "a2", "temp_c": 2}')
    await scene.receive(b, b'{"device": "b1", "temp_c": 3}')
    both = await create(api, reader("both", "boilers", b))
    warm = await create(api, reader("warm", a, where=[{"field": "temp_c", "op": ">", "value": 1}]))
    late = await create(api, reader("late", "pumps", start="now"))
    assert {(row["origin"], row["device"]) for row in await arrived(api, both, 3)} == {
        (a, "a1"), (a, "a2"), (b, "b1"),
    }  # fmt: skip
    assert [row["device"] for row in await arrived(api, warm, 1)] == ["a2"]
    await until(lambda: scene.it.bronze.checkpoint(late) is not None)
    await scene.receive(b, b'{"device": "b2"}')
    assert [row["device"] for row in await arrived(api, late, 1)] == ["b2"]


async def test_circles_are_refused_with_their_path(api: Any) -> None:
    first = await create(api, BOILERS)
    second = await create(api, reader("second", "boilers"))
    await create(api, reader("third", second))
    answer = await api.put(f"/api/v1/pipelines/{first}", json=reader("boilers", "third"))
    assert answer.status_code == 422
    [problem] = answer.json()["problems"]
    assert problem["pointer"] == "/source/pipelines/0"
    assert problem["message"] == "pipelines would read each other in a circle: boilers → third → second → boilers"
    answer = await api.post("/api/v1/pipelines", json=reader("fourth", "fourth"))
    assert answer.json()["problems"][0]["message"].endswith("circle: fourth → fourth")


async def test_what_is_read_is_neither_deleted_nor_renamed(api: Any) -> None:
    first = await create(api, BOILERS)
    second = await create(api, reader("second", "boilers"))
    answer = await api.delete(f"/api/v1/pipelines/{first}")
    assert (answer.status_code, answer.json()["code"]) == (409, "E_CONFLICT")
    assert "is read by 'second'" in answer.json()["detail"]
    answer = await api.put(f"/api/v1/pipelines/{first}", json=BOILERS | {"name": "kettles"})
    assert answer.status_code == 409
    assert (await api.delete(f"/api/v1/pipelines/{second}")).status_code == 204
    assert (await api.delete(f"/api/v1/pipelines/{first}")).status_code == 204


async def test_pipelines_of_others_do_not_exist(scene: Any, api: Any) -> None:
    first = await create(api, BOILERS)
    async with scene.client(scene.tokens["other"]) as other:
        for named in (first, "boilers"):
            answer = await other.post("/api/v1/pipelines", json=reader("spy", named))
            assert answer.status_code == 422
            assert answer.json()["problems"][0]["message"] == f"there is no pipeline {named!r} to read"


async def test_an_upstream_that_rests_is_told_and_comes_back(scene: Any, api: Any) -> None:
    first = await create(api, BOILERS)
    second = await create(api, reader("second", "boilers"))
    await arrived_quietly(scene, second)
    await api.post(f"/api/v1/pipelines/{first}/pause")
    await until(lambda: "'boilers' is paused" in str(scene.it.engine.stats(second).last_error))
    await api.post(f"/api/v1/pipelines/{first}/resume")
    await until(lambda: scene.it.engine.stats(second).last_error is None)
    await scene.receive(first, b'{"device": "b1"}')
    await arrived(api, second, 1)


async def test_a_new_version_of_the_reader_goes_on_where_it_was(scene: Any, api: Any) -> None:
    first = await create(api, BOILERS)
    second = await create(api, reader("second", "boilers"))
    await scene.receive(first, b'{"device": "b1"}', b'{"device": "b2"}')
    await arrived(api, second, 2)
    for turn in range(3):
        await api.put(f"/api/v1/pipelines/{second}", json=reader("second", "boilers", interval=f"{turn + 1}m"))
        await scene.receive(first, b'{"device": "more"}')
    found = await arrived(api, second, 5)
    assert [row["_seq"] for row in found] == [1, 2, 3, 4, 5]


async def test_a_dead_letter_that_is_fixed_goes_down_once(scene: Any, api: Any) -> None:
    first = await create(api, BOILERS)
    second = await create(api, reader("second", "boilers"))
    await scene.receive(first, b'{"temp_c": 1}', b'{"device": "b2", "temp_c": 2}')
    await arrived(api, second, 1)
    fix = {"choose": {"seqs": [1]}, "payload": {"device": "b1", "temp_c": 1}, "reason": "no name"}
    answer = await api.post(f"/api/v1/pipelines/{first}/dead-letters/fix", json=fix)
    assert answer.status_code == 200, answer.text
    found = await arrived(api, second, 2)
    assert [row["device"] for row in found] == ["b1", "b2"]  # by their own time, which is that of receipt
    hop = (await api.get(f"/api/v1/pipelines/{second}/records/2/lineage")).json()["upstream"][0]
    assert (hop["seq"], hop["event"]["payload"], hop["correction"]["reason"]) == (1, {"temp_c": 1}, "no name")
    await scene.receive(first, b'{"device": "b3"}')
    assert len(await arrived(api, second, 3)) == 3


async def test_a_replay_does_not_send_old_rows_again(scene: Any, api: Any) -> None:
    first = await create(api, BOILERS)
    second = await create(api, reader("second", "boilers"))
    await scene.receive(first, b'{"device": "b1", "temp_c": 1}', b'{"device": "b2", "temp_c": 2}')
    await arrived(api, second, 2)
    replay = (await api.post(f"/api/v1/pipelines/{first}/replays", json={})).json()
    deadline = time.monotonic() + 20
    while (await api.get(f"/api/v1/pipelines/{first}/replays/{replay['id']}")).json()["state"] != "swapped":
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)
    await scene.receive(first, b'{"device": "b3", "temp_c": 3}')
    assert [row["device"] for row in await arrived(api, second, 3)] == ["b1", "b2", "b3"]
    assert scene.it.engine.stats(second).ledger.received == 3


@pytest.mark.parametrize("document", [{"type": "pipeline"}, {"type": "pipeline", "pipeline": "a", "pipelines": ["b"]}])
async def test_wrong_documents_are_told(api: Any, document: dict[str, Any]) -> None:
    answer = await api.post("/api/v1/pipelines", json=reader("second") | {"source": document})
    assert (answer.status_code, answer.json()["problems"][0]["pointer"]) == (422, "/source")


@pytest.mark.parametrize(("resend", "expected"), [(False, [1.0, 2.0]), (True, [1.0, 2.0, 1.0, 2.0])])
async def test_a_replay_hands_old_rows_on_only_when_asked(
    scene: Any, api: Any, resend: bool, expected: list[float]
) -> None:
    first = await create(api, BOILERS)
    second = await create(api, reader("second", first))
    await scene.receive(first, b'{"device": "b1", "temp_c": 1}', b'{"device": "b2", "temp_c": 2}')
    await arrived(api, second, 2)
    begun = await api.post(f"/api/v1/pipelines/{first}/replays", json={"resend": resend})
    assert begun.status_code in (201, 202), begun.text
    path = f"/api/v1/pipelines/{first}/replays/{begun.json()['id']}"
    deadline = time.monotonic() + 20
    while (await api.get(path)).json()["state"] != "swapped":
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)
    await scene.receive(first, b'{"device": "b3", "temp_c": 3}')
    found = await arrived(api, second, len(expected) + 1)
    assert sorted(row["temp_c"] for row in found) == sorted([*expected, 3.0])
    assert (await api.get(f"/api/v1/pipelines/{second}/ledger")).json()["received"] == len(expected) + 1
