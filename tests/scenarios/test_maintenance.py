"""Maintenance: changes wait, all else goes on; it survives a restart, ends by itself, and everybody is told."""

import asyncio
from datetime import timedelta
from typing import Any

from appliance.domain.clock import utc_now
from appliance.domain.incident import Condition, Severity
from appliance.services.maintenance import Maintenances
from tests.scenarios.conftest import BOILERS, Scene

ASKED = {"message": "The database moves to a new machine"}


async def test_changes_wait_and_reading_and_receiving_go_on(scene: Scene) -> None:
    pipeline_id = await scene.boilers()
    until = (utc_now() + timedelta(minutes=10)).isoformat()
    async with scene.client(scene.tokens["admin"]) as admin, scene.client(scene.tokens["editor"]) as editor:
        begun = await admin.post("/api/v1/maintenance", json=ASKED | {"until": until})
        assert (begun.status_code, begun.json()["on"], begun.json()["by"]) == (200, True, "token admin")
        refused = await editor.post("/api/v1/pipelines", json=BOILERS | {"name": "second"})
        assert (refused.status_code, refused.json()["code"]) == (503, "E_MAINTENANCE")
        assert 590 <= int(refused.headers["retry-after"]) <= 600
        assert ASKED["message"] in refused.json()["detail"]
        assert (await editor.get("/api/v1/pipelines")).status_code == 200
        secrets = await editor.get(f"/api/v1/pipelines/{pipeline_id}/secrets")
        assert secrets.status_code == 409  # unsigned; reading what only editors may read is not held
        async with scene.client(scene.tokens["other"]) as other:  # of another organisation: told, but not by whom
            assert (await other.get("/api/v1/maintenance")).json()["by"] == "an administrator"
        query = {"pipeline": pipeline_id, "measures": [{"op": "count"}]}
        assert (await editor.post("/api/v1/query", json=query)).status_code == 200
        await scene.receive(pipeline_id, b'{"device": "b1", "temp_c": 20}')
        made = await admin.post("/api/v1/pipelines", json=BOILERS | {"name": "third"})
        assert made.status_code == 201
        assert (await editor.get("/api/v1/maintenance")).json()["message"] == ASKED["message"]
        assert (await admin.delete("/api/v1/maintenance")).status_code == 204
        assert (await editor.post("/api/v1/pipelines", json=BOILERS | {"name": "second"})).status_code == 201
        audit = (await admin.get("/api/v1/audit")).json()["items"]
    assert {"maintenance.begin", "maintenance.end"} <= {one["action"] for one in audit}


async def test_all_that_is_wrong_with_a_request_is_told(scene: Scene) -> None:
    async with scene.client(scene.tokens["admin"]) as admin:
        for body in (
            {"message": " ", "until": "2020-01-01T00:00:00Z"},
            {"message": "x\ny", "until": "2020-01-01T00:00:00"},
        ):
            answer = await admin.post("/api/v1/maintenance", json=body)
            assert (answer.status_code, len(answer.json()["problems"])) == (422, 2), answer.text
        assert (await admin.get("/api/v1/maintenance")).json()["on"] is False


async def test_another_process_knows_of_it_and_it_ends_by_itself(scene: Scene) -> None:
    now = [utc_now()]
    async with scene.client(scene.tokens["admin"]) as admin:
        await admin.post("/api/v1/maintenance", json=ASKED | {"until": (now[0] + timedelta(minutes=5)).isoformat()})
        other = Maintenances(scene.it.plane, lambda: now[0])  # as after a restart, or on another node
        await other.look()
        assert other.told() == scene.it.services.maintenance.told()
        now[0] += timedelta(minutes=6)
        assert not other.on
        await other.look()
        await scene.it.services.maintenance.look()
        assert not scene.it.services.maintenance.on
        last: dict[str, Any] = (await admin.get("/api/v1/audit")).json()["items"][0]
    assert (last["action"], last["who"]) == ("maintenance.end", "dash")


async def test_incidents_are_muted_and_open_when_it_is_over(scene: Scene) -> None:
    full = Condition(
        key="disk", severity=Severity.P0, title="The disk fills up", message="0 bytes free", remedy="make room",
        page="runbook#disk",
    )  # fmt: skip

    async def wrong() -> list[Condition]:
        return [full]

    watch = scene.it.incidents
    watch.look, watch.muting = wrong, lambda: scene.it.services.maintenance.on
    async with scene.client(scene.tokens["admin"]) as admin:
        await admin.post("/api/v1/maintenance", json=ASKED)
        await watch.once()
        (one,) = (await admin.get("/api/v1/incidents")).json()["items"]
        assert (one["muted"], one["id"], list(watch.incidents)) == (True, "muted:disk", [])
        await admin.delete("/api/v1/maintenance")
        await watch.once()
        (one,) = (await admin.get("/api/v1/incidents")).json()["items"]
        assert (one["muted"], one["condition"]["title"]) == (False, "The disk fills up")


async def test_a_replay_waits_until_it_is_over(scene: Scene) -> None:
    pipeline_id = await scene.boilers()
    await scene.receive(pipeline_id, b'{"device": "b1", "temp_c": 20}')
    scene.it.engine.resting = lambda: scene.it.services.maintenance.on
    async with scene.client(scene.tokens["admin"]) as admin:
        await admin.post("/api/v1/maintenance", json=ASKED)
        replay = (await admin.post(f"/api/v1/pipelines/{pipeline_id}/replays", json={})).json()
        path = f"/api/v1/pipelines/{pipeline_id}/replays/{replay['id']}"

        async def becomes(name: str, value: str) -> None:
            async with asyncio.timeout(10):
                while (await admin.get(path)).json()[name] != value:  # noqa: ASYNC110 - asked by the API
                    await asyncio.sleep(0.02)

        await becomes("error", "it begins after the maintenance")
        assert (await admin.get(path)).json()["state"] == "waiting"
        await admin.delete("/api/v1/maintenance")
        await becomes("state", "swapped")
