"""Rows by page and as files, dead letters, events, the ledger, the stream."""

import asyncio
import io
import json
from collections.abc import AsyncIterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest

from appliance.api import stream
from appliance.domain.access import Role

EVENTS = [
    b'{"ts": "2026-01-31T08:00:00Z", "device": "b1", "temp_c": 20.5, "tags": {"floor": 1}, "note": "kept"}',
    b'{"ts": "2026-01-31T08:01:00Z", "device": "b2", "temp_c": 21}',
    b'{"ts": "2026-01-31T08:02:00Z", "temp_c": 22}',  # the device is required
    b'{"ts": "2026-01-31T08:03:00Z", "device": "b1", "temp_c": 999}',  # 200 at most
    b'{"ts": "2026-01-31T08:04:00Z", "device": "b1", "temp_c": null}',
]


@pytest.fixture
async def boilers(scene: Any) -> str:
    pipeline_id: str = await scene.boilers()
    await scene.receive(pipeline_id, *EVENTS)
    return f"/api/v1/pipelines/{pipeline_id}"


async def test_rows_newest_first(api: Any, boilers: str) -> None:
    page = (await api.get(f"{boilers}/records")).json()
    assert page == {
        "items": [
            {"_time": "2026-01-31T08:04:00Z", "_seq": 5, "device": "b1", "temp_c": None, "tags": None},
            {"_time": "2026-01-31T08:01:00Z", "_seq": 2, "device": "b2", "temp_c": 21.0, "tags": None},
            {
                "_time": "2026-01-31T08:00:00Z",
                "_seq": 1,
                "_extra": {"note": "kept"},
                "device": "b1",
                "temp_c": 20.5,
                "tags": {"floor": 1},
            },
        ],
        "next_cursor": None,
    }


async def test_rows_by_page(api: Any, boilers: str) -> None:
    seen: list[int] = []
    cursor = None
    while True:
        parameters = {"limit": 1, "order": "asc"} | ({"cursor": cursor} if cursor else {})
        page = (await api.get(f"{boilers}/records", params=parameters)).json()
        seen += [row["_seq"] for row in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == [1, 2, 5]


ASKED: list[tuple[dict[str, str], list[int]]] = [
    ({"from": "2026-01-31T08:01:00Z"}, [5, 2]),
    ({"to": "2026-01-31T08:01:00Z"}, [1]),
    ({"from": "now-1h"}, []),
    ({"where": '{"device": "b1"}'}, [5, 1]),
    ({"where": '[{"field": "temp_c", "op": ">", "value": 20.6}]'}, [2]),
    ({"where": '{"device": ["b2", "b3"]}'}, [2]),
    ({"where": '[{"field": "temp_c", "op": "is_null"}]'}, [5]),
]


async def test_rows_that_are_asked_for(api: Any, boilers: str) -> None:
    for parameters, expected in ASKED:
        page = (await api.get(f"{boilers}/records", params=parameters)).json()
        assert ([row["_seq"] for row in page["items"]], parameters) == (expected, parameters)


async def test_wrong_questions_are_told_every_mistake(api: Any, boilers: str) -> None:
    where = '[{"field": "tmp_c", "op": "="}, {"field": "device", "op": "like", "value": "b"}]'
    answer = await api.get(f"{boilers}/records", params={"from": "yesterday", "where": where})
    assert answer.status_code == 422
    problems = {one["pointer"]: one for one in answer.json()["problems"]}
    assert sorted(problems) == ["/from", "/where/0/field", "/where/1/op"]
    assert problems["/where/0/field"]["hint"] == "did you mean 'temp_c'?"
    for parameters, pointer in (
        ({"limit": "many"}, "/limit"),
        ({"limit": "100000"}, "/limit"),
        ({"order": "up"}, "/order"),
        ({"where": "{"}, "/where"),
        ({"where": '{"nothing": 1}'}, "/where/nothing"),
        ({"cursor": "x"}, "/cursor"),
        ({"format": "xls"}, "/format"),
        ({"from": "2026-01-31T08:00:00Z", "to": "2026-01-31T07:00:00Z"}, "/to"),
    ):
        answer = await api.get(f"{boilers}/records", params=parameters)
        assert (answer.status_code, [one["pointer"] for one in answer.json()["problems"]]) == (422, [pointer])


async def test_rows_as_files(api: Any, boilers: str) -> None:
    csv = await api.get(f"{boilers}/records?order=asc", headers={"accept": "text/csv;q=0.9, application/json;q=0.1"})
    assert csv.headers["content-type"].startswith("text/csv")
    assert csv.headers["content-disposition"].endswith('.csv"')
    lines = csv.text.splitlines()
    assert lines[0].replace('"', "") == "_time,_seq,_extra,device,temp_c,tags"
    assert len(lines) == 4
    ndjson = await api.get(f"{boilers}/records?order=asc&format=ndjson&limit=1")
    assert json.loads(ndjson.text)["tags"] == {"floor": 1}
    parquet = await api.get(f"{boilers}/records", headers={"accept": "application/vnd.apache.parquet"})
    assert pyarrow.parquet.read_table(io.BytesIO(parquet.content)).column("_seq").to_pylist() == [5, 2, 1]
    arrow = await api.get(f"{boilers}/records?format=arrow")
    assert pa.ipc.open_stream(arrow.content).read_all().column("device").to_pylist() == ["b1", "b2", "b1"]


async def test_a_file_has_all_rows_a_page_does_not(scene: Any, api: Any) -> None:
    pipeline_id = await scene.boilers()
    events = b"[" + b",".join(b'{"device": "b%d"}' % number for number in range(250)) + b"]"
    await scene.receive(pipeline_id, events)
    assert len((await api.get(f"/api/v1/pipelines/{pipeline_id}/records")).json()["items"]) == 100
    csv = await api.get(f"/api/v1/pipelines/{pipeline_id}/records?format=csv")
    assert len(csv.text.splitlines()) == 251


async def test_dead_letters_say_why_and_where(api: Any, boilers: str) -> None:
    page = (await api.get(f"{boilers}/dead-letters")).json()
    assert [(one["seq"], one["reason"], one["field"]) for one in page["items"]] == [
        (4, "max", "temp_c"),
        (3, "required", "device"),
    ]
    only = (await api.get(f"{boilers}/dead-letters?field=device")).json()["items"]
    assert [one["seq"] for one in only] == [3]
    first = (await api.get(f"{boilers}/dead-letters?limit=1")).json()
    second = (await api.get(f"{boilers}/dead-letters", params={"cursor": first["next_cursor"]})).json()
    assert [one["seq"] for one in second["items"]] == [3]
    event = (await api.get(f"{boilers}/records/3")).json()
    assert event["payload"] == {"ts": "2026-01-31T08:02:00Z", "temp_c": 22}
    assert (event["source"], event["remote"]) == ("webhook", "192.0.2.7")
    for nothing in ("0", "6", "99999999999999999999"):
        assert (await api.get(f"{boilers}/records/{nothing}")).status_code == 404


async def test_recent_and_ledger(api: Any, boilers: str) -> None:
    assert [row["_seq"] for row in (await api.get(f"{boilers}/recent")).json()["items"]] == [1, 2, 5]
    assert (await api.get(f"{boilers}/ledger")).json() == {
        "received": 5, "stored": 3, "filtered": 0, "duplicate": 0, "dead": 2, "pending": 0,
    }  # fmt: skip


class Listener:
    """Calls the ASGI application by hand, since httpx waits for the end of an answer."""

    def __init__(self, app: Any, path: str, token: str) -> None:
        self._sent: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._gone = asyncio.Event()
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
            "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "", "state": {},
            "headers": [(b"authorization", f"Bearer {token}".encode()), (b"host", b"dash.test")],
            "client": ("192.0.2.9", 1), "server": ("dash.test", 80),
        }  # fmt: skip
        self.task = asyncio.create_task(app(scope, self._receive, self._send))

    async def _receive(self) -> dict[str, Any]:
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: dict[str, Any]) -> None:
        await self._sent.put(message)
        if message["type"] == "http.response.body" and not message.get("more_body"):
            self._gone.set()  # as servers do: after the answer there is nobody left

    async def lines(self) -> AsyncIterator[bytes]:
        while True:
            message = await asyncio.wait_for(self._sent.get(), 10)
            if message["type"] == "http.response.body":
                yield message.get("body", b"")
            if message["type"] == "http.response.body" and not message.get("more_body"):
                return

    def leave(self) -> None:
        self._gone.set()


async def test_the_stream_tells_each_commit_and_ends_with_the_appliance(scene: Any, boilers: str) -> None:
    listener = Listener(scene.api, f"{boilers}/stream", scene.tokens["viewer"])
    lines = listener.lines()
    assert await anext(lines) == b"retry: 2000\n\n"
    await scene.receive(boilers.rsplit("/", 1)[-1], b'{"device": "b7"}')
    told = await anext(lines)
    assert told.startswith(b"event: commit\ndata: {")
    assert json.loads(told.split(b"data: ")[1])["rows"][0]["device"] == "b7"
    scene.stopping.set()
    assert [line async for line in lines] == [b""]
    await asyncio.wait_for(listener.task, 5)


async def test_the_stream_ends_when_the_client_leaves(scene: Any, boilers: str) -> None:
    listener = Listener(scene.api, f"{boilers}/stream", scene.tokens["viewer"])
    await anext(listener.lines())
    assert scene.it.engine.hub.listeners
    listener.leave()
    await asyncio.wait_for(listener.task, 5)
    assert not scene.it.engine.hub.listeners


async def test_the_stream_ends_for_whoever_is_not_known_any_more(
    scene: Any, boilers: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where there is always something to tell: it is never quiet enough to look then."""
    monkeypatch.setattr(stream, "LOOK_SECS", 0.0)
    made = await scene.it.services.tokens.create(scene.admin, "a reader that is stolen", Role.VIEWER)
    listener = Listener(scene.api, f"{boilers}/stream", made.token)
    lines = listener.lines()
    await anext(lines)
    await scene.it.services.tokens.revoke(scene.admin, made.info.id)
    await scene.receive(boilers.rsplit("/", 1)[-1], b'{"device": "b7"}')
    assert [line async for line in lines] == [b""]
