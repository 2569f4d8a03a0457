"""GraphQL polls, answered by graphql-core on loopback; what no library answers (limits, odd bodies) is written out."""

import json
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import pytest

from appliance.components.lint import decode, lint, map_secrets
from appliance.components.source import Page
from appliance.egress.client import OutboundClient
from appliance.egress.guard import parse_allowed
from appliance.errors import ConfigError, Invalid, TransientError
from appliance.sources.graphql_poll import GraphqlPoll, GraphqlPollConfig
from tests.fakes.graphql_server import CONNECTION, Plant
from tests.fakes.http_server import Answer, HttpServer, as_json
from tests.fakes.resources import NOW, resources

PAGED = {
    "query": CONNECTION,
    "items": "$.data.plant.readings.nodes",
    "pagination": {"type": "relay", "connection": "$.data.plant.readings"},
}


@pytest.fixture
async def server() -> AsyncIterator[HttpServer]:
    async with HttpServer() as running:
        yield running


@pytest.fixture
def plant(server: HttpServer) -> Plant:
    server.routes["/graphql"] = plant = Plant()
    return plant


Make = Callable[..., GraphqlPoll]


@pytest.fixture
async def make(server: HttpServer) -> AsyncIterator[Make]:
    client = OutboundClient([parse_allowed("127.0.0.0/8")])

    def made(clock: Any = None, **document: Any) -> GraphqlPoll:
        given = {"type": "graphql_poll", "url": server.url("/graphql"), "query": "{ readings { n } }", **document}
        config = decode(GraphqlPollConfig, given)
        return GraphqlPoll(config, resources(outbound=client, **({"clock": clock} if clock else {})))

    yield made
    await client.close()


async def pages(source: GraphqlPoll, checkpoint: dict[str, Any] | None = None) -> list[Page]:
    return [page async for page in source.poll(checkpoint)]


def numbers(found: list[Page]) -> list[list[int]]:
    return [[json.loads(bytes(payload))["n"] for payload in page.payloads] for page in found]


def last(found: list[Page]) -> dict[str, Any]:
    checkpoint: dict[str, Any] = json.loads(json.dumps(found[-1].checkpoint))
    return checkpoint


def variables(server: HttpServer) -> list[dict[str, Any]]:
    return [json.loads(asked.body)["variables"] for asked in server.requests]


async def test_items_come_verbatim(plant: Plant, make: Make) -> None:
    [page] = await pages(make(items="$.data.readings"))
    assert [bytes(payload) for payload in page.payloads] == [b'{"n": %d}' % n for n in range(5)]
    [whole] = await pages(make())
    assert bytes(whole.payloads[0]).startswith(b'{"readings": [')


async def test_the_request_is_as_configured(plant: Plant, server: HttpServer, make: Make) -> None:
    both = "query Some($f: Int) { readings(updatedAfter: $f) { n } } query All { readings { n } }"
    source = make(
        query=both, operation="Some", variables={"f": 4}, headers={"X-Site": "a"},
        auth={"type": "bearer", "token": "t"}, items="$.data.readings",
    )  # fmt: skip
    assert numbers(await pages(source)) == [[4]]
    [asked] = server.requests
    assert (asked.method, asked.headers["content-type"], asked.headers["x-site"]) == ("POST", "application/json", "a")
    assert asked.headers["authorization"] == "Bearer t"
    assert json.loads(asked.body) == {"query": both, "variables": {"f": 4}, "operationName": "Some"}


async def test_a_connection_is_followed_to_its_end(plant: Plant, server: HttpServer, make: Make) -> None:
    found = await pages(make(**PAGED, variables={"first": 2}))
    assert numbers(found) == [[0, 1], [2, 3], [4]]
    assert variables(server) == [{"first": 2}, {"first": 2, "after": "MQ=="}, {"first": 2, "after": "Mw=="}]
    assert last(found)["run"] == 1


async def test_a_poll_goes_on_where_the_bound_on_pages_stopped_it(plant: Plant, make: Make) -> None:
    source = make(**PAGED, max_pages=2)
    found = await pages(source)
    assert numbers(found) == [[0, 1], [2, 3]]
    assert numbers(await pages(source, last(found))) == [[4]]


async def test_a_cursor_that_was_forgotten_starts_again(plant: Plant, make: Make) -> None:
    source = make(**PAGED, max_pages=1)
    found = await pages(source)
    plant.forgotten = True
    assert numbers(await pages(source, last(found))) == [[0, 1]]


async def test_only_what_is_new_is_asked_for(plant: Plant, server: HttpServer, make: Make) -> None:
    since = {"variable": "since", "path": "$.updatedAt", "initial": "2026-01-31T08:01:00Z"}
    source = make(**PAGED, since=since)
    found = await pages(source)
    assert numbers(found) == [[1, 2], [3, 4]]
    plant.numbers.append(5)
    assert numbers(await pages(source, last(found))) == [[5]]
    assert variables(server)[-1] == {"since": "2026-01-31T08:04:00Z"}


async def test_a_number_is_sent_as_one(plant: Plant, server: HttpServer, make: Make) -> None:
    query = "query ($from: Int) { readings(updatedAfter: $from) { n } }"
    since = {"variable": "from", "path": "$.n", "number": True}
    source = make(query=query, items="$.data.readings", since=since)
    found = await pages(source)
    plant.numbers.append(7)
    assert numbers(await pages(source, last(found))) == [[7]]
    assert variables(server) == [{}, {"from": 4}]


# --- errors


async def test_a_query_that_the_schema_refuses_needs_a_person(plant: Plant, make: Make) -> None:
    with pytest.raises(ConfigError, match="Cannot query field 'm' on type 'Reading'"):
        await pages(make(query="{ readings { m } }"))


async def test_an_error_without_data_is_tried_again(plant: Plant, make: Make) -> None:
    with pytest.raises(TransientError, match="failed: the database is down"):
        await pages(make(query="{ must(fail: true) }"))


async def test_data_in_part_is_taken_only_where_that_will_do(plant: Plant, make: Make) -> None:
    plant.broken = {1, 3}
    asked = {"query": "{ readings { n secret } }", "items": "$.data.readings"}
    with pytest.raises(
        TransientError, match=r"data with errors: you may not see it; you may not see it: set 'partial'"
    ):
        await pages(make(**asked))
    [page] = await pages(make(**asked, partial="keep"))
    assert [json.loads(bytes(payload)) for payload in page.payloads][1:3] == [
        {"n": 1, "secret": None},
        {"n": 2, "secret": 200},
    ]


async def test_items_that_are_missing_are_not_taken_for_none(server: HttpServer, make: Make) -> None:
    body = {"data": {"plant": {"readings": None}}, "errors": [{"message": "too slow"}]}
    server.routes["/graphql"] = lambda _: as_json(body)
    with pytest.raises(TransientError, match="too slow"):
        await pages(make(**PAGED, partial="keep"))


async def test_items_that_failed_are_left_out(server: HttpServer, make: Make) -> None:
    body = {"data": {"readings": [{"n": 1}, None]}, "errors": [{"message": "one is gone"}]}
    server.routes["/graphql"] = lambda _: as_json(body)
    assert numbers(await pages(make(items="$.data.readings", partial="keep"))) == [[1]]


@pytest.mark.parametrize(
    ("answer", "error", "told"),
    [
        (as_json({"errors": [{"message": "Syntax Error"}]}, 400), ConfigError, "answered 400: Syntax Error"),
        (as_json({"errors": [{"message": "Syntax Error"}]}), ConfigError, "failed: Syntax Error"),
        (as_json({"message": "Bad credentials"}, 401), ConfigError, "answered 401 .*check the source's auth"),
        (as_json({}, 502), TransientError, "answered 502"),
        (Answer(200, b"<html>"), TransientError, "not one of a GraphQL server"),
        (as_json({"ok": True}), TransientError, "neither data nor errors"),
        (as_json([{"data": {}}]), TransientError, "not one of a GraphQL server"),
        (as_json({"data": None, "errors": ["odd", 1, {"no": "message"}, {}]}), ConfigError, "odd; 1; None .and 1 more"),
        (as_json({"errors": [{"message": "oh", "extensions": {"code": "TIMEOUT"}}]}), TransientError, "failed: oh"),
        (as_json({"data": {"x": 1}}), ConfigError, "nothing at '.*readings"),
    ],
)
async def test_answers_that_are_none(
    server: HttpServer, make: Make, answer: Answer, error: type[Exception], told: str
) -> None:
    server.routes["/graphql"] = lambda _: answer
    with pytest.raises(error, match=told):
        await pages(make(items="$.data.readings"))


@pytest.mark.parametrize(
    ("page_info", "told"),
    [
        (None, "no pageInfo.hasNextPage"),
        ({"hasNextPage": "yes"}, "no pageInfo.hasNextPage"),
        ({"hasNextPage": True, "endCursor": None}, "no usable pageInfo.endCursor"),
        ({"hasNextPage": True, "endCursor": "same"}, "the same page again"),
    ],
)
async def test_connections_that_cannot_be_followed(server: HttpServer, make: Make, page_info: Any, told: str) -> None:
    connection = {"nodes": [{"n": 1}], "pageInfo": page_info}
    server.routes["/graphql"] = lambda _: as_json({"data": {"plant": {"readings": connection}}})
    with pytest.raises(ConfigError, match=told):
        await pages(make(**PAGED))


# --- limits


def bucket(available: float, needed: float = 100, most: float = 1_000, rate: float = 50) -> dict[str, Any]:
    status = {"maximumAvailable": most, "currentlyAvailable": available, "restoreRate": rate}
    return {"cost": {"requestedQueryCost": needed, "throttleStatus": status}}


async def test_a_short_rest_is_taken_between_pages(plant: Plant, server: HttpServer, make: Make) -> None:
    plant.extensions = bucket(99, rate=100)  # one point is missing: 10 ms
    assert numbers(await pages(make(**PAGED))) == [[0, 1], [2, 3], [4]]


async def test_a_long_rest_ends_the_poll_and_the_page_is_kept(plant: Plant, server: HttpServer, make: Make) -> None:
    plant.extensions = bucket(0, needed=1_000, rate=50)  # 1000 / 50 = 20 s
    now = [NOW]
    source, kept = make(lambda: now[0], **PAGED), []

    async def poll(checkpoint: Any) -> None:
        async for page in source.poll(checkpoint):
            kept.append(page)

    with pytest.raises(TransientError, match="rests for 20 s") as caught:
        await poll(None)
    assert (caught.value.retry_after_secs, numbers(kept)) == (20, [[0, 1]])
    with pytest.raises(TransientError, match="rests for 20 s"):
        await poll(last(kept))
    plant.extensions = {}
    now[0] += timedelta(seconds=20)
    await poll(last(kept))
    assert numbers(kept) == [[0, 1], [2, 3], [4]]
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int(NOW.timestamp()) + 90)}, 90),
        ({"ratelimit-remaining": "0", "ratelimit-reset": "45"}, 45),
        ({"retry-after": "30"}, 30),
    ],
)
async def test_headers_that_tell_a_limit(plant: Plant, make: Make, headers: dict[str, str], wait: float) -> None:
    plant.headers = headers
    source = make()
    assert len(await pages(source)) == 1
    with pytest.raises(TransientError) as caught:
        await pages(source)
    assert caught.value.retry_after_secs == wait


async def test_what_is_left_of_a_limit_is_used(plant: Plant, make: Make) -> None:
    plant.headers = {"x-ratelimit-remaining": "1", "x-ratelimit-reset": str(int(NOW.timestamp()) + 90)}
    source = make()
    await pages(source)
    await pages(source)


@pytest.mark.parametrize(
    ("answer", "wait"),
    [
        (as_json({"errors": [{"message": "Throttled", "extensions": {"code": "THROTTLED"}}],
                  "extensions": bucket(50, needed=150)}), 2.0),  # (150 - 50) / 50
        (as_json({"data": None, "errors": [{"type": "RATE_LIMITED", "message": "API rate limit exceeded"}]}, 200,
                 x_ratelimit_remaining="0", x_ratelimit_reset=str(int(NOW.timestamp()) + 60)), 60.0),
        (as_json({"message": "secondary rate limit"}, 403, retry_after="70"), 70.0),
        (as_json({}, 429, retry_after="5"), 5.0),
    ],
)  # fmt: skip
async def test_a_limit_that_was_exceeded_is_waited_for(
    server: HttpServer, make: Make, answer: Answer, wait: float
) -> None:
    server.routes["/graphql"] = lambda _: answer
    with pytest.raises(TransientError) as caught:
        await pages(make())
    assert caught.value.retry_after_secs == wait


async def test_a_query_that_costs_more_than_is_ever_allowed_needs_a_person(server: HttpServer, make: Make) -> None:
    error = {"message": "Throttled", "extensions": {"code": "THROTTLED"}}
    server.routes["/graphql"] = lambda _: as_json({"errors": [error], "extensions": bucket(1_000, needed=2_000)})
    with pytest.raises(ConfigError, match="costs 2000 and the server allows 1000 at most"):
        await pages(make())


# --- documents


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"query": "mutation { forget }"}, "holds a mutation"),
        ({"query": "# a comment\nquery A { a } subscription B { b }"}, "holds a subscription"),
        ({"query": "{ a { b }"}, "braces do not match"),
        ({"query": "{ a }", "pagination": {"type": "relay", "connection": "$.data.a"}}, "no such variable"),
        ({"query": "query($after: String) { a(after: $after) }", "pagination": {"type": "relay", "connection": "$"}},
         "needs pageInfo"),
        ({**PAGED, "variables": {"after": "x"}}, "leave it out of variables"),
        ({**PAGED, "since": {"variable": "after", "path": "$.n"}}, "the same variable"),
        ({"query": "{ a }", "since": {"variable": "since", "path": "$.n"}}, "no such variable"),
        ({"variables": {"not a name": 1}}, "variables"),
        ({"cron": "* * * * *", "interval": "1m"}, "exclude each other"),
        ({"partial": "some"}, "expected one of 'fail', 'keep'"),
    ],
)  # fmt: skip
def test_documents_that_make_no_sense(changed: dict[str, Any], told: str) -> None:
    document = {"type": "graphql_poll", "url": "https://api.example.com/graphql", "query": "{ a }", **changed}
    with pytest.raises(Invalid, match=told):
        decode(GraphqlPollConfig, document)


@pytest.mark.parametrize(
    "query",
    [
        "{ mutation { subscription { id } } }",  # as names of fields
        'query A { a(text: "mutation { }") } # mutation',
        'query B($f: F = {x: 1}) { """mutation""" a(f: $f) }',
    ],
)
def test_queries_that_are_fine(query: str) -> None:
    document = {"type": "graphql_poll", "url": "https://api.example.com/graphql", "query": query}
    assert lint(GraphqlPollConfig, document) == []


def test_credentials_are_secrets() -> None:
    document = {"url": "https://a.example", "query": "{ a }", "auth": {"type": "bearer", "token": "t"}}
    masked = map_secrets(GraphqlPollConfig, document, lambda pointer, _: pointer)
    assert masked["auth"]["token"] == "/auth/token"
