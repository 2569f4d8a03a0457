"""Pipelines from their document to their end."""

from typing import Any

from appliance.components.source import InboundRequest
from appliance.domain.clock import utc_now
from appliance.domain.ids import PipelineId
from appliance.errors import FatalError
from appliance.storage.control.tables import PipelineRow
from appliance.storage.control.vault import Vault

WEBHOOK = {"name": "signed", "source": {"type": "webhook"}}
POLL = {
    "name": "polled",
    "source": {
        "type": "http_poll",
        "url": "http://127.0.0.1:1/never",
        "interval": "1h",
        "auth": {"type": "bearer", "token": "the very secret token"},
    },
}


async def test_a_signed_webhook_gets_a_secret_that_is_shown_once(api: Any) -> None:
    created = await api.post("/api/v1/pipelines", json=WEBHOOK)
    assert created.status_code == 201
    pipeline = created.json()
    assert pipeline["secret"].startswith("whsec_")
    assert pipeline["ingest_url"] == f"http://dash.test/in/{pipeline['id']}"
    assert created.headers["location"] == f"/api/v1/pipelines/{pipeline['id']}"
    shown = (await api.get(f"/api/v1/pipelines/{pipeline['id']}")).json()
    assert "secret" not in shown
    assert pipeline["secret"] not in str(shown)
    assert (await api.get(f"/api/v1/pipelines/{pipeline['id']}/secrets")).json() == {"secrets": [pipeline["secret"]]}


async def test_secrets_rotate_and_the_old_ones_stay_until_they_are_dropped(api: Any) -> None:
    pipeline = (await api.post("/api/v1/pipelines", json=WEBHOOK)).json()
    path = f"/api/v1/pipelines/{pipeline['id']}/secrets"
    assert (await api.post(f"{path}/drop")).status_code == 409
    new = (await api.post(f"{path}/rotate")).json()["secret"]
    assert (await api.get(path)).json() == {"secrets": [new, pipeline["secret"]]}
    assert (await api.post(f"{path}/drop")).status_code == 200
    assert (await api.get(path)).json() == {"secrets": [new]}
    assert (await api.get(f"/api/v1/pipelines/{pipeline['id']}")).json()["version"] == 1  # the document did not change


async def test_an_unsigned_webhook_has_no_secret(scene: Any, api: Any) -> None:
    pipeline_id = await scene.boilers()
    assert (await api.get(f"/api/v1/pipelines/{pipeline_id}/secrets")).status_code == 409
    assert (await api.post(f"/api/v1/pipelines/{pipeline_id}/secrets/rotate")).status_code == 409


async def test_secrets_in_a_document_are_masked_kept_and_sealed(scene: Any, api: Any) -> None:
    pipeline = (await api.post("/api/v1/pipelines", json=POLL)).json()
    path = f"/api/v1/pipelines/{pipeline['id']}"
    assert pipeline["source"]["auth"] == {"type": "bearer", "token": "********"}
    source = pipeline["source"] | {"interval": "2h"}
    put = await api.put(path, json={"name": "polled", "source": source})
    assert (put.status_code, put.json()["version"]) == (200, 2)
    (stored,) = await scene.it.services.pipelines.stored()
    assert stored.document.source["auth"]["token"] == "the very secret token"
    assert stored.document.source["interval"] == "2h"
    for folder in (scene.it.settings.server.data_dir,):
        held = [file for file in folder.rglob("*") if file.is_file() and b"the very secret" in file.read_bytes()]
        assert held == []
    masked = {"name": "other", "source": POLL["source"] | {"auth": {"type": "bearer", "token": "********"}}}
    answer = await api.post("/api/v1/pipelines", json=masked)
    assert answer.json()["problems"] == [
        {"pointer": "/source/auth/token", "message": "the mask stands for a stored secret and there is none"}
    ]


async def test_versions_keep_every_definition(scene: Any, api: Any) -> None:
    pipeline_id = await scene.boilers()
    document = {"name": "boilers", "source": {"type": "webhook", "signature": "none"}, "description": "by the door"}
    changed = (await api.put(f"/api/v1/pipelines/{pipeline_id}", json=document)).json()
    assert (changed["version"], changed["name"], changed["description"]) == (2, "boilers", "by the door")
    versions = (await api.get(f"/api/v1/pipelines/{pipeline_id}/versions")).json()["items"]
    assert [(one["version"], one["author"], one["document"]["name"]) for one in versions] == [
        (2, "token admin", "boilers"),
        (1, "ada@example.org", "boiler-room"),
    ]


async def test_a_document_is_told_all_its_mistakes(api: Any) -> None:
    document = {
        "name": "",
        "source": {"type": "webhok"},
        "mapping": {"fields": [{"name": "t", "type": "flaot", "path": "$.t"}]},
        "sinks": [{"type": "pager"}],
        "retention": {"bronze": "a while"},
        "colour": "red",
    }
    answer = await api.post("/api/v1/pipelines", json=document)
    assert answer.status_code == 422
    problems = {one["pointer"]: one for one in answer.json()["problems"]}
    assert sorted(problems) == [
        "/colour", "/mapping/fields/0/type", "/name", "/retention/bronze", "/sinks/0", "/source/type",
    ]  # fmt: skip
    assert problems["/source/type"]["hint"] == "did you mean 'webhook'?"
    linted = (await api.post("/api/v1/pipelines/lint", json=document)).json()["problems"]
    assert {one["pointer"] for one in linted} == set(problems)


async def test_a_mapping_that_cannot_be_is_told_with_its_place(api: Any) -> None:
    field = {"name": "t", "type": "float", "expr": "launch_missiles(1)"}
    answer = await api.post("/api/v1/pipelines", json=WEBHOOK | {"mapping": {"fields": [field]}})
    assert [one["pointer"] for one in answer.json()["problems"]] == ["/mapping/fields/0/expr"]


async def test_names_are_unique_in_an_organisation(scene: Any, api: Any) -> None:
    first = await scene.boilers()
    unsigned = {"type": "webhook", "signature": "none"}
    taken = await api.post("/api/v1/pipelines", json={"name": "boiler-room", "source": unsigned})
    assert (taken.status_code, taken.json()["code"]) == (409, "E_CONFLICT")
    second = (await api.post("/api/v1/pipelines", json={"name": "second", "source": unsigned})).json()["id"]
    renamed = await api.put(f"/api/v1/pipelines/{second}", json={"name": "boiler-room", "source": unsigned})
    assert renamed.status_code == 409
    async with scene.client(scene.tokens["other"]) as rival:
        theirs = await rival.post("/api/v1/pipelines", json={"name": "boiler-room", "source": unsigned})
        assert theirs.status_code == 201
    assert (await api.delete(f"/api/v1/pipelines/{first}")).status_code == 204
    assert (await api.post("/api/v1/pipelines", json={"name": "boiler-room", "source": unsigned})).status_code == 201


async def test_a_column_cannot_change_its_type(scene: Any, api: Any) -> None:
    pipeline_id = await scene.boilers()
    document = {
        "name": "boiler-room",
        "source": {"type": "webhook", "signature": "none"},
        "mapping": {"fields": [{"name": "temp_c", "path": "$.temp_c", "type": "boolean"}]},
    }
    answer = await api.put(f"/api/v1/pipelines/{pipeline_id}", json=document)
    assert answer.status_code == 409
    assert "temp_c" in answer.json()["detail"]
    still = (await api.get(f"/api/v1/pipelines/{pipeline_id}")).json()
    assert (still["version"], still["state"]) == (1, "running")
    await scene.receive(pipeline_id, b'{"device": "b1", "temp_c": 20.5}')
    assert (await api.get(f"/api/v1/pipelines/{pipeline_id}/ledger")).json()["stored"] == 1


async def test_pause_and_resume(scene: Any, api: Any) -> None:
    pipeline_id = await scene.boilers()
    await scene.receive(pipeline_id, b'{"device": "b1", "temp_c": 20}')
    paused = await api.post(f"/api/v1/pipelines/{pipeline_id}/pause")
    assert (paused.json()["state"], paused.json()["live"]["ledger"]["stored"]) == ("paused", 1)
    assert (await api.post(f"/api/v1/pipelines/{pipeline_id}/pause")).json()["state"] == "paused"
    assert (await api.get(f"/api/v1/pipelines/{pipeline_id}/records")).json()["items"][0]["temp_c"] == 20.0
    assert (await api.post(f"/api/v1/pipelines/{pipeline_id}/resume")).json()["state"] == "running"


async def test_a_deleted_pipeline_leaves_nothing(scene: Any, api: Any) -> None:
    pipeline_id = await scene.boilers()
    await scene.receive(pipeline_id, b'{"device": "b1"}')
    assert (await api.delete(f"/api/v1/pipelines/{pipeline_id}")).status_code == 204
    for path in ("", "/records", "/recent", "/ledger", "/dead-letters", "/versions", "/records/1"):
        assert (await api.get(f"/api/v1/pipelines/{pipeline_id}{path}")).status_code == 404
    assert pipeline_id not in scene.it.engine.bronze.pipelines()
    assert await scene.it.services.pipelines.stored() == []


async def test_lists_come_by_page(scene: Any, api: Any) -> None:
    for number in range(5):
        await scene.boilers(name=f"p{number}")
    seen: list[str] = []
    cursor: str | None = None
    for _ in range(3):
        parameters = {"limit": "2"} | ({"cursor": cursor} if cursor else {})
        page = (await api.get("/api/v1/pipelines", params=parameters)).json()
        seen += [one["name"] for one in page["items"]]
        cursor = page["next_cursor"]
    assert seen == ["p0", "p1", "p2", "p3", "p4"]
    assert cursor is None
    wrong = await api.get("/api/v1/pipelines?limit=0&cursr=x")
    assert [one["pointer"] for one in wrong.json()["problems"]] == ["/cursr"]
    assert (await api.get("/api/v1/pipelines?cursor=nonsense")).status_code == 422
    assert (await api.get("/api/v1/pipelines?limit=501")).status_code == 422


async def test_pipelines_survive_a_restart(scene: Any) -> None:
    pipeline_id = await scene.boilers()
    (stored,) = await scene.it.services.pipelines.stored()
    assert (stored.id, stored.version, stored.state.value) == (pipeline_id, 1, "running")
    assert stored.document.mapping.fields[1].max == 200


async def test_a_deletion_that_was_cut_short_is_finished_at_the_next_start(scene: Any, api: Any) -> None:
    pipeline_id, kept = await scene.boilers(), await scene.boilers(name="kept")
    await scene.receive(pipeline_id, b'{"device": "b1"}')

    def condemn(tx: Any) -> None:
        row = tx.get(PipelineRow, pipeline_id)
        row.state, row.live_name = "deleted", None

    await scene.it.plane.write(condemn)
    assert (await api.get(f"/api/v1/pipelines/{pipeline_id}")).status_code == 404
    assert [one.id for one in await scene.it.services.pipelines.stored()] == [kept]
    assert scene.it.engine.bronze.last_seq(pipeline_id) == 0
    assert await scene.it.plane.read(lambda tx: tx.get(PipelineRow, pipeline_id)) is None


async def test_secrets_sealed_with_another_key_stop_one_pipeline_only(scene: Any, api: Any) -> None:
    signed = (await api.post("/api/v1/pipelines", json=WEBHOOK)).json()["id"]
    kept = await scene.boilers()
    foreign = Vault.open(scene.it.settings.server.data_dir / "elsewhere").seal("whsec_x")

    def swap(tx: Any) -> None:
        tx.get(PipelineRow, signed).secrets = [foreign]

    await scene.it.plane.write(swap)
    assert [one.id for one in await scene.it.services.pipelines.stored()] == [kept]
    assert (await api.get(f"/api/v1/pipelines/{signed}")).status_code == 200
    answer = await api.get(f"/api/v1/pipelines/{signed}/secrets")
    assert (answer.status_code, answer.json()["code"]) == (500, "E_FATAL")


async def test_a_pipeline_that_failed_says_so_keeps_receiving_and_is_resumed(scene: Any, api: Any) -> None:
    boilers = PipelineId(await scene.boilers())
    await scene.receive(boilers, b'{"device":"z"}')
    run = scene.it.engine.run_of(boilers)
    run.refiner._fail(FatalError("the store is damaged", hint="restore it"))
    shown = (await api.get(f"/api/v1/pipelines/{boilers}")).json()
    assert (shown["state"], shown["live"]["last_error"]) == ("failed", "the store is damaged (restore it)")
    request = InboundRequest({"content-type": "application/json"}, b'{"device":"a"}', None, utc_now())
    await scene.it.engine.receiver.post(boilers, request)
    assert (await api.get(f"/api/v1/pipelines/{boilers}/ledger")).json()["pending"] == 1
    assert (await api.post(f"/api/v1/pipelines/{boilers}/resume")).json()["state"] == "running"
    await scene.receive(boilers, b'{"device":"b"}')
    assert (await api.get(f"/api/v1/pipelines/{boilers}/ledger")).json()["stored"] == 3
