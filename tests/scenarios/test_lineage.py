"""From a row back to the bytes, through every pipeline; and from a point of a chart to its rows."""

import asyncio
import time
from typing import Any

import pytest

from appliance.components.bronze import Correction
from appliance.domain.clock import utc_now
from tests.scenarios.conftest import until

FIELDS = [
    {"name": "device", "path": "$.device", "type": "string", "required": True},
    {"name": "temp_c", "path": "$.temp_c", "type": "float", "max": 200},
]
BOILERS = {
    "name": "boilers",
    "source": {"type": "webhook", "signature": "none"},
    "mapping": {"time": {"path": "$.ts"}, "fields": FIELDS, "where": "temp_c <> -1", "key": ["device", "ts"]},
}


def reader(name: str, read: str, **more: Any) -> dict[str, Any]:
    mapping = {"time": {"path": "$._time"}, "fields": FIELDS, "unmapped": "drop"}
    return {"name": name, "source": {"type": "pipeline", "pipeline": read}, "mapping": mapping, **more}


async def create(api: Any, document: dict[str, Any]) -> str:
    answer = await api.post("/api/v1/pipelines", json=document)
    assert answer.status_code == 201, answer.text
    pipeline_id: str = answer.json()["id"]
    return pipeline_id


async def lineage(api: Any, pipeline_id: str, seq: int, **parameters: Any) -> dict[str, Any]:
    answer = await api.get(f"/api/v1/pipelines/{pipeline_id}/records/{seq}/lineage", params=parameters)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def arrived(api: Any, pipeline_id: str, count: int) -> None:
    deadline = time.monotonic() + 10
    while (ledger := (await api.get(f"/api/v1/pipelines/{pipeline_id}/ledger")).json())["received"] < count or ledger[
        "pending"
    ]:
        assert time.monotonic() < deadline, ledger
        await asyncio.sleep(0.01)


async def test_a_row_of_the_third_pipeline_leads_back_to_the_bytes(scene: Any, api: Any) -> None:
    first = await create(api, BOILERS)
    second = await create(api, reader("second", "boilers"))
    third = await create(api, reader("third", second))
    raw = b'{ "ts": "2026-01-31T08:00:00Z",  "device": "b1", "temp_c": 20.50 }'
    await scene.receive(first, b'{"device": "b0", "temp_c": -1}', raw)
    await arrived(api, third, 1)
    told = await lineage(api, third, 1)
    assert told["rows"] == [{"_time": "2026-01-31T08:00:00Z", "_seq": 1, "_item": 0, "device": "b1", "temp_c": 20.5}]
    assert (told["pipeline"], told["name"], told["fate"], told["outcome"]) == (third, "third", "held", "stored")
    assert (told["event"]["source"], told["event"]["remote"], told["event"]["line"] > 0) == ("pipeline", second, True)
    assert told["refined"]["version"] == 1
    assert told["refined"]["author"] == "token admin"
    assert (told["correction"], told["dead_letters"], told["sinks"], told["downstream"]) == (None, [], [], [])
    near, far = told["upstream"]
    assert [(hop["pipeline"], hop["name"], hop["seq"], hop["item"]) for hop in (near, far)] == [
        (second, "second", 1, 0),
        (first, "boilers", 2, 0),
    ]
    event = far["event"]
    assert (event["source"], event["remote"], event["headers"]) == (
        "webhook", "192.0.2.7", {"content-type": "application/json"},
    )  # fmt: skip
    assert far["event"]["payload"] == {"ts": "2026-01-31T08:00:00Z", "device": "b1", "temp_c": 20.5}
    answer = await api.get(f"/api/v1/pipelines/{third}/records/1/lineage")
    assert raw in answer.content  # verbatim
    assert (await lineage(api, first, 2))["downstream"] == [
        {"pipeline": second, "name": "second", "read": True, "up_to": 2}
    ]


async def test_every_outcome_is_told(scene: Any, api: Any) -> None:
    first = await create(api, BOILERS)
    await scene.receive(
        first,
        b'{"ts": "2026-01-31T08:00:00Z", "device": "b1", "temp_c": 1}',
        b'{"ts": "2026-01-31T08:00:00Z", "device": "b1", "temp_c": 2}',  # the same key: the one before is superseded
        b'{"ts": "2026-01-31T08:00:00Z", "device": "b1", "temp_c": -1}',  # where
        b'{"temp_c": 1}',
    )
    found = [await lineage(api, first, seq) for seq in (1, 2, 3, 4)]
    assert [one["outcome"] for one in found] == ["duplicate", "stored", "filtered", "dead"]
    assert [len(one["rows"]) for one in found] == [0, 1, 0, 0]
    [letter] = found[3]["dead_letters"]
    assert (letter["reason"], letter["field"], letter["seq"]) == ("required", "device", 4)


async def test_the_version_that_refined_it_and_who_saved_it(scene: Any, api: Any) -> None:
    first = await create(api, BOILERS)
    await scene.receive(first, b'{"device": "b1", "temp_c": 1}')
    async with scene.client(scene.tokens["editor"]) as editor:
        answer = await editor.put(f"/api/v1/pipelines/{first}", json=BOILERS | {"description": "warmer"})
        assert answer.status_code == 200
    await scene.receive(first, b'{"device": "b2", "temp_c": 1}')
    refined = [(await lineage(api, first, seq))["refined"] for seq in (1, 2)]
    assert [(one["version"], one["author"]) for one in refined] == [(1, "token admin"), (2, "token editor")]
    assert all(one["saved_at"] and one["day"] for one in refined)


async def test_one_item_of_many(scene: Any, api: Any) -> None:
    mapping = {"explode": "$.rows", "fields": [{"name": "n", "path": "$.rows.n", "type": "integer", "max": 150}]}
    first = await create(api, BOILERS | {"mapping": mapping})
    second = await create(
        api, reader("second", first) | {"mapping": {"fields": [{"name": "n", "path": "$.n", "type": "integer"}]}}
    )
    rows = ", ".join(f'{{"n": {n}}}' for n in range(120))
    await scene.receive(first, f'{{"rows": [{rows}]}}'.encode())
    whole = await lineage(api, first, 1)
    assert (len(whole["rows"]), whole["more_rows"]) == (100, True)
    one = await lineage(api, first, 1, item=7)
    assert [(row["_item"], row["n"]) for row in one["rows"]] == [(7, 7)]
    assert one["more_rows"] is False
    await arrived(api, second, 120)
    [hop] = (await lineage(api, second, 8))["upstream"]
    assert [(row["_item"], row["n"]) for row in hop["rows"]] == [(7, 7)]


async def test_what_was_corrected_by_hand(scene: Any, api: Any) -> None:
    first = await create(api, BOILERS)
    await scene.receive(first, b'{"temp_c": 1}')
    correction = Correction(1, b'{"device":  "b9"}', "the sensor has no name", "ada", utc_now())
    await asyncio.to_thread(scene.it.bronze.upkeep.correct, first, [correction])
    told = await lineage(api, first, 1)
    assert told["event"]["payload"] == {"temp_c": 1}
    assert told["correction"]["payload"] == {"device": "b9"}
    assert (told["correction"]["reason"], told["correction"]["by"]) == ("the sensor has no name", "ada")


async def test_an_erased_event_is_said_to_be(scene: Any, api: Any) -> None:
    first = await create(api, BOILERS)
    second = await create(api, reader("second", "boilers"))
    await scene.receive(first, b'{"device": "b1", "temp_c": 1}')
    await arrived(api, second, 1)
    await asyncio.to_thread(scene.it.bronze.upkeep.erase, first, [1], "asked to", "ada")
    told = await lineage(api, first, 1)
    assert (told["fate"], told["event"]) == ("erased", None)
    assert "erased" in told["told"]
    [hop] = (await lineage(api, second, 1))["upstream"]
    assert (hop["fate"], hop["event"]) == ("erased", None)


async def test_a_hop_into_a_pipeline_that_was_deleted(scene: Any, api: Any) -> None:
    first = await create(api, BOILERS)
    second = await create(api, reader("second", "boilers"))
    await scene.receive(first, b'{"device": "b1", "temp_c": 1}')
    await arrived(api, second, 1)
    away = reader("second", "boilers") | {"source": {"type": "webhook", "signature": "none"}}
    assert (await api.put(f"/api/v1/pipelines/{second}", json=away)).status_code == 200
    assert (await api.delete(f"/api/v1/pipelines/{first}")).status_code == 204
    [hop] = (await lineage(api, second, 1))["upstream"]
    assert (hop["fate"], hop["pipeline"], hop["name"], hop["seq"]) == ("gone", first, None, 1)
    assert "was deleted" in hop["told"]


async def test_readers_that_have_not_read_it(scene: Any, api: Any) -> None:
    first = await create(api, BOILERS)
    await scene.receive(first, b'{"device": "b1", "temp_c": 1}')
    late = reader("late", "boilers")
    late["source"]["start"] = "now"
    late_id = await create(api, late)
    await until(lambda: scene.it.bronze.checkpoint(late_id) is not None)
    assert (await lineage(api, first, 1))["downstream"] == [
        {"pipeline": late_id, "name": "late", "read": False, "up_to": 1}
    ]


async def test_what_there_never_was_is_not_found(scene: Any, api: Any) -> None:
    first = await create(api, BOILERS)
    for seq in (0, 1, 2**62):
        answer = await api.get(f"/api/v1/pipelines/{first}/records/{seq}/lineage")
        assert (answer.status_code, answer.json()["code"]) == (404, "E_NOT_FOUND")
    answer = await api.get(f"/api/v1/pipelines/{first}/records/1/lineage", params={"item": "x"})
    assert answer.status_code == 422


# --- points of charts


@pytest.fixture
async def charted(scene: Any, api: Any) -> str:
    fields = [{"name": "device", "path": "$.device", "type": "string"}, FIELDS[1]]
    first = await create(api, BOILERS | {"mapping": {"time": {"path": "$.ts"}, "fields": fields}})
    await scene.receive(
        first,
        b'{"ts": "2026-01-31T08:10:00Z", "device": "b1", "temp_c": 1}',
        b'{"ts": "2026-01-31T08:05:00Z", "device": "b1", "temp_c": 2}',
        b'{"ts": "2026-01-31T08:30:00Z", "device": "b2", "temp_c": 3}',
        b'{"ts": "2026-01-31T09:00:00Z", "device": "b1", "temp_c": 4}',
        b'{"ts": "2026-01-31T08:20:00Z", "temp_c": 5}',
    )
    return first


@pytest.mark.parametrize(
    ("more", "seqs"),
    [
        ({"point": {"_time": "2026-01-31T08:00:00Z", "device": "b1"}}, [2, 1]),
        ({"point": {"_time": "2026-01-31T08:00:00Z", "device": None}}, [5]),
        ({"point": {"_time": "2026-01-31T09:00:00Z", "device": "b1"}}, [4]),
        ({"point": {"_time": "2026-01-31T07:00:00Z", "device": "b1"}}, []),
        ({"point": {"_time": "2026-01-31T08:00:00Z", "device": "b1"}, "from": "2026-01-31T08:06:00Z"}, [1]),
        ({"point": {"_time": "2026-01-31T08:00:00Z", "device": "b1"}, "where": {"temp_c": 2}}, [2]),
        ({"point": {"device": "b1"}, "bucket": None}, [2, 1, 4]),
        ({"point": {}, "bucket": None, "group_by": []}, [2, 1, 5, 3, 4]),
    ],
)
async def test_the_records_behind_a_point(api: Any, charted: str, more: dict[str, Any], seqs: list[int]) -> None:
    measures = [{"op": "avg", "field": "temp_c"}]
    query = {"pipeline": charted, "measures": measures, "group_by": ["device"], "bucket": "1h", **more}
    answer = await api.post("/api/v1/query/lineage", json=query)
    assert answer.status_code == 200, answer.text
    assert [record["_seq"] for record in answer.json()["records"]] == seqs
    assert answer.json()["more"] is False


async def test_only_so_many_are_named(api: Any, charted: str) -> None:
    query = {"pipeline": charted, "measures": [{"op": "count"}], "records": 2}
    body = (await api.post("/api/v1/query/lineage", json=query)).json()
    assert body["records"] == [
        {"_seq": 2, "_item": 0, "_time": "2026-01-31T08:05:00Z"},
        {"_seq": 1, "_item": 0, "_time": "2026-01-31T08:10:00Z"},
    ]
    assert (body["more"], body["from"], body["to"]) == (True, None, None)


async def test_a_point_of_another_query_is_refused_with_every_mistake(api: Any, charted: str) -> None:
    query = {
        "pipeline": charted, "measures": [{"op": "count"}], "group_by": ["temp_c"], "bucket": "1h",
        "where": {"devise": "b1"}, "point": {"device": "b1", "temp_c": "warm"},
    }  # fmt: skip
    answer = await api.post("/api/v1/query/lineage", json=query)
    assert answer.status_code == 422
    assert sorted(problem["pointer"] for problem in answer.json()["problems"]) == [
        "/point/_time", "/point/device", "/point/temp_c", "/where/devise",
    ]  # fmt: skip
