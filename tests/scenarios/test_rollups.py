"""Rollups: declared in the pipeline document, kept right with every commit, used by queries of themselves."""

from typing import Any

import msgspec
import pytest

from appliance.domain.ids import PipelineId
from appliance.domain.pipeline import PipelineDocument
from ui.documents import document_of

EVENTS = [
    b'{"ts": "2026-01-31T08:00:10Z", "device": "b1", "temp_c": 20}',
    b'{"ts": "2026-01-31T08:00:50Z", "device": "b1", "temp_c": 22}',
    b'{"ts": "2026-01-31T09:30:00Z", "device": "b2", "temp_c": 30}',
]
LATE = b'{"ts": "2026-01-31T08:00:30Z", "device": "b1", "temp_c": 27}'
PER_MINUTE = {
    "name": "per_minute",
    "bucket": "1m",
    "group_by": ["device"],
    "measures": [{"op": "avg", "field": "temp_c"}, {"op": "max", "field": "temp_c"}],
}
SKETCHED = {"name": "spread", "bucket": "1h", "measures": [{"op": "percentiles", "field": "temp_c"}]}
DAY = {"from": "2026-01-31T00:00:00Z", "to": "2026-02-01T00:00:00Z"}


def averages(pipeline_id: str, **more: Any) -> dict[str, Any]:
    measures = [{"op": "avg", "field": "temp_c", "as": "t"}, {"op": "count", "as": "n"}]
    return {"pipeline": pipeline_id, "measures": measures, "bucket": "1h", **DAY, **more}


async def asked(api: Any, query: dict[str, Any]) -> dict[str, Any]:
    answer = await api.post("/api/v1/query", json=query)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_a_query_is_answered_by_a_rollup_and_says_so(api: Any, scene: Any) -> None:
    pipeline_id = await scene.boilers(rollups=[PER_MINUTE])
    await scene.receive(pipeline_id, *EVENTS, LATE)
    assert await asked(api, averages(pipeline_id)) == {
        "columns": ["_time", "t", "n"],
        "rows": [
            {"_time": "2026-01-31T08:00:00Z", "t": 23.0, "n": 3},  # (20 + 22 + 27) / 3
            {"_time": "2026-01-31T09:00:00Z", "t": 30.0, "n": 1},
        ],
        "source": "gold:per_minute",
    }


@pytest.mark.parametrize(
    ("more", "source"),
    [
        ({"where": {"device": "b1"}}, "gold:per_minute"),
        ({"group_by": ["device"]}, "gold:per_minute"),
        ({"bucket": "2h", "from": "2026-01-31T08:00:20Z"}, "gold:per_minute"),  # the first minute is counted from rows
        ({"bucket": "30s"}, "silver"),
        ({"where": [{"field": "temp_c", "op": ">", "value": 21}]}, "silver"),
        ({"where": [{"field": "_seq", "op": ">", "value": 0}]}, "silver"),
        ({"from": "2026-01-31T08:00:20Z", "to": "2026-01-31T08:00:40Z"}, "silver"),  # less than one bucket
        ({"measures": [{"op": "min", "field": "temp_c", "as": "n"}]}, "silver"),
        ({"measures": [{"op": "p50", "field": "temp_c", "as": "n"}], "approximate": True}, "silver"),
    ],
)
async def test_only_where_the_answer_is_the_same(api: Any, scene: Any, more: dict[str, Any], source: str) -> None:
    plain, counted = await scene.boilers(), await scene.boilers(name="counted", rollups=[PER_MINUTE])
    for pipeline_id in (plain, counted):
        await scene.receive(pipeline_id, *EVENTS, LATE)
    expected, found = [await asked(api, averages(one, **more)) for one in (plain, counted)]
    assert (expected.pop("source"), found.pop("source")) == ("silver", source)
    assert found == expected


async def test_a_rollup_declared_later_counts_what_is_there(api: Any, scene: Any) -> None:
    pipeline_id = await scene.boilers()
    await scene.receive(pipeline_id, *EVENTS)
    document = (await api.get(f"/api/v1/pipelines/{pipeline_id}")).json()
    own = {name: document[name] for name in ("name", "source", "mapping")}
    answer = await api.put(f"/api/v1/pipelines/{pipeline_id}", json=own | {"rollups": [PER_MINUTE]})
    assert answer.status_code == 200, answer.text
    await scene.receive(pipeline_id, LATE)
    found = await asked(api, averages(pipeline_id))
    assert (found["source"], [row["n"] for row in found["rows"]]) == ("gold:per_minute", [3, 1])
    await api.put(f"/api/v1/pipelines/{pipeline_id}", json=own)
    found = await asked(api, averages(pipeline_id))
    assert (found["source"], [row["n"] for row in found["rows"]]) == ("silver", [3, 1])


async def test_percentiles_are_approximate_only_where_that_is_asked_for(api: Any, scene: Any) -> None:
    pipeline_id = await scene.boilers(rollups=[SKETCHED])
    await scene.receive(pipeline_id, *EVENTS)
    query = averages(pipeline_id, measures=[{"op": "p50", "field": "temp_c", "as": "t"}]) | {"bucket": "1d"}
    exact = await asked(api, query)
    assert (exact["source"], exact["rows"][0]["t"]) == ("silver", 22.0)
    near = await asked(api, query | {"approximate": True})
    assert (near["source"], near["rows"][0]["t"]) == ("gold:spread", pytest.approx(22.0, rel=0.01))


async def test_keyed_rows_that_are_replaced_are_counted_once(api: Any, scene: Any) -> None:
    mapping = {
        "time": {"path": "$.ts"},
        "fields": [
            {"name": "device", "path": "$.device", "type": "string"},
            {"name": "temp_c", "path": "$.temp_c", "type": "float"},
        ],
        "key": ["device"],
    }
    pipeline_id = await scene.boilers(mapping=mapping, rollups=[PER_MINUTE])
    await scene.receive(pipeline_id, *EVENTS)
    found = await asked(api, averages(pipeline_id))
    assert found["source"] == "gold:per_minute"
    assert [(row["t"], row["n"]) for row in found["rows"]] == [(22.0, 1), (30.0, 1)]


async def test_every_mistake_in_rollups_is_told_at_its_place(api: Any, scene: Any) -> None:
    wrong = [
        {"name": "a", "bucket": "7h", "group_by": ["devise", "tags", "device", "device"], "measures": [{"op": "sum"}]},
        {
            "name": "a",
            "bucket": "soon",
            "measures": [{"op": "avgs", "field": "temp_c"}, {"op": "avg", "field": "device"}],
        },
        {
            "name": "c",
            "bucket": "1500ms",
            "measures": [{"op": "min", "field": "tags"}, {"op": "last", "field": "temp"}],
        },
    ]
    told = await problems(api, scene, wrong)
    assert list(told) == [
        "/rollups/0/bucket", "/rollups/0/group_by/0", "/rollups/0/group_by/1", "/rollups/0/group_by/3",
        "/rollups/0/measures/0/field", "/rollups/1/name", "/rollups/1/bucket", "/rollups/1/measures/0/op",
        "/rollups/1/measures/1/op", "/rollups/2/bucket", "/rollups/2/measures/0/op", "/rollups/2/measures/1/field",
    ]  # fmt: skip
    assert told["/rollups/0/group_by/0"]["hint"] == "did you mean 'device'?"
    assert told["/rollups/1/measures/0/op"]["hint"] == "did you mean 'avg'?"
    assert told["/rollups/2/measures/1/field"]["hint"] == "did you mean 'temp_c'?"


async def test_there_are_not_too_many(api: Any, scene: Any) -> None:
    many = [PER_MINUTE | {"name": f"r{place}", "group_by": ["device"] * 9} for place in range(11)]
    told = await problems(api, scene, many)
    assert told["/rollups"]["message"] == "expected at most 10 rollups, got 11"
    assert told["/rollups/0/group_by"]["message"] == "expected at most 8 fields to group by, got 9"


async def test_rollups_need_rows_that_are_stored(api: Any, scene: Any) -> None:
    assert list(await problems(api, scene, [PER_MINUTE], persist=False)) == ["/rollups"]


async def test_a_document_that_was_read_can_be_saved_again_whole(api: Any, scene: Any) -> None:
    more = {"description": "below", "retention": {"silver": "90d"}, "rate_limit": {"events_per_sec": 5}, "sinks": []}
    pipeline_id = PipelineId(await scene.boilers(rollups=[PER_MINUTE, SKETCHED], persist=True, **more))
    shown = (await api.get(f"/api/v1/pipelines/{pipeline_id}")).json()
    assert {field.encode_name for field in msgspec.structs.fields(PipelineDocument)} <= set(shown)
    assert shown["rollups"] == [PER_MINUTE, SKETCHED]
    document = document_of(await scene.it.services.pipelines.get(scene.admin, pipeline_id))  # as the screens save it
    assert (await api.put(f"/api/v1/pipelines/{pipeline_id}", json=document)).status_code == 200
    first, second = [
        (await api.get(f"/api/v1/pipelines/{pipeline_id}/versions/{n}")).json()["document"] for n in (1, 2)
    ]
    assert first == second


async def problems(api: Any, scene: Any, rollups: list[dict[str, Any]], **more: Any) -> dict[str, dict[str, Any]]:
    document = (await api.get(f"/api/v1/pipelines/{await scene.boilers()}")).json()
    own = {name: document[name] for name in ("name", "source", "mapping")}
    answer = await api.post("/api/v1/pipelines", json=own | {"rollups": rollups} | more)
    assert answer.status_code == 422, answer.text
    return {problem["pointer"]: problem for problem in answer.json()["problems"]}
