"""Queries, dashboards, previews."""

from typing import Any

import pytest

EVENTS = [
    b'{"ts": "2026-01-31T08:00:00Z", "device": "b1", "temp_c": 20}',
    b'{"ts": "2026-01-31T08:30:00Z", "device": "b1", "temp_c": 22}',
    b'{"ts": "2026-01-31T09:00:00Z", "device": "b2", "temp_c": 30}',
]


@pytest.fixture
async def boilers(scene: Any) -> str:
    pipeline_id: str = await scene.boilers()
    await scene.receive(pipeline_id, *EVENTS)
    return pipeline_id


async def test_measures_by_time_and_group(api: Any, boilers: str) -> None:
    query = {
        "pipeline": boilers,
        "measures": [{"op": "avg", "field": "temp_c", "as": "t"}, {"op": "count"}],
        "group_by": ["device"],
        "bucket": "1h",
        "from": "2026-01-31T00:00:00Z",
        "to": "2026-02-01T00:00:00+00:00",
    }
    answer = await api.post("/api/v1/query", json=query)
    assert answer.json() == {
        "columns": ["_time", "device", "t", "count"],
        "rows": [
            {"_time": "2026-01-31T08:00:00Z", "device": "b1", "t": 21.0, "count": 2},
            {"_time": "2026-01-31T09:00:00Z", "device": "b2", "t": 30.0, "count": 1},
        ],
        "source": "silver",
    }


async def test_every_measure(api: Any, boilers: str) -> None:
    operators = ("count", "sum", "avg", "min", "max", "p50", "p95", "p99", "last", "distinct")
    measures = [{"op": op, "field": "temp_c", "as": op} for op in operators]
    (row,) = (await api.post("/api/v1/query", json={"pipeline": boilers, "measures": measures})).json()["rows"]
    # 20, 22, 30: the percentiles are interpolated: 22 + 0.9 * 8 and 22 + 0.98 * 8
    assert row == {
        "count": 3, "sum": 72.0, "avg": 24.0, "min": 20.0, "max": 30.0, "p50": 22.0, "p95": pytest.approx(29.2),
        "p99": pytest.approx(29.84), "last": 30.0, "distinct": 3,
    }  # fmt: skip


async def test_all_mistakes_of_a_query(api: Any, boilers: str) -> None:
    query = {
        "pipeline": boilers,
        "measures": [{"op": "avgg", "field": "temp_c"}, {"op": "avg", "field": "device"}, {"op": "sum"}],
        "group_by": ["devise"],
        "from": "2026-13-01",
        "to": "now-",
        "where": {"temp_c": "hot", "nothing": 1},
    }
    answer = await api.post("/api/v1/query", json=query)
    problems = {one["pointer"]: one for one in answer.json()["problems"]}
    assert sorted(problems) == [
        "/from", "/group_by/0", "/measures/0/op", "/measures/1/op", "/measures/2/field", "/to", "/where/nothing",
        "/where/temp_c",
    ]  # fmt: skip
    assert problems["/group_by/0"]["hint"] == "did you mean 'device'?"


MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"bucket": "soon"}, "/bucket"),
    ({"bucket": "1us"}, "/bucket"),
    ({"range": "15m", "from": "now-1h"}, "/range"),
    ({"range": "999999d"}, "/range"),
    ({"measures": []}, "/measures"),
    ({"measures": {"op": "count"}}, "/measures"),
    ({"limit": 0}, "/limit"),
    ({"limit": 50_001}, "/limit"),
    ({"colour": "red"}, "/colour"),
    ({"from": "2026-01-31T08:00:00"}, "/from"),
    ({"from": "now-999999999d"}, "/from"),
    ({"group_by": ["device", "device"]}, "/group_by/1"),
]


async def test_one_mistake_of_a_query(api: Any, boilers: str) -> None:
    for change, pointer in MISTAKES:
        query = {"pipeline": boilers, "measures": [{"op": "count"}]} | change
        answer = await api.post("/api/v1/query", json=query)
        assert (answer.status_code, [one["pointer"] for one in answer.json()["problems"]]) == (422, [pointer])


async def test_names_that_look_like_sql(scene: Any, api: Any) -> None:
    document: dict[str, Any] = {
        "name": 'select"; drop table x',
        "source": {"type": "webhook", "signature": "none"},
        "mapping": {"fields": [{"name": 'select"; drop table x', "path": "$.device", "type": "string"}]},
    }
    refused = await api.post("/api/v1/pipelines", json=document)
    assert [one["pointer"] for one in refused.json()["problems"]] == ["/mapping/fields/0/name"]
    document["mapping"]["fields"][0]["name"] = name = "select"
    created = await api.post("/api/v1/pipelines", json=document)
    assert created.status_code == 201
    pipeline_id = created.json()["id"]
    await scene.receive(pipeline_id, b'{"device": "b1"}')
    query = {"pipeline": pipeline_id, "measures": [{"op": "count"}], "group_by": [name], "where": {name: "b1"}}
    assert (await api.post("/api/v1/query", json=query)).json()["rows"] == [{name: "b1", "count": 1}]
    assert (await api.get(f"/api/v1/pipelines/{pipeline_id}/records")).json()["items"][0][name] == "b1"
    assert (await api.get(f"/api/v1/pipelines/{pipeline_id}/records?format=csv")).status_code == 200


async def test_dashboards(api: Any, boilers: str) -> None:
    widget = {
        "id": "t",
        "title": "Temperature",
        "type": "timeseries",
        "query": {
            "pipeline": boilers,
            "measures": [{"op": "max", "field": "temp_c", "as": "most"}],
            "bucket": "1h",
            "from": "2026-01-31T00:00:00Z",
        },
        "unit": "°C",
        "span": 2,
    }
    created = (await api.post("/api/v1/dashboards", json={"name": "Boilers", "widgets": [widget]})).json()
    assert created["widgets"] == [widget]
    path = f"/api/v1/dashboards/{created['id']}"
    data = (await api.get(f"{path}/data")).json()
    assert [row["most"] for row in data["t"]["rows"]] == [22.0, 30.0]
    assert (await api.post("/api/v1/dashboards", json={"name": "Boilers"})).status_code == 409
    changed = (await api.put(path, json={"name": "Boilers 2", "widgets": []})).json()
    assert (changed["name"], changed["widgets"]) == ("Boilers 2", [])
    assert [one["name"] for one in (await api.get("/api/v1/dashboards")).json()["items"]] == ["Boilers 2"]
    assert (await api.delete(path)).status_code == 204
    assert (await api.get(path)).status_code == 404


async def test_a_widget_of_a_pipeline_that_is_gone_has_no_data(api: Any, boilers: str) -> None:
    query = {"pipeline": boilers, "measures": [{"op": "count"}]}
    widgets = [{"id": "n", "title": "", "type": "stat", "query": query}]
    created = (await api.post("/api/v1/dashboards", json={"name": "Boilers", "widgets": widgets})).json()
    await api.delete(f"/api/v1/pipelines/{boilers}")
    data = (await api.get(f"/api/v1/dashboards/{created['id']}/data")).json()
    assert data == {"n": {"columns": [], "rows": [], "source": "silver"}}


async def test_all_mistakes_of_a_dashboard(api: Any) -> None:
    query = {"pipeline": "p", "measures": [{"op": "count"}]}
    widgets = [
        {"id": "a", "title": "", "type": "timeseries", "query": query},
        {"id": "a", "title": "", "type": "stat", "query": query | {"range": "1h", "from": "now-1h"}},
    ]
    answer = await api.post("/api/v1/dashboards", json={"name": "x", "widgets": widgets})
    assert [one["pointer"] for one in answer.json()["problems"]] == [
        "/widgets/0/query/bucket",
        "/widgets/1/id",
        "/widgets/1/query/range",
    ]


async def test_preview_of_samples(api: Any) -> None:
    mapping = {
        "time": {"path": "$.ts"},
        "fields": [
            {"name": "device", "path": "$.device", "type": "string", "required": True},
            {"name": "warm", "expr": "temp_c > 21", "type": "boolean"},
        ],
    }
    samples = [{"ts": "2026-01-31T08:00:00Z", "device": "b1", "temp_c": 22}, {"temp_c": 1}]
    answer = (await api.post("/api/v1/mappings/preview", json={"mapping": mapping, "samples": samples})).json()
    assert answer["columns"] == [{"name": "device", "type": "string"}, {"name": "warm", "type": "boolean"}]
    assert [(row["device"], row["warm"], row["_seq"]) for row in answer["rows"]] == [("b1", True, 1)]
    assert [(one["seq"], one["reason"]) for one in answer["dead"]] == [(2, "required")]
    assert answer["events"] == 2


async def test_preview_of_real_events(api: Any, boilers: str) -> None:
    mapping = {"fields": [{"name": "t", "path": "$.temp_c", "type": "integer"}], "where": "t > 20"}
    answer = await api.post("/api/v1/mappings/preview", json={"mapping": mapping, "pipeline": boilers, "last": 2})
    assert [row["t"] for row in answer.json()["rows"]] == [22, 30]
    none = await api.post("/api/v1/mappings/preview", json={"mapping": mapping})
    assert [one["pointer"] for one in none.json()["problems"]] == ["/samples"]


async def test_preview_of_a_mapping_with_mistakes(api: Any) -> None:
    mapping = {"fields": [{"name": "a", "expr": "nope(1)", "type": "float"}, {"name": "b", "type": "flaot"}], "x": 1}
    answer = await api.post("/api/v1/mappings/preview", json={"mapping": mapping, "samples": [{}]})
    assert answer.status_code == 422
    assert {"/mapping/fields/1/type", "/mapping/x"} <= {one["pointer"] for one in answer.json()["problems"]}
