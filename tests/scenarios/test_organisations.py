"""A second organisation: made, renamed, deleted; what its administrator may, and what he can learn of the first."""

from typing import Any

import httpx
import pytest

from appliance.domain.access import Principal, Role
from appliance.errors import Unauthenticated
from appliance.services.maintenance import MaintenanceRequest
from appliance.services.views import NewUser
from tests.licensed import listed
from tests.scenarios.conftest import BOILERS

RIVAL = {"name": "Mallory Works", "admin_email": "mallory@example.net", "admin_password": "a long pass phrase"}
HOUSE = "/api/v1/organisations"


@pytest.fixture
async def rival(scene: Any) -> Any:
    """Return the API as a second organisation's first administrator sees it, after signing in."""
    async with scene.client(scene.tokens["admin"]) as api:
        made = await api.post(HOUSE, json=RIVAL)
    assert (made.status_code, made.json()["operates"], made.json()["trouble"]) == (201, False, None)
    async with scene.client() as client:
        given = {"email": RIVAL["admin_email"], "password": RIVAL["admin_password"]}
        assert (await client.post("/api/v1/session", json=given)).status_code == 201
        yield client


async def _own(api: httpx.AsyncClient) -> Any:
    return (await api.get("/api/v1/session")).json()["principal"]["organisation_id"]


async def test_it_is_made_renamed_and_deleted(scene: Any, api: Any, rival: Any) -> None:
    own = await _own(rival)
    eve = (await scene.it.services.sessions.sign_in(RIVAL["admin_email"], RIVAL["admin_password"], None)).principal
    (listed,) = [one for one in (await api.get(HOUSE)).json()["items"] if one["id"] == own]
    assert listed["figures"] == {"people": 1, "pipelines": 0, "events_today": 0, "row_bytes": 0}
    (seen,) = (await rival.get(HOUSE)).json()["items"]
    assert (seen["id"], seen["name"], seen["figures"]) == (own, "Mallory Works", None)
    assert (await api.get(f"{HOUSE}/{own}")).json()["figures"]["people"] == 1
    assert (await api.patch(f"{HOUSE}/{own}", json={"name": "Rivals"})).json()["name"] == "Rivals"
    assert (await rival.get(f"{HOUSE}/{own}")).json()["name"] == "Rivals"
    made = await rival.post("/api/v1/pipelines", json=BOILERS)
    gone = await api.delete(f"{HOUSE}/{own}", params={"name": "Rivals"})
    assert (gone.status_code, "has 1 pipelines" in gone.json()["detail"]) == (409, True)
    assert (await rival.delete(f"/api/v1/pipelines/{made.json()['id']}")).status_code == 204
    token = (await rival.post("/api/v1/tokens", json={"name": "t", "role": "admin"})).json()["token"]
    assert (await api.delete(f"{HOUSE}/{own}", params={"name": "Mallory Works"})).json()["problems"][0][
        "pointer"
    ] == "/name"
    file = scene.it.settings.server.data_dir / "silver" / f"{own}.duckdb"
    assert file.exists()
    assert (await api.delete(f"{HOUSE}/{own}", params={"name": "Rivals"})).status_code == 204
    assert not file.exists()
    await _is_given_nothing(scene, eve)  # by a request that was under way meanwhile
    assert (await rival.get("/api/v1/session")).status_code == 401
    async with scene.client(token) as by_token:
        assert (await by_token.get("/api/v1/pipelines")).status_code == 401
    assert (await api.get(f"{HOUSE}/{own}")).status_code == 404
    trail = [one for one in (await api.get("/api/v1/audit")).json()["items"] if one["target"] == own]
    assert [one["action"] for one in trail] == ["organisation.delete", "organisation.rename", "organisation.create"]


async def _is_given_nothing(scene: Any, who: Principal) -> None:
    services = scene.it.services
    new = NewUser(email="heir@example.net", password="a long pass phrase", role=Role.ADMIN)
    for asked in (
        services.pipelines.create(who, BOILERS | {"name": "left behind"}),
        services.users.create(who, new),
        services.tokens.create(who, "left behind", Role.ADMIN),
    ):
        with pytest.raises(Unauthenticated):
            await asked


async def test_whoever_was_shut_out_a_moment_ago_leaves_nothing_that_acts(scene: Any, rival: Any) -> None:
    new = {"email": "trent@example.net", "password": "a first pass phrase", "role": "admin"}
    user = (await rival.post("/api/v1/users", json=new)).json()
    token = (await rival.post("/api/v1/tokens", json={"name": "t", "role": "admin"})).json()
    trent = (await scene.it.services.sessions.open(user["id"], None)).principal
    program = await scene.it.services.tokens.resolve(token["token"])
    assert (await rival.post(f"/api/v1/users/{user['id']}/disable")).status_code == 200
    assert (await rival.delete(f"/api/v1/tokens/{token['info']['id']}")).status_code == 204
    await _is_given_nothing(scene, trent)
    await _is_given_nothing(scene, program)


async def test_what_is_refused(scene: Any, api: Any, rival: Any) -> None:
    own = scene.admin.organisation_id
    taken = await api.post(HOUSE, json=RIVAL | {"name": "MALLORY works", "admin_email": "new@example.net"})
    assert (taken.status_code, taken.json()["code"]) == (409, "E_CONFLICT")
    address = await api.post(HOUSE, json=RIVAL | {"name": "Third"})
    assert (address.status_code, "belongs to a user already" in address.json()["detail"]) == (409, True)
    wrong = await api.post(HOUSE, json={"name": " \n", "admin_email": "nobody", "admin_password": "short"})
    assert {one["pointer"] for one in wrong.json()["problems"]} >= {"/admin_password"}
    wrong = await api.post(HOUSE, json={"name": " \n", "admin_email": "nobody", "admin_password": "a long enough one"})
    assert [one["pointer"] for one in wrong.json()["problems"]] == ["/name", "/admin_email"]
    kept = await api.delete(f"{HOUSE}/{own}", params={"name": "Example Works"})
    assert (kept.status_code, "operates this appliance" in kept.json()["detail"]) == (409, True)
    assert (await rival.get(f"{HOUSE}/{own}")).status_code == 404
    assert (await api.patch(f"{HOUSE}/{own}", json={"name": "Mallory Works"})).status_code == 409


async def test_what_is_of_the_appliance_is_not_shown(scene: Any, rival: Any) -> None:
    shown = (await rival.get("/api/v1/license")).json()
    assert [shown[name] for name in ("customer", "id", "installed_by", "installation")] == [None, None, None, ""]
    assert {one["thing"] for one in shown["limits"]} >= {"users", "pipelines"}
    assert (await rival.get("/api/v1/storage")).json()["disk"] is None
    actions = (await rival.get("/api/v1/session")).json()["actions"]
    assert ("user.manage" in actions, "backup.read" in actions, "settings.read" in actions) == (True, False, False)
    trail = (await rival.get("/api/v1/audit")).json()["items"]
    assert {one["who"] for one in trail} == {"mallory@example.net", "the operator of the appliance"}
    machine = {"name": "host", "source": {"type": "host_metrics"}, "mapping": {}}
    told = (await rival.post("/api/v1/pipelines", json=machine)).json()
    assert (told["status"], told["problems"][0]["pointer"]) == (422, "/source/type")
    mine = (await rival.post("/api/v1/pipelines", json=BOILERS)).json()
    saved = await rival.put(f"/api/v1/pipelines/{mine['id']}", json=machine)
    assert saved.status_code == 422
    candidate = await rival.post(f"/api/v1/pipelines/{mine['id']}/versions", json={"document": machine})
    assert candidate.status_code == 422


async def test_rows_of_another_organisation_are_not_read_by_a_pipeline_or_a_dashboard(scene: Any, rival: Any) -> None:
    theirs = await scene.boilers()
    await scene.receive(theirs, b'{"device": "b1", "temp_c": 20}')
    for named in (theirs, "boiler-room"):
        reader = {"name": "reader", "source": {"type": "pipeline", "pipeline": named}}
        answer = await rival.post("/api/v1/pipelines", json=reader)
        assert (answer.status_code, answer.json()["problems"][0]["pointer"]) == (422, "/source/pipeline")
    count = {"pipeline": theirs, "measures": [{"op": "count"}]}
    board = {"name": "spy", "widgets": [{"id": "w", "title": "W", "type": "stat", "query": count}]}
    made = (await rival.post("/api/v1/dashboards", json=board)).json()
    assert (await rival.get(f"/api/v1/dashboards/{made['id']}/data")).json()["w"]["rows"] == []
    forged = await rival.post("/api/v1/pipelines", json=BOILERS | {"source": {"type": "webhook", "signature": "none"}})
    own = forged.json()["id"]
    await scene.receive(own, f'{{"device": "x", "_pipeline": "{theirs}", "_seq": 1}}'.encode())
    walked = (await rival.get(f"/api/v1/pipelines/{own}/records/1/lineage")).json()
    assert "b1" not in str(walked)


async def test_over_the_limit_what_is_there_runs_on(scene: Any, api: Any, rival: Any) -> None:
    made = (await rival.post("/api/v1/pipelines", json=BOILERS)).json()
    await scene.it.services.licenses.revoke(scene.admin, listed(1, "lic_tests"))
    await scene.receive(made["id"], b'{"device": "b1", "temp_c": 20}')
    assert len((await rival.get(f"/api/v1/pipelines/{made['id']}/records")).json()["items"]) == 1
    refused = await api.post(HOUSE, json=RIVAL | {"name": "Fourth", "admin_email": "d@example.net"})
    assert (refused.status_code, refused.json()["code"]) == (403, "E_UNLICENSED")
    assert refused.json()["detail"].startswith(
        "Community allows 1 organisation, and there are 3: what is there runs on"
    )
    assert "Fourth" not in str((await api.get(HOUSE)).json())


async def test_maintenance_holds_other_administrators_and_tells_them(scene: Any, rival: Any) -> None:
    await scene.it.services.maintenance.begin(scene.admin, MaintenanceRequest("The disk is exchanged"))
    refused = await rival.post("/api/v1/pipelines", json=BOILERS)
    assert (refused.status_code, refused.json()["code"]) == (503, "E_MAINTENANCE")
    told = (await rival.get("/api/v1/maintenance")).json()
    assert (told["message"], told["by"]) == ("The disk is exchanged", "an administrator")
    await scene.it.services.maintenance.end(scene.admin)


async def test_people_are_shut_out_let_in_and_given_a_password(scene: Any, rival: Any) -> None:
    new = {"email": "trent@example.net", "password": "a first pass phrase", "role": "editor"}
    user = (await rival.post("/api/v1/users", json=new)).json()
    place = f"/api/v1/users/{user['id']}"
    assert (await rival.post(f"{place}/disable")).json()["disabled"] is True
    assert (await rival.post(f"{place}/enable")).json()["disabled"] is False
    assert (await rival.put(f"{place}/password", json={"password": "another pass phrase"})).status_code == 200
    async with scene.client() as his:
        for password, status in (("a first pass phrase", 401), ("another pass phrase", 201)):
            answer = await his.post("/api/v1/session", json={"email": new["email"], "password": password})
            assert answer.status_code == status
    me = (await rival.get("/api/v1/session")).json()["principal"]["user_id"]
    own = await rival.put(f"/api/v1/users/{me}/password", json={"password": "another pass phrase"})
    assert (own.status_code, "page Account" in own.json()["detail"]) == (403, True)
