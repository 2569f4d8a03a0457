"""Chunks of a pipeline where there is no TimescaleDB: it is said what is missing, and nothing is pretended."""

from typing import Any

import pytest

CONTROL_PLANES = ("embedded", "postgresql")
MISSING = {"embedded": "Rows are kept in the embedded DuckDB", "postgresql": "The database has no TimescaleDB"}


@pytest.fixture
def lacking(request: pytest.FixtureRequest) -> str:
    return MISSING[request.node.callspec.params["database"]]


async def test_it_is_said_what_is_missing(scene: Any, api: Any, database: Any, lacking: str) -> None:
    pipeline_id = await scene.boilers(retention={"silver": "90d"})
    path = f"/api/v1/pipelines/{pipeline_id}/chunks"
    shown = (await api.get(path)).raise_for_status().json()
    assert shown["missing"].startswith(lacking)
    assert (shown["count"], shown["newest"], shown["notes"], shown["kept"]) == (0, [], [], "90d")
    for answer in (
        await api.put(path, json={"interval": "6h"}),
        await api.post(f"{path}/preview", json={"interval": "6h"}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (409, "E_CONFLICT")
        assert lacking in answer.json()["detail"]
    assert (await api.get(f"/api/v1/pipelines/{pipeline_id}")).json()["version"] == 1


async def test_a_document_may_say_it_all_the_same(scene: Any, api: Any, database: Any) -> None:
    pipeline_id = await scene.boilers(chunks={"interval": "6h", "compress_after": "never", "order_by": "device"})
    await scene.receive(pipeline_id, b'{"device": "b1", "temp_c": 20}')
    view = (await api.get(f"/api/v1/pipelines/{pipeline_id}")).json()
    assert view["chunks"] == {"interval": "6h", "compress_after": "never", "order_by": "device"}
    problems = (await api.post("/api/v1/pipelines/lint", json=_wrong())).json()["problems"]
    assert sorted(one["pointer"] for one in problems) == [
        "/chunks/compress_after",
        "/chunks/interval",
        "/chunks/order_by",
    ]


def _wrong() -> dict[str, Any]:
    field = {"name": "device", "path": "$.device", "type": "string"}
    chunks = {"interval": "never", "compress_after": "20y", "order_by": "divice"}
    return {"name": "x", "source": {"type": "webhook"}, "mapping": {"fields": [field]}, "chunks": chunks}
