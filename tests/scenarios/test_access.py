"""Every route, asked by nobody, by each role and by another organisation. A route without an expectation fails."""

from typing import Any

import httpx
import pytest

from appliance.api.openapi import routes_of
from appliance.errors import NotFound
from tests.licensed import EVERY_FEATURE, issued

# The least role that may use a route; "anybody" needs none. What is of the whole appliance needs a role in the
# organisation that operates it: "operator" is an administrator there.
EXPECTED = {
    "GET /api/docs": "anybody",
    "GET /api/docs/{name}": "anybody",
    "GET /api/openapi.json": "anybody",
    "GET /healthz": "anybody",
    "GET /livez": "anybody",
    "GET /metrics": "anybody",
    "GET /readyz": "anybody",
    "GET /api/v1/setup": "anybody",
    "POST /api/v1/setup": "anybody",
    "POST /api/v1/setup/database": "anybody",
    "POST /api/v1/setup/database/check": "anybody",
    "POST /api/v1/session": "anybody",
    "DELETE /api/v1/session": "anybody",
    "GET /api/v1/session": "viewer",
    "PUT /api/v1/session/password": "user",
    "GET /api/v1/organisations": "viewer",
    "POST /api/v1/organisations": "operator",
    "GET /api/v1/organisations/{organisation_id}": "viewer",
    "PATCH /api/v1/organisations/{organisation_id}": "operator",
    "DELETE /api/v1/organisations/{organisation_id}": "operator",
    "GET /api/v1/pipelines": "viewer",
    "POST /api/v1/pipelines": "editor",
    "POST /api/v1/pipelines/lint": "viewer",
    "GET /api/v1/pipelines/{pipeline_id}": "viewer",
    "PUT /api/v1/pipelines/{pipeline_id}": "editor",
    "DELETE /api/v1/pipelines/{pipeline_id}": "editor",
    "POST /api/v1/pipelines/{pipeline_id}/pause": "editor",
    "POST /api/v1/pipelines/{pipeline_id}/resume": "editor",
    "GET /api/v1/pipelines/{pipeline_id}/versions": "viewer",
    "POST /api/v1/pipelines/{pipeline_id}/versions": "editor",
    "GET /api/v1/pipelines/{pipeline_id}/versions/{number}": "viewer",
    "GET /api/v1/pipelines/{pipeline_id}/versions/{number}/diff": "viewer",
    "POST /api/v1/pipelines/{pipeline_id}/versions/{number}/restore": "editor",
    "GET /api/v1/pipelines/{pipeline_id}/chunks": "viewer",
    "PUT /api/v1/pipelines/{pipeline_id}/chunks": "editor",
    "POST /api/v1/pipelines/{pipeline_id}/chunks/preview": "viewer",
    "GET /api/v1/pipelines/{pipeline_id}/drift": "viewer",
    "POST /api/v1/pipelines/{pipeline_id}/drift/acknowledge": "editor",
    "GET /api/v1/pipelines/{pipeline_id}/secrets": "editor",
    "POST /api/v1/pipelines/{pipeline_id}/secrets/rotate": "editor",
    "POST /api/v1/pipelines/{pipeline_id}/secrets/drop": "editor",
    "GET /api/v1/pipelines/{pipeline_id}/replays": "viewer",
    "POST /api/v1/pipelines/{pipeline_id}/replays": "editor",
    "GET /api/v1/pipelines/{pipeline_id}/replays/{replay_id}": "viewer",
    "POST /api/v1/pipelines/{pipeline_id}/replays/{replay_id}/swap": "editor",
    "POST /api/v1/pipelines/{pipeline_id}/replays/{replay_id}/cancel": "editor",
    "POST /api/v1/pipelines/{pipeline_id}/replays/{replay_id}/undo": "editor",
    "GET /api/v1/replays": "viewer",
    "GET /api/v1/pipelines/{pipeline_id}/records": "viewer",
    "GET /api/v1/pipelines/{pipeline_id}/records/{seq}": "viewer",
    "GET /api/v1/pipelines/{pipeline_id}/records/{seq}/lineage": "viewer",
    "GET /api/v1/pipelines/{pipeline_id}/recent": "viewer",
    "GET /api/v1/pipelines/{pipeline_id}/stream": "viewer",
    "GET /api/v1/pipelines/{pipeline_id}/ledger": "viewer",
    "GET /api/v1/pipelines/{pipeline_id}/ledger/lines": "viewer",
    "GET /api/v1/pipelines/{pipeline_id}/dead-letters": "viewer",
    "GET /api/v1/pipelines/{pipeline_id}/dead-letters/causes": "viewer",
    "POST /api/v1/pipelines/{pipeline_id}/dead-letters/retry": "editor",
    "POST /api/v1/pipelines/{pipeline_id}/dead-letters/fix": "editor",
    "POST /api/v1/pipelines/{pipeline_id}/dead-letters/drop": "editor",
    "POST /api/v1/mappings/preview": "viewer",
    "POST /api/v1/mappings/suggest": "viewer",
    "POST /api/v1/query": "viewer",
    "POST /api/v1/query/lineage": "viewer",
    "GET /api/v1/dashboards": "viewer",
    "POST /api/v1/dashboards": "editor",
    "GET /api/v1/dashboards/{dashboard_id}": "viewer",
    "PUT /api/v1/dashboards/{dashboard_id}": "editor",
    "DELETE /api/v1/dashboards/{dashboard_id}": "editor",
    "GET /api/v1/dashboards/{dashboard_id}/data": "viewer",
    "GET /api/v1/users": "admin",
    "POST /api/v1/users": "admin",
    "PUT /api/v1/users/{user_id}/role": "admin",
    "POST /api/v1/users/{user_id}/disable": "admin",
    "GET /api/v1/sign-in/providers": "admin",
    "POST /api/v1/sign-in/providers": "admin",
    "GET /api/v1/sign-in/providers/{provider_id}": "admin",
    "PUT /api/v1/sign-in/providers/{provider_id}": "admin",
    "DELETE /api/v1/sign-in/providers/{provider_id}": "admin",
    "POST /api/v1/sign-in/providers/{provider_id}/disable": "admin",
    "POST /api/v1/sign-in/providers/{provider_id}/test": "admin",
    "GET /api/v1/sign-in/providers/{provider_id}/people": "admin",
    "DELETE /api/v1/sign-in/providers/{provider_id}/people/{identity_id}": "admin",
    "POST /api/v1/users/{user_id}/enable": "admin",
    "PUT /api/v1/users/{user_id}/password": "admin",
    "GET /api/v1/tokens": "admin",
    "POST /api/v1/tokens": "admin",
    "DELETE /api/v1/tokens/{token_id}": "admin",
    "GET /api/v1/settings": "operator",
    "GET /api/v1/audit": "admin",
    "GET /api/v1/erasures": "admin",
    "POST /api/v1/erasures": "admin",
    "GET /api/v1/erasures/{erasure_id}": "admin",
    "GET /api/v1/storage": "viewer",
    "POST /api/v1/storage/compact": "admin",
    "GET /api/v1/organisations/{organisation_id}/retention": "viewer",
    "PUT /api/v1/organisations/{organisation_id}/retention": "admin",
    "GET /api/v1/jobs": "editor",
    "GET /api/v1/jobs/{job_id}": "editor",
    "POST /api/v1/jobs/{job_id}/cancel": "admin",
    "POST /api/v1/jobs/{job_id}/retry": "admin",
    "GET /api/v1/backups": "operator",
    "POST /api/v1/backups": "operator",
    "GET /api/v1/backups/latest": "operator",
    "GET /api/v1/backups/schedule": "operator",
    "PUT /api/v1/backups/schedule": "operator",
    "POST /api/v1/backups/{backup_id}/verify": "operator",
    "GET /api/v1/nodes": "operating editor",
    "GET /api/v1/nodes/{node_id}": "operating editor",
    "POST /api/v1/nodes/{node_id}/drain": "operator",
    "POST /api/v1/nodes/{node_id}/resume": "operator",
    "DELETE /api/v1/nodes/{node_id}": "operator",
    "GET /api/v1/license": "editor",
    "GET /api/v1/license/request": "operating editor",
    "GET /api/v1/license/simulate": "editor",
    "POST /api/v1/license/preview": "operator",
    "PUT /api/v1/license": "operator",
    "PUT /api/v1/license/revocations": "operator",
    "GET /api/v1/branding": "anybody",
    "PUT /api/v1/branding": "operator",
    "DELETE /api/v1/branding": "operator",
    "GET /api/v1/branding/{kind}": "anybody",
    "PUT /api/v1/branding/{kind}": "operator",
    "DELETE /api/v1/branding/{kind}": "operator",
    "GET /api/v1/upgrade": "operator",
    "PUT /api/v1/upgrade/bundle": "operator",
    "PUT /api/v1/upgrade/signature": "operator",
    "DELETE /api/v1/upgrade": "operator",
    "POST /api/v1/upgrade": "operator",
    "GET /api/v1/incidents": "operator",
    "POST /api/v1/incidents/{incident_id}/acknowledge": "operator",
    "GET /api/v1/failures": "operator",
    "DELETE /api/v1/failures": "operator",
    "GET /api/v1/log": "operator",
    "GET /api/v1/maintenance": "viewer",
    "POST /api/v1/maintenance": "operator",
    "DELETE /api/v1/maintenance": "operator",
    "GET /api/v1/resources": "operator",
    "GET /api/v1/support-bundle/preview": "operator",
    "GET /api/v1/support-bundle": "operator",
}
RANK = {"nobody": 0, "viewer": 1, "editor": 2, "admin": 3}
NEEDED = {"anybody": 0, "viewer": 1, "editor": 2, "operating editor": 2, "admin": 3, "operator": 3}
OPERATING = ("operating editor", "operator")


def asked_for(path: str, ids: dict[str, str]) -> str:
    for name, value in ids.items():
        path = path.replace("{" + name + "}", value)
    return path


async def ask(client: httpx.AsyncClient, route: str, ids: dict[str, str]) -> httpx.Response:
    method, path = route.split(" ")
    body: Any = {} if method in ("POST", "PUT", "PATCH") else None
    return await client.request(method, asked_for(path, ids), json=body)


NOT_THERE = {
    "organisation_id": "org_none",
    "erasure_id": "er_none",
    "job_id": "job_none",
    "node_id": "node_none",
    "backup_id": "20260301T120000Z-abcdef",
    "incident_id": "inc_none",
    "pipeline_id": "pl_none",
    "dashboard_id": "db_none",
    "user_id": "user_none",
    "token_id": "tok_none",
    "replay_id": "rp_none",
    "provider_id": "idp_none",
    "identity_id": "idn_none",
    "seq": "1",
    "number": "1",
    "name": "nothing.js",
    "kind": "favicon",
}


@pytest.fixture(autouse=True)
async def every_feature(scene: Any) -> None:
    """What a licence has to name is named: here only roles are asked for."""
    await scene.it.services.licenses.install(scene.admin, issued(features=EVERY_FEATURE))


def test_every_route_has_an_expectation(scene: Any) -> None:
    assert sorted(f"{route.method} {route.path}" for route in routes_of(scene.api)) == sorted(EXPECTED)


@pytest.mark.parametrize("role", RANK)
async def test_each_role_may_what_the_table_says(scene: Any, role: str) -> None:
    wrong = []
    async with scene.client(scene.tokens.get(role)) as client:
        for route, least in EXPECTED.items():
            answer = await ask(client, route, NOT_THERE)
            if least == "user":  # tokens have no password
                expected = {401} if role == "nobody" else {403, 422}
            elif RANK[role] >= NEEDED[least]:
                expected = {200, 201, 204, 404, 422}
            else:
                expected = {401} if role == "nobody" else {403}
            if answer.status_code not in expected:
                wrong.append((route, answer.status_code, answer.text))
    assert wrong == []


async def test_an_administrator_of_another_organisation_may_do_nothing_with_the_whole_appliance(scene: Any) -> None:
    """Each route: what is of the appliance is refused, whatever role; the rest is theirs, and there is nothing yet."""
    wrong = []
    async with scene.client(scene.tokens["other"]) as client:
        for route, least in EXPECTED.items():
            answer = await ask(client, route, NOT_THERE)
            expected = {403} if least in OPERATING else {200, 201, 204, 404, 422}
            expected = {403, 422} if least == "user" else expected
            if answer.status_code not in expected:
                wrong.append((route, answer.status_code, answer.text))
    assert wrong == []


async def test_what_belongs_to_another_organisation_does_not_exist(scene: Any) -> None:
    pipeline_id = await scene.boilers()
    await scene.receive(pipeline_id, b'{"device": "b1", "temp_c": 20}')
    dashboard = await scene.it.services.dashboards.create(scene.admin, {"name": "Boilers"})
    tokens = await scene.it.services.tokens.list(scene.admin)
    ids = {
        "organisation_id": scene.admin.organisation_id,
        "erasure_id": await scene.erasure(pipeline_id),
        "job_id": await scene.job(),
        "pipeline_id": pipeline_id,
        "dashboard_id": dashboard.id,
        "user_id": scene.admin.user_id,
        "token_id": tokens.items[0].id,
        "provider_id": await scene.provider(),
        "identity_id": "idn_none",
        "seq": "1",
        "number": "1",
    }
    wrong = []
    async with scene.client(scene.tokens["other"]) as client:
        for route in EXPECTED:
            if "_id}" not in route or EXPECTED[route] in OPERATING:  # those are refused before anything is looked for
                continue
            method, path = route.split(" ")
            body = _acceptable(route)
            answer = await client.request(method, asked_for(path, ids), json=body)
            if answer.status_code != 404 or answer.json()["code"] != NotFound.code:
                wrong.append((route, answer.status_code, answer.text))
        for listed in ("pipelines", "dashboards", "users"):
            assert (await client.get(f"/api/v1/{listed}")).json()["items"] == []
        assert {one["who"] for one in (await client.get("/api/v1/audit")).json()["items"]} == {scene.other.name}
        query = {"pipeline": pipeline_id, "measures": [{"op": "count"}]}
        assert (await client.post("/api/v1/query", json=query)).status_code == 404
        preview = {"mapping": {"fields": []}, "pipeline": pipeline_id}
        assert (await client.post("/api/v1/mappings/preview", json=preview)).status_code == 404
    assert wrong == []
    assert (await scene.it.services.pipelines.get(scene.admin, pipeline_id)).state.value == "running"


def _acceptable(route: str) -> Any:
    if route == "POST /api/v1/pipelines/{pipeline_id}/versions":
        return {"document": {"name": "mine now", "source": {"type": "webhook", "signature": "none"}}}
    if route.startswith("PUT /api/v1/pipelines"):
        return {"name": "mine now", "source": {"type": "webhook", "signature": "none"}}
    if route.startswith("PUT /api/v1/dashboards"):
        return {"name": "mine now", "widgets": []}
    if route.endswith(("/dead-letters/fix", "/dead-letters/drop")):
        return {"reason": "none of theirs"} | ({"patch": {}} if route.endswith("/fix") else {})
    if route.startswith("PUT /api/v1/sign-in"):
        return {"name": "mine now", "issuer": "https://login.example.net", "enabled": False}
    if route == "PUT /api/v1/users/{user_id}/password":
        return {"password": "mine from now on"}
    return {"role": "viewer"} if route.endswith("/role") else {}
