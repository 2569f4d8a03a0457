"""What a changed mapping would change, told from the events that are stored."""

from typing import Any

import pytest

from tests.scenarios.conftest import BOILERS

DEVICE, TEMP, TAGS = BOILERS["mapping"]["fields"]
EVENTS = (
    b'{"device": "a", "temp_c": 20, "ts": "2026-01-01T00:00:00Z"}',
    b'{"device": "b", "temp_c": 250, "ts": "2026-01-01T00:00:01Z"}',
    b'{"device": "c", "temp_c": 21, "tags": {"hall": 2}, "fw": "1.2", "ts": "2026-01-01T00:00:02Z"}',
    b'{"device": "test", "ts": "2026-01-01T00:00:03Z"}',
)


@pytest.fixture
async def boilers(scene: Any) -> str:
    pipeline_id: str = await scene.boilers()
    await scene.receive(pipeline_id, *EVENTS)
    return pipeline_id


def mapping(*fields: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"time": {"path": "$.ts"}, "fields": list(fields), **more}


async def test_a_change_is_told_in_rows_columns_and_dead_letters(api: Any, boilers: str) -> None:
    new = mapping(
        DEVICE, TEMP | {"max": 300, "type": "string"} | {"max": None}, TAGS,
        {"name": "fw", "path": "$.fw", "type": "string"}, where="device <> 'test'",
    )  # fmt: skip
    del new["fields"][1]["max"]
    answer = await api.post("/api/v1/mappings/preview", json={"pipeline": boilers, "mapping": new, "compare": True})
    assert answer.status_code == 200
    told = answer.json()
    change = told["comparison"]
    assert (change["events"], change["matching"], change["first_seq"], change["last_seq"]) == (4, 4, 1, 4)
    assert change["before"] == {"rows": 3, "filtered": 0, "dead": 1, "duplicates": 0}
    assert change["after"] == {"rows": 3, "filtered": 1, "dead": 0, "duplicates": 0}
    assert [change[kind]["count"] for kind in ("added", "removed", "changed")] == [1, 1, 2]
    assert change["added"]["examples"][0]["after"]["temp_c"] == "250"
    (removed,) = change["removed"]["examples"]
    assert (removed["seq"], removed["before"]["device"], removed["after"]) == (4, "test", None)
    changed = change["changed"]["examples"][1]
    assert changed["before"]["tags"] == changed["after"]["tags"] == {"hall": 2}
    assert (changed["before"]["_extra"], changed["columns"]) == ({"fw": "1.2"}, ["_extra", "temp_c", "fw"])
    assert [(one["name"], one["change"], one["needs_replay"], one["rows"]) for one in change["columns"]] == [
        ("_extra", "same", False, 1), ("temp_c", "widened", False, 2), ("fw", "added", False, 1),
    ]  # fmt: skip
    assert change["dead"]["healed"] == 1
    assert change["dead"]["healed_causes"][0]["message"] == "temp_c must be at most 200, got 250.0"
    assert (change["dead"]["new"], change["stopped"], change["stored_events"]) == (0, None, 4)
    assert change["replay_secs"] >= 0
    assert [row["device"] for row in told["rows"]] == ["a", "b", "c"]


async def test_ranges_are_by_number_by_time_or_the_newest(api: Any, boilers: str) -> None:
    async def seen(**more: Any) -> tuple[int, int | None, int | None, int]:
        body = {"pipeline": boilers, "mapping": mapping(DEVICE), "compare": True, **more}
        found = (await api.post("/api/v1/mappings/preview", json=body)).json()["comparison"]
        return found["events"], found["first_seq"], found["last_seq"], found["matching"]

    assert await seen(range={"last": 2}) == (2, 3, 4, 2)
    assert await seen(range={"first_seq": 2, "last_seq": 3}) == (2, 2, 3, 2)
    assert await seen(range={"first_seq": 3}) == (2, 3, 4, 2)
    assert await seen(range={"from": "now-1h", "to": "now"}) == (4, 1, 4, 4)
    assert await seen(range={"to": "now-1h"}) == (0, None, None, 0)
    assert await seen(range={"first_seq": 1, "last_seq": 4}, limit=1) == (1, 4, 4, 4)
    body = {"pipeline": boilers, "mapping": mapping(DEVICE), "range": {"first_seq": 1, "last_seq": 1}}
    assert [row["_seq"] for row in (await api.post("/api/v1/mappings/preview", json=body)).json()["rows"]] == [1]


async def test_mistakes_of_the_question_are_told_all_at_once(api: Any, boilers: str) -> None:
    async def pointers(**more: Any) -> list[str]:
        answer = await api.post("/api/v1/mappings/preview", json={"pipeline": boilers, "compare": True, **more})
        assert answer.status_code == 422
        return [one["pointer"] for one in answer.json()["problems"]]

    assert await pointers(mapping={"fields": [{}]}, range={"last": 1, "from": "now"}) == [
        "/mapping/fields/0/name", "/mapping/fields/0/type", "/range",
    ]  # fmt: skip
    assert await pointers(mapping={}, range={"from": "soon", "to": "late"}) == ["/range/from", "/range/to"]
    assert await pointers(mapping={}, range={"first_seq": 3, "last_seq": 2}) == ["/range/first_seq"]
    assert await pointers(mapping={}, samples=[{}]) == ["/compare"]
    bad = {"pipeline": "pl_none", "mapping": {}, "compare": True}
    assert (await api.post("/api/v1/mappings/preview", json=bad)).status_code == 404


async def test_a_frozen_mapping_says_where_it_would_stop(api: Any, boilers: str) -> None:
    body = {"pipeline": boilers, "mapping": mapping(DEVICE, TEMP, TAGS, contract="freeze")}
    plain = (await api.post("/api/v1/mappings/preview", json=body)).json()
    assert (plain["events"], len(plain["rows"]), len(plain["dead"])) == (2, 1, 1)
    assert plain["stopped"].endswith("the event has keys that no field reads: fw")
    change = (await api.post("/api/v1/mappings/preview", json=body | {"compare": True})).json()["comparison"]
    assert (change["events"], change["last_seq"]) == (2, 2)
    assert change["stopped"].startswith("the new mapping stops: event 3 differs from the mapping")


async def test_a_column_that_would_change_its_type_needs_a_replay(api: Any, boilers: str) -> None:
    body = {"pipeline": boilers, "mapping": mapping(DEVICE, TEMP | {"type": "integer"}), "compare": True}
    change = (await api.post("/api/v1/mappings/preview", json=body)).json()["comparison"]
    told = {one["name"]: (one["change"], one["needs_replay"], one["told"]) for one in change["columns"]}
    assert told["temp_c"] == (
        "retyped", True, "a column of float cannot become integer in place: save a candidate and replay it",
    )  # fmt: skip
    assert told["tags"][0] == "removed"


async def test_a_comparison_is_the_same_as_what_refining_does(scene: Any, api: Any, boilers: str) -> None:
    """Saving the new mapping really gives the rows that were promised, for events that come afterwards."""
    new = mapping(DEVICE, {"name": "f", "expr": "temp_c * 9 / 5 + 32", "type": "float"})
    body = {"pipeline": boilers, "mapping": new, "compare": True}
    promised = (await api.post("/api/v1/mappings/preview", json=body)).json()["rows"]
    document = {**BOILERS, "mapping": new}
    assert (await api.put(f"/api/v1/pipelines/{boilers}", json=document)).status_code == 200
    await scene.receive(boilers, *EVENTS)
    recent = (await api.get(f"/api/v1/pipelines/{boilers}/recent")).json()["items"][-4:]
    assert [row["f"] for row in recent] == [row["f"] for row in promised] == [68.0, 482.0, 69.8, None]
