"""Every saved document stays, candidates wait beside the one that runs, and there is a way back."""

from typing import Any

SOURCE = {"type": "webhook", "signature": "none"}
TEMP = {"name": "temp_c", "path": "$.temp_c", "type": "float"}
POLL = {
    "type": "http_poll",
    "url": "http://127.0.0.1:1/never",
    "interval": "1h",
    "auth": {"type": "bearer", "token": "the first token"},
}


def document(*fields: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"name": "boiler-room", "source": SOURCE, "mapping": {"fields": list(fields)}, **more}


def told(versions: Any) -> list[tuple[int, bool, bool, str | None]]:
    return [(one["version"], one["running"], one["candidate"], one["note"]) for one in versions.json()["items"]]


async def made(api: Any, **first: Any) -> str:
    path: str = (await api.post("/api/v1/pipelines", json=first)).headers["location"]
    return path


async def test_a_candidate_waits_beside_the_version_that_runs(api: Any) -> None:
    path = await made(api, **document(TEMP))
    new = {"document": document(TEMP | {"type": "string"}), "note": "text from now on"}
    saved = await api.post(f"{path}/versions", json=new)
    assert (saved.status_code, saved.headers["location"]) == (201, f"{path}/versions/2")
    assert (saved.json()["author"], saved.json()["document"]["mapping"]["fields"][0]["type"]) == (
        "token admin",
        "string",
    )
    assert (await api.get(path)).json()["version"] == 1
    put = await api.put(path, json=document(TEMP, description="as before"))
    assert put.json()["version"] == 3  # the number of the candidate is taken
    await api.post(f"{path}/versions", json={"document": document()})
    assert told(await api.get(f"{path}/versions")) == [
        (4, False, True, None), (3, True, False, None), (2, False, False, "text from now on"), (1, False, False, None),
    ]  # fmt: skip
    audit = (await api.get("/api/v1/audit")).json()["items"]
    done = [(one["action"], one["detail"]) for one in audit if one["action"] == "pipeline.save_version"]
    assert done == [("pipeline.save_version", {"name": "boiler-room", "version": number}) for number in (4, 2)]


async def test_a_candidate_is_judged_like_a_document_that_runs(api: Any) -> None:
    path = await made(api, **document(TEMP))
    bad = document({"name": "1st", "path": "temp", "type": "float"}, retention={"bronze": "soon"})
    answer = await api.post(f"{path}/versions", json={"document": bad})
    assert answer.status_code == 422
    assert {one["pointer"] for one in answer.json()["problems"]} == {
        "/document/retention/bronze", "/document/mapping/fields/0/name", "/document/mapping/fields/0/path",
    }  # fmt: skip
    other = await api.post("/api/v1/pipelines", json=document() | {"name": "other"})
    assert other.status_code == 201
    taken = await api.post(f"{path}/versions", json={"document": document() | {"name": "other"}})
    assert taken.status_code == 409
    assert len((await api.get(f"{path}/versions")).json()["items"]) == 1


async def test_versions_are_compared_by_place_and_in_words(api: Any) -> None:
    path = await made(api, **document(TEMP))
    await api.put(path, json=document({"name": "site", "path": "$.site", "type": "string"}, TEMP | {"max": 200}))
    diff = (await api.get(f"{path}/versions/1/diff")).json()
    assert (diff["before"], diff["after"]) == (1, 2)
    assert diff["changes"] == [
        {"op": "added", "pointer": "/mapping/fields/1/max", "before": None, "after": 200.0},
        {"op": "added", "pointer": "/mapping/fields/0", "before": None,
         "after": {"name": "site", "type": "string", "path": "$.site"}},
    ]  # fmt: skip
    assert diff["words"] == ["field 'temp_c': max none → 200.0", "field 'site' added: string, read from $.site"]
    back = (await api.get(f"{path}/versions/2/diff", params={"to": 1})).json()
    assert back["words"] == ["field 'site' removed", "field 'temp_c': max 200.0 → none"]
    assert (await api.get(f"{path}/versions/1/diff", params={"to": 9})).status_code == 404
    assert (await api.get(f"{path}/versions/9")).status_code == 404


async def test_an_earlier_document_comes_back_as_a_new_version(scene: Any, api: Any) -> None:
    path = await made(api, **document(TEMP))
    await api.put(path, json=document(description="never mind"))
    restored = await api.post(f"{path}/versions/1/restore", json={})
    assert (restored.status_code, restored.json()["version"]) == (201, 3)
    assert (restored.json()["running"], restored.json()["note"]) == (True, "version 1 again")
    assert (await api.get(path)).json()["mapping"]["fields"] == [TEMP]
    diff = (await api.get(f"{path}/versions/1/diff", params={"to": 3})).json()
    assert (diff["changes"], diff["words"]) == ([], [])


async def test_a_document_whose_columns_do_not_fit_comes_back_as_a_candidate(api: Any) -> None:
    path = await made(api, **document(TEMP))
    wider = document(TEMP | {"type": "string"})
    assert (await api.put(path, json=wider)).status_code == 200
    assert (await api.post(f"{path}/versions/1/restore", json={})).status_code == 409
    kept = await api.post(f"{path}/versions/1/restore", json={"run": False, "note": "numbers again"})
    assert (kept.json()["version"], kept.json()["candidate"]) == (3, True)
    assert (await api.get(path)).json()["version"] == 2


async def test_secrets_stay_what_they_are_today(scene: Any, api: Any) -> None:
    path = await made(api, name="polled", source=POLL)
    await api.put(path, json={"name": "polled", "source": POLL | {"auth": {"type": "bearer", "token": "the second"}}})
    await api.post(f"{path}/versions/1/restore", json={})
    shown = (await api.get(f"{path}/versions/3")).json()["document"]
    assert shown["source"]["auth"]["token"] == "********"
    masked = {"document": {"name": "polled", "source": shown["source"] | {"interval": "2h"}}}
    assert (await api.post(f"{path}/versions", json=masked)).status_code == 201
    (stored,) = await scene.it.services.pipelines.stored()
    assert (stored.version, stored.document.source["auth"]["token"]) == (3, "the second")
    await api.put(path, json={"name": "polled", "source": SOURCE})
    again = await api.post(f"{path}/versions/1/restore", json={})  # today's source has no such secret: its own is used
    assert again.status_code == 201
    (stored,) = await scene.it.services.pipelines.stored()
    assert stored.document.source["auth"]["token"] == "the first token"
