"""Licences over the API: Community and its limits, what is accepted and what is not, and the trail of it."""

from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance.compose import opened
from appliance.services.views import SetupRequest
from license.document import Limits
from tests.licensed import RING, issued, listed, today

UNSIGNED = {"type": "webhook", "signature": "none"}
TWELVE = Limits(organisations=1, users=5, pipelines=12, events_per_day=None, nodes=1)


@pytest.fixture
async def community(bare: Any) -> Any:
    """An appliance without a licence."""
    request = SetupRequest(
        admin_email="ada@example.org", admin_password="correct horse battery", organisation="Works", token=True
    )
    done = await bare.it.services.setup.run(request)
    bare.admin, bare.tokens["admin"] = done.principal, done.token
    return bare


async def test_over_a_limit_what_runs_runs_on_and_new_things_are_refused(community: Any) -> None:
    it = community.it
    async with community.client(community.tokens["admin"]) as api:
        made = [
            (await api.post("/api/v1/pipelines", json={"name": f"p{number}", "source": UNSIGNED, "mapping": {}})).json()
            for number in range(10)
        ]
        refused = await api.post("/api/v1/pipelines", json={"name": "p10", "source": UNSIGNED})
        assert (refused.status_code, refused.json()["code"]) == (403, "E_UNLICENSED")
        assert refused.json()["detail"].startswith(
            "Community allows 10 pipelines, and there are 10: what runs, runs on"
        )
        assert "install a licence" in refused.json()["detail"]
        await community.receive(made[9]["id"], b'{"a": 1}')
        changed = await api.put(f"/api/v1/pipelines/{made[0]['id']}", json={"name": "q0", "source": UNSIGNED})
        assert changed.status_code == 200
        assert (await api.delete(f"/api/v1/pipelines/{made[1]['id']}")).status_code == 204
        assert (await api.post("/api/v1/pipelines", json={"name": "p10", "source": UNSIGNED})).status_code == 201
        for number in range(4):
            new = {"email": f"u{number}@example.org", "password": "a long pass phrase", "role": "viewer"}
            assert (await api.post("/api/v1/users", json=new)).status_code == 201
        sixth = {"email": "u5@example.org", "password": "a long pass phrase", "role": "viewer"}
        told = (await api.post("/api/v1/users", json=sixth)).json()
        assert (told["code"], told["detail"][:37]) == ("E_UNLICENSED", "Community allows 5 users, and there a")
        assert (await api.put("/api/v1/license", json={"document": issued(limits=TWELVE)})).status_code == 200
        for name in ("p11", "p12"):
            assert (await api.post("/api/v1/pipelines", json={"name": name, "source": UNSIGNED})).status_code == 201
        twelfth = await api.post("/api/v1/pipelines", json={"name": "p13", "source": UNSIGNED})
        assert "the licence allows 12 pipelines" in twelfth.json()["detail"]
        trail = (await api.get("/api/v1/audit")).json()["items"]
    note = next(one for one in trail if one["action"] == "license.install")
    assert (note["target"], note["detail"]["customer"]) == ("lic_tests", "Example Works")
    code = it.allowance.held.installation.code
    async with opened(it.settings, it.bronze, ring=RING) as again:  # the same control plane, as after a restart
        assert again.allowance.held.installation.code == code
        assert again.allowance.now().entitlements == it.allowance.now().entitlements


TOMORROW = {"valid_from": today() + timedelta(days=1)}
OTHER = "7KQ2-M8XD-0T3W-E9HP"
STRANGER = Ed25519PrivateKey.generate()
WRONG = {
    "a mail": ("Dear customer, here it is.", "there is no licence in it", "copy it again"),
    "cut short": (issued()[:200] + "\n-----END DASH LICENSE-----", "characters are missing from it", "copy it again"),
    "another key": (issued(key=STRANGER), "which this version does not know", "ask for a document for this version"),
    "another installation": (issued(installation=OTHER), f"it is for installation {OTHER}", "license request"),
    "not yet": (issued(**TOMORROW), "it is valid from", "install it on that day"),
    "no more": (issued(days=-1), "it was valid until", "ask for a new one"),
    "taken back": (issued(id="lic_back"), "was taken back", "the one that replaces it"),
}  # fmt: skip


async def test_what_is_not_accepted_says_why_and_what_to_do_and_changes_nothing(scene: Any, api: Any) -> None:
    await api.put("/api/v1/license/revocations", json={"document": listed(1, "lic_back")})
    before = (await api.get("/api/v1/license")).json()
    for name, (document, told, remedy) in WRONG.items():
        for ask in (api.post("/api/v1/license/preview", json={"document": document}),
                    api.put("/api/v1/license", json={"document": document})):  # fmt: skip
            answer = await ask
            [problem] = answer.json()["problems"]
            assert (answer.status_code, problem["pointer"]) == (422, "/document"), name
            assert told in problem["message"], name
            assert remedy in problem["hint"], name
    assert (await api.post("/api/v1/license/preview", json={"document": listed(2)})).json()["changes"] == []
    refused = await api.put("/api/v1/license", json={"document": listed(2)})
    assert "there is no licence in it" in refused.json()["problems"][0]["message"]
    forged = issued().replace("A", "B", 1)
    assert (await api.put("/api/v1/license", json={"document": forged})).status_code == 422
    assert (await api.get("/api/v1/license")).json() == before
    empty = await api.put("/api/v1/license", json={"document": ""})
    assert (empty.status_code, empty.json()["problems"][0]["pointer"]) == (422, "/document")


async def test_a_preview_shows_what_would_change_and_a_day_what_would_be(scene: Any, api: Any) -> None:
    document = "Dear customer,\n\n" + issued(limits=TWELVE, features=("white_label",), edition="Team", days=5)
    preview = (await api.post("/api/v1/license/preview", json={"document": document})).json()
    lines = {one["what"]: (one["before"], one["after"]) for one in preview["changes"]}
    assert lines["Edition"] == ("Enterprise", "Team")
    assert lines["State"] == ("valid", "ending")
    assert lines["Pipelines"] == ("unlimited", "12")
    assert lines["white label"] == ("no", "yes")
    assert (await api.get("/api/v1/license")).json()["edition"] == "Enterprise"
    shown = (await api.put("/api/v1/license", json={"document": document})).json()
    assert (shown["edition"], shown["days_left"], shown["warnings"][0]["code"]) == ("Team", 5, "ending")
    later = (await api.get("/api/v1/license/simulate", params={"date": "2099-01-01"})).json()
    assert (later["standing"], later["features"]) == ("lapsed", [])
    assert {deed["name"] for deed in later["deeds"] if deed["allowed"]} >= {"sign in", "exports", "alerts"}
    wrong = await api.get("/api/v1/license/simulate", params={"date": "yesterday"})
    assert (wrong.status_code, wrong.json()["problems"][0]["pointer"]) == (422, "/date")
    code = (await api.get("/api/v1/license/request")).json()["code"]
    bound = await api.put("/api/v1/license", json={"document": issued(installation=code)})
    assert bound.json()["bound_to"] == code
