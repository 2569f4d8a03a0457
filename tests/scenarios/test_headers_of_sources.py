"""Headers that would show a credential to every viewer: refused when saved, masked where they were stored before."""

from typing import Any

import pytest

from appliance.storage.control.tables import PipelineVersionRow

URL = "http://127.0.0.1:1/never"
HTTP = {"type": "http_poll", "url": URL, "interval": "1h"}
GRAPHQL = {"type": "graphql_poll", "url": URL, "interval": "1h", "query": "{ a { id } }", "items": "$.a"}
NAMES = (
    "Authorization", "COOKIE", "Proxy-Authorization", "X-Api-Key", "api-key", "X-Auth-Token", "Client-Secret",
    "X-Password", "X-Signature-256",
)  # fmt: skip


@pytest.mark.parametrize("source", [HTTP, GRAPHQL], ids=["http_poll", "graphql_poll"])
async def test_a_header_that_is_a_credential_is_refused_and_auth_named(api: Any, source: dict[str, Any]) -> None:
    headers = {"X-Site": "zürich"} | dict.fromkeys(NAMES, "hunter2")
    answer = await api.post("/api/v1/pipelines", json={"name": "p", "source": source | {"headers": headers}})
    assert answer.status_code == 422
    assert "hunter2" not in answer.text
    problems = {one["pointer"]: one for one in answer.json()["problems"]}
    assert sorted(problems) == sorted(f"/source/headers/{name}" for name in NAMES)
    assert problems["/source/headers/X-Api-Key"] == {
        "pointer": "/source/headers/X-Api-Key",
        "message": "the header 'X-Api-Key' holds credentials in the clear",
        "hint": 'put it under auth, where it is sealed: {"type": "header", "name": "X-Api-Key", "value": …}',
    }
    assert problems["/source/headers/Authorization"]["hint"].startswith('put it under auth: {"type": "bearer"')


async def test_one_stored_before_is_sent_and_not_shown(scene: Any, api: Any) -> None:
    document = {"name": "p", "source": HTTP | {"headers": {"X-Site": "zürich"}}}
    pipeline_id = (await api.post("/api/v1/pipelines", json=document)).json()["id"]

    def as_before(tx: Any) -> None:
        row = tx.get(PipelineVersionRow, (pipeline_id, 1))
        headers = {"X-Site": "zürich", "X-Api-Key": "hunter2"}
        row.definition = {**row.definition, "source": {**row.definition["source"], "headers": headers}}

    await scene.it.plane.write(as_before)
    path = f"/api/v1/pipelines/{pipeline_id}"
    assert (await api.post(f"{path}/pause")).status_code == 200
    assert (await api.post(f"{path}/resume")).status_code == 200
    sent = scene.it.engine.run_of(pipeline_id).pipeline.document.source["headers"]
    assert sent == {"X-Site": "zürich", "X-Api-Key": "hunter2"}
    async with scene.client(scene.tokens["viewer"]) as viewer:
        for place in (path, f"{path}/versions", f"{path}/versions/1"):
            answer = await viewer.get(place)
            assert (answer.status_code, "hunter2" in answer.text, "zürich" in answer.text) == (200, False, True)
