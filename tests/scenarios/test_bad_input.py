"""Whatever is sent: a 4xx that tells what is wrong, never a 500."""

import json
from typing import Any

import pytest

from appliance.api.openapi import routes_of

NASTY: dict[str, bytes] = {
    "nothing": b"",
    "not JSON": b"{nope",
    "cut off": b'{"name": "x"',
    "a list": b"[]",
    "a string": b'"x"',
    "null": b"null",
    "a number": b"12345678901234567890123456789012345678901234567890",
    "NaN": b'{"name": NaN}',
    "bad UTF-8": b'{"name": "\xff\xfe"}',
    "a lone surrogate": b'{"name": "\\ud800"}',
    "depth": b"[" * 100_000,
    "deep objects": b'{"a":' * 3000 + b"1" + b"}" * 3000,
    "wrong types": json.dumps(
        dict.fromkeys(
            ("name", "source", "mapping", "sinks", "query", "pipeline", "measures", "role", "email", "widgets"), 7
        )
    ).encode(),
    "all null": json.dumps(
        dict.fromkeys(("name", "source", "mapping", "samples", "pipeline", "measures", "role", "email", "widgets"))
    ).encode(),
    "NUL": b'{"name": "\\u0000", "source": {"type": "\\u0000"}, "pipeline": "\\u0000"}',
    "huge numbers": b'{"limit": 1e400, "last": 99999999999999999999, "rate_limit": {"events_per_sec": 1e400}}',
    "odd pipeline": b'{"name": "x", "source": {"type": ["webhook"], "secrets": {"a": "********"}}, "mapping": []}',
    "odd secrets": b'{"name": "x", "source": {"type": "webhook", "secrets": ["********", 7]}}',
    "odd query": b'{"pipeline": "x", "measures": [{"op": "count"}], "where": [[{}]], "range": "", "bucket": "0s"}',
    "odd widgets": b'{"name": "x", "widgets": [{"query": {"where": {"": null}, "measures": [null]}}, null]}',
    "duplicate keys": b'{"name": "a", "name": "b", "name": 7}',
}


async def test_no_body_makes_a_mistake_of_ours(scene: Any, api: Any) -> None:
    pipeline_id = await scene.boilers()
    dashboard = (await api.post("/api/v1/dashboards", json={"name": "d"})).json()["id"]
    wrong = []
    for route in routes_of(scene.api):
        if route.operation.body is None:
            continue
        path = route.path.replace("{pipeline_id}", pipeline_id).replace("{dashboard_id}", dashboard)
        for name, body in NASTY.items():
            headers = {"content-type": "application/json"}
            answer = await api.request(route.method, path, content=body, headers=headers)
            if path == "/api/v1/pipelines/lint" and answer.status_code == 200 and answer.json()["problems"]:
                continue  # it answers with the problems
            if not 400 <= answer.status_code < 500 or answer.headers["content-type"] != "application/problem+json":
                wrong.append((route.method, route.path, name, answer.status_code, answer.text[:300]))
    assert wrong == []


async def test_no_depth_makes_a_mistake_of_ours(scene: Any, api: Any) -> None:
    pipeline_id = await scene.boilers()
    for depth in (100, 450, 900, 990, 1100):
        deep = b"[" * depth + b"]" * depth
        for path, body in (
            ("pipelines", b'{"name": "x", "source": {"type": "webhook", "secrets": %b}}'),
            ("pipelines", b'{"name": "x", "source": %b}'),
            ("pipelines", b'{"name": "x", "source": {"type": "webhook"}, "mapping": {"fields": %b}}'),
            ("mappings/preview", b'{"mapping": {"fields": []}, "samples": [%b]}'),
            ("mappings/preview", b'{"mapping": {"fields": [{"enum": %b}]}, "samples": [1]}'),
            (
                "query",
                b'{"pipeline": "%b", "measures": [{"op": "count"}], "where": {"device": %%b}}' % pipeline_id.encode(),
            ),
            ("dashboards", b'{"name": "x", "widgets": %b}'),
        ):
            answer = await api.post(
                f"/api/v1/{path}", content=body % deep, headers={"content-type": "application/json"}
            )
            assert answer.status_code in (200, 400, 422), (depth, path, answer.text[:300])


@pytest.mark.parametrize("kind", ["text/plain", "application/xml", "multipart/form-data"])
async def test_other_content_types_are_refused(api: Any, kind: str) -> None:
    answer = await api.post("/api/v1/query", content=b"{}", headers={"content-type": kind})
    assert (answer.status_code, answer.json()["code"]) == (415, "E_MEDIA_TYPE")


async def test_a_body_without_end_is_refused(api: Any) -> None:
    answer = await api.post("/api/v1/mappings/preview", content=b" " * (8 << 20) + b"{}")
    assert (answer.status_code, answer.json()["code"]) == (413, "E_TOO_LARGE")


async def test_paths_and_methods_that_are_not_there(api: Any) -> None:
    for path in ("/api/v1/nothing", "/api/nothing", "/api/v2/pipelines", "/api/v1/pipelines/%00/records"):
        answer = await api.get(path)
        assert (answer.status_code, answer.json()["code"]) == (404, "E_NOT_FOUND"), path
    answer = await api.patch("/api/v1/pipelines")
    assert (answer.status_code, answer.json()["code"]) == (405, "E_METHOD")
    assert "POST" in answer.headers["allow"]


async def test_queries_of_the_address_that_mean_nothing(scene: Any, api: Any) -> None:
    pipeline_id = await scene.boilers()
    for query in (
        "limit=1e9", "limit=-1", "limit=%00", "limit=1&limit=2", "from=%ff", "from=", "where=%5B", "where=7",
        "where=null", "cursor=%00", "cursor=W10", "cursor=WzFd", "order=", "format=", "x", "=", "&&&=&",
        "where=%5B%7B%22field%22%3A%22device%22%2C%22op%22%3A%22in%22%2C%22value%22%3A7%7D%5D",
        "cursor=WyI5OTk5LTEyLTMxVDIzOjU5OjU5WiIsOTk5OTk5OTk5OTk5OTk5OTk5OTksMV0",
    ):  # fmt: skip
        for listed in (f"/api/v1/pipelines/{pipeline_id}/records", "/api/v1/pipelines", "/api/v1/audit"):
            answer = await api.get(f"{listed}?{query}")
            assert answer.status_code in (200, 422), (listed, query, answer.text)


async def test_health_and_metrics(scene: Any, api: Any) -> None:
    assert (await api.get("/livez")).json() == {"alive": True}
    ready = await api.get("/readyz")
    assert (ready.status_code, ready.json()["ready"]) == (200, True)
    scene.vitals.parts["disk"] = (False, "12 MiB free: make room")
    broken = await api.get("/healthz")
    assert broken.status_code == 503
    one = await api.get("/readyz?part=receiving&cachebuster=1")
    assert (one.status_code, list(one.json()["parts"])) == (200, ["receiving"])
    unknown = await api.get("/readyz?part=recieving")
    assert (unknown.status_code, unknown.json()["problems"][0]["pointer"]) == (422, "/part")
    assert broken.json() == {
        "ready": False,
        "parts": {
            "receiving": {"ready": True, "reason": "events are taken and made durable"},
            "disk": {"ready": False, "reason": "12 MiB free: make room"},
        },
    }
    metrics = await api.get("/metrics")
    assert (metrics.text, metrics.headers["content-type"]) == (
        "dash_up 1\n",
        "text/plain; version=0.0.4; charset=utf-8",
    )


async def test_no_answer_is_guessed_at_or_kept(scene: Any) -> None:
    """A browser is told not to, whoever asks; what is meant to be kept says so itself."""
    kept = {"/api/v1/branding": "no-cache", "/api/docs": "no-cache", "/metrics": None, "/api/openapi.json": None}
    async with scene.client(scene.tokens["admin"]) as api:
        for path in ("/api/v1/tokens", "/api/v1/session", "/api/v1/pipelines/pl_none", "/api/v1/nothing", *kept):
            answer = await api.get(path)
            told = (answer.headers["x-content-type-options"], answer.headers.get("cache-control"))
            assert told == ("nosniff", kept.get(path, "no-store")), path
        assert "frame-ancestors 'none'" in (await api.get("/api/docs")).headers["content-security-policy"]
