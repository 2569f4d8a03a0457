"""One suite over every pull source, and what all push sources have to keep."""

import contextlib
import inspect
import json
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from appliance.catalog import SOURCES, make_source
from appliance.components.lint import lint, secret_fields
from appliance.components.source import InboundRequest, Page, PullSource, PushSource
from appliance.egress.client import OutboundClient
from appliance.egress.guard import parse_allowed
from appliance.errors import RequestError, TransientError
from tests.fakes.graphql_server import CONNECTION, Plant
from tests.fakes.http_server import Answer, Asked, HttpServer, as_json
from tests.fakes.resources import NOW, resources
from tests.fakes.upstream import MemoryUpstream

PULLED: dict[str, dict[str, Any]] = {
    "host_metrics": {"type": "host_metrics", "interval": "1s"},
    "poll, one answer": {"type": "http_poll", "path": "/one"},
    "poll, by page": {"type": "http_poll", "path": "/page", "pagination": {"type": "page", "size": 2}},
    "poll, by offset": {"type": "http_poll", "path": "/offset", "pagination": {"type": "offset", "limit": 2}},
    "poll, by cursor": {
        "type": "http_poll",
        "path": "/cursor",
        "items": "$.items",
        "pagination": {"type": "cursor", "path": "$.next", "param": "c"},
    },
    "poll, by link": {"type": "http_poll", "path": "/link", "pagination": {"type": "link"}},
    "poll, what is new": {"type": "http_poll", "path": "/since", "since": {"param": "s", "path": "$.n"}},
    "graphql": {"type": "graphql_poll", "path": "/graphql", "query": "{ readings { n } }", "items": "$.data.readings"},
    "graphql, by cursor": {
        "type": "graphql_poll",
        "path": "/graphql",
        "query": CONNECTION,
        "items": "$.data.plant.readings.nodes",
        "pagination": {"type": "relay", "connection": "$.data.plant.readings"},
        "since": {"variable": "since", "path": "$.updatedAt"},
    },
    "another pipeline": {"type": "pipeline", "pipeline": "boilers"},
    "several pipelines": {"type": "pipeline", "pipelines": ["boilers", "pl_b"], "where": {"ok": True}},
}
ROWS = [{"n": n} for n in range(5)]


def routes(server: HttpServer) -> dict[str, Callable[[Asked], Answer]]:
    def by_page(asked: Asked) -> Answer:
        first = 2 * int(asked.query["page"]) - 2
        return as_json(ROWS[first : first + 2])

    def by_offset(asked: Asked) -> Answer:
        first = int(asked.query["offset"])
        return as_json(ROWS[first : first + 2])

    def by_cursor(asked: Asked) -> Answer:
        first = int(asked.query.get("c", "0"))
        return as_json({"items": ROWS[first : first + 2], "next": first + 2 if first < 4 else None})

    def by_link(asked: Asked) -> Answer:
        first = int(asked.query.get("from", "0"))
        link = {"Link": f'</link?from={first + 2}>; rel="next"'} if first < 4 else {}
        return as_json(ROWS[first : first + 2], **link)

    def since(asked: Asked) -> Answer:
        return as_json([row for row in ROWS if row["n"] >= int(asked.query.get("s", "0"))])

    return {
        "/one": lambda _: as_json(ROWS), "/page": by_page, "/offset": by_offset, "/cursor": by_cursor,
        "/link": by_link, "/since": since, "/graphql": Plant(),
    }  # fmt: skip


@pytest.fixture
async def server() -> AsyncIterator[HttpServer]:
    async with HttpServer() as running:
        running.routes.update(routes(running))
        yield running


def other_pipelines() -> MemoryUpstream:
    upstream = MemoryUpstream(pl_a="boilers", pl_b="pumps")
    for pipeline_id in ("pl_a", "pl_b"):
        for row in ROWS:
            upstream.put(pipeline_id, *({**row, "ok": item == 0} for item in range(700)))  # a page takes one event
    return upstream


Make = Callable[[], PullSource]


@pytest.fixture(params=PULLED)
async def make(request: pytest.FixtureRequest, server: HttpServer) -> AsyncIterator[Make]:
    """Makes the same source again and again, as restarts do."""
    document = dict(PULLED[request.param])
    if "path" in document:
        document["url"] = server.url(document.pop("path"))
    client = OutboundClient([parse_allowed("127.0.0.1/32")])
    upstream = other_pipelines()

    def made() -> PullSource:
        source = make_source(document, resources(outbound=client, upstream=upstream))
        assert not hasattr(source, "admit")
        return source  # type: ignore[return-value]

    yield made
    await client.close()


async def polled(source: PullSource, checkpoint: dict[str, Any] | None = None) -> list[Page]:
    """Pages of one poll; of a source that only takes notes the first time, of the second."""
    for _ in range(100):
        pages = [page async for page in source.poll(checkpoint)]
        if pages:
            return pages
    raise AssertionError("a hundred polls and no page")


def stored(page: Page) -> dict[str, Any] | None:
    checkpoint: dict[str, Any] | None = json.loads(msgspec.json.encode(page.checkpoint))
    return checkpoint


def payloads(pages: list[Page]) -> list[bytes]:
    return [bytes(payload) for page in pages for payload in page.payloads]


def names(pages: list[Page]) -> list[str]:
    return [page.delivery_id for page in pages if page.delivery_id is not None]


def origin(payload: bytes) -> str:
    """Where events of several come from: only within each is there an order."""
    return str(json.loads(payload).get("_pipeline"))


async def test_making_one_asks_nobody(make: Make, server: HttpServer) -> None:
    make()
    assert server.requests == []


async def test_it_says_when_it_is_due(make: Make) -> None:
    due = make().schedule.due(NOW)
    assert due > NOW
    assert due.utcoffset() == timedelta(0)


async def test_each_payload_is_one_json_value_and_each_checkpoint_an_object(make: Make) -> None:
    pages = await polled(make())
    assert payloads(pages)
    for payload in payloads(pages):
        json.loads(payload)
    assert all(page.checkpoint is None or isinstance(stored(page), dict) for page in pages)
    assert len(set(names(pages))) == len(names(pages))
    assert all(0 < len(name) <= 255 for name in names(pages))


async def test_a_poll_cut_off_after_any_page_loses_and_repeats_nothing(make: Make) -> None:
    """The engine stores page after page; whatever it has stored when it dies, the rest comes after the restart."""
    whole = await polled(make())
    for cut in range(1, len(whole)):
        kept: list[Page] = []
        pages = make().poll(None)
        async for page in pages:
            kept.append(page)
            if len(kept) == cut:
                break
        await pages.aclose()  # type: ignore[attr-defined]
        rest = await polled(make(), stored(kept[-1]))
        assert sorted(payloads(kept + rest), key=origin) == sorted(payloads(whole), key=origin)
        assert names(kept + rest) == names(whole)


async def test_a_failure_leaves_the_next_poll_whole(make: Make, server: HttpServer) -> None:
    source = make()
    before = dict(server.routes)
    server.routes.update({path: lambda _: Answer(503, headers={"retry-after": "3"}) for path in before})
    with contextlib.suppress(TransientError):  # a source that asks nobody does not fail
        await polled(source)
    server.routes.update(before)
    assert payloads(await polled(source))


async def test_the_checkpoint_of_another_source_does_no_harm(make: Make) -> None:
    assert payloads(await polled(make(), {"somebody": ["else's"]}))


@pytest.mark.parametrize("type_name", SOURCES)
def test_every_source_is_declared_with_titles_and_marked_secrets(type_name: str) -> None:
    config = SOURCES[type_name].config
    assert config.__struct_config__.tag == type_name
    assert config.__struct_config__.frozen
    assert config.__doc__
    schema = msgspec.json.schema(config)["$defs"][config.__name__]["properties"]
    assert [name for name in schema if name != "type" and not _titled(schema[name])] == []
    assert lint(config, {"type": type_name, "no such key": 1})[0].pointer == "/no such key"
    assert all(pointer.startswith("/") for pointer in secret_fields(config))


def _titled(schema: dict[str, Any]) -> bool:
    return "title" in schema or any("title" in part for part in schema.get("anyOf", []))


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 5_000, b"null", b"[]"])
@pytest.mark.parametrize("headers", [{}, {"content-type": "text/html"}, {"content-encoding": "gzip"}])
def test_a_push_source_raises_nothing_but_request_errors(body: bytes, headers: dict[str, str]) -> None:
    for document in ({"type": "webhook"}, {"type": "webhook", "signature": "none"}):
        source: Any = make_source(document, resources())
        assert (
            list(inspect.signature(source.admit).parameters) == list(inspect.signature(PushSource.admit).parameters)[1:]
        )
        try:
            admission = source.admit(InboundRequest(headers, body, None, NOW))
        except RequestError:
            continue
        assert [bytes(payload) for payload in admission.payloads] == [b"null"]
