import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from appliance.components.lint import decode, lint, map_secrets
from appliance.components.source import Page
from appliance.domain.schedule import Cron
from appliance.egress.client import OutboundClient
from appliance.egress.guard import parse_allowed
from appliance.errors import ConfigError, DashError, TransientError
from appliance.sources.http_poll import HttpPoll, HttpPollConfig
from tests.fakes.http_server import Answer, Asked, HttpServer, as_json
from tests.fakes.resources import NOW, resources


@pytest.fixture
async def server() -> AsyncIterator[HttpServer]:
    async with HttpServer() as running:
        yield running


Make = Callable[..., HttpPoll]


@pytest.fixture
async def make(server: HttpServer) -> AsyncIterator[Make]:
    client = OutboundClient([parse_allowed("127.0.0.0/8")])

    def made(path: str = "/r", **document: Any) -> HttpPoll:
        config = decode(HttpPollConfig, {"type": "http_poll", "url": server.url(path), **document})
        return HttpPoll(config, resources(outbound=client))

    yield made
    await client.close()


async def pages(source: HttpPoll, checkpoint: dict[str, Any] | None = None) -> list[Page]:
    return [page async for page in source.poll(checkpoint)]


def told(found: list[Page]) -> list[list[str]]:
    return [[bytes(payload).decode() for payload in page.payloads] for page in found]


def last(found: list[Page]) -> dict[str, Any]:
    """The checkpoint as Bronze gives it back: through JSON."""
    checkpoint: dict[str, Any] = json.loads(json.dumps(found[-1].checkpoint))
    return checkpoint


@pytest.mark.parametrize(
    ("body", "items", "events"),
    [
        (b'{"n": 1.0}', "$", ['{"n": 1.0}']),
        (b' [ {"n": 1.0} , 2 ] ', "$", ['{"n": 1.0}', "2"]),
        (
            b'{"data": {"items": [{"a" : "\\u00e9"}, {"a":"\xc3\xa9"}]}}',
            "$.data.items",
            ['{"a" : "\\u00e9"}', '{"a":"é"}'],
        ),
        (b'{"data": [[1], [2, 3]]}', "$.data[1]", ["2", "3"]),
        (b'{"my items": [1]}', "$['my items']", ["1"]),
        (b'{"data": null}', "$.data", []),
        (b'{"data": []}', "$.data", []),
        (b"[ ]", "$", []),
        (b"[[]]", "$", ["[]"]),
        (b"", "$", []),
        (b'{"data": {"a": [1]}}', "$.data", ['{"a": [1]}']),
    ],
)
async def test_items_come_verbatim(server: HttpServer, make: Make, body: bytes, items: str, events: list[str]) -> None:
    server.routes["/r"] = lambda _: Answer(200, body)
    found = await pages(make(items=items))
    assert [event for page in told(found) for event in page] == events


async def test_ndjson_is_read_by_line(server: HttpServer, make: Make) -> None:
    server.routes["/r"] = lambda _: Answer(200, b'{"a":1}\r\n{"a":2}\n', {"content-type": "application/x-ndjson"})
    assert told(await pages(make())) == [['{"a":1}', '{"a":2}']]


async def test_the_request_is_as_configured(server: HttpServer, make: Make) -> None:
    server.routes["/r"] = lambda _: as_json([])
    await pages(
        make(
            "/r?a=1&b=2",
            method="POST",
            headers={"X-Site": "zürich"},
            params={"b": "3", "c": "ä&="},
            body={"query": [1]},
            auth={"type": "header", "name": "X-Api-Key", "value": "k"},
        )
    )
    [asked] = server.requests
    assert (asked.method, asked.query, asked.body) == ("POST", {"a": "1", "b": "3", "c": "ä&="}, b'{"query":[1]}')
    assert asked.headers["content-type"] == "application/json"
    assert (asked.headers["x-site"], asked.headers["x-api-key"]) == ("zürich", "k")


@pytest.mark.parametrize(
    ("auth", "header", "query"),
    [
        ({"type": "bearer", "token": "t"}, "Bearer t", {}),
        ({"type": "basic", "username": "u", "password": "pä"}, "Basic dTpww6Q=", {}),
        ({"type": "query", "name": "key", "value": "v&"}, None, {"key": "v&"}),
    ],
)
async def test_credentials(
    server: HttpServer, make: Make, auth: dict[str, str], header: str | None, query: dict[str, str]
) -> None:
    server.routes["/r"] = lambda _: as_json([])
    await pages(make(auth=auth))
    assert server.requests[0].headers.get("authorization") == header
    assert server.requests[0].query == query


def numbered(asked: Asked) -> Answer:
    """Seven items in pages of three, by number, from 1 on."""
    page = int(asked.query["page"])
    return as_json([{"n": n} for n in range(7)][3 * (page - 1) : 3 * page])


async def test_pages_by_number(server: HttpServer, make: Make) -> None:
    server.routes["/r"] = numbered
    source = make(pagination={"type": "page", "size_param": "per_page", "size": 3})
    found = await pages(source)
    assert told(found) == [['{"n": 0}', '{"n": 1}', '{"n": 2}'], ['{"n": 3}', '{"n": 4}', '{"n": 5}'], ['{"n": 6}']]
    assert [asked.query for asked in server.requests] == [{"page": str(n), "per_page": "3"} for n in (1, 2, 3)]


async def test_pages_by_number_end_at_an_empty_one_or_a_404(server: HttpServer, make: Make) -> None:
    server.routes["/r"] = numbered
    assert len(told(await pages(make(pagination={"type": "page"})))) == 4  # the last one is empty and moves the place
    server.routes["/r"] = lambda asked: Answer(404) if asked.query["page"] == "3" else numbered(asked)
    found = await pages(make(pagination={"type": "page"}))
    assert [len(page.payloads) for page in found] == [3, 3, 0]
    assert "place" not in last(found)


async def test_pages_by_offset(server: HttpServer, make: Make) -> None:
    def handler(asked: Asked) -> Answer:
        offset, limit = int(asked.query["offset"]), int(asked.query["limit"])
        return as_json({"rows": list(range(7))[offset : offset + limit]})

    server.routes["/r"] = handler
    found = await pages(make(items="$.rows", pagination={"type": "offset", "limit": 3}))
    assert told(found) == [["0", "1", "2"], ["3", "4", "5"], ["6"]]


def by_cursor(asked: Asked) -> Answer:
    following = {"": "c1", "c1": "c2/ü", "c2/ü": None}
    cursor = asked.query.get("after", "")
    return as_json({"items": [cursor], "meta": {"next": following[cursor]}})


CURSOR = {"type": "cursor", "path": "$.meta.next", "param": "after"}


async def test_pages_by_cursor(server: HttpServer, make: Make) -> None:
    server.routes["/r"] = by_cursor
    found = await pages(make(items="$.items", pagination=CURSOR))
    assert told(found) == [['""'], ['"c1"'], ['"c2/\\u00fc"']]


async def test_a_cursor_that_names_itself_ends_the_run(server: HttpServer, make: Make) -> None:
    server.routes["/r"] = lambda _: as_json({"items": [1], "meta": {"next": "same"}})
    assert len(await pages(make(items="$.items", pagination=CURSOR))) == 2


async def test_pages_by_url_in_the_answer_and_by_link_header(server: HttpServer, make: Make) -> None:
    server.routes["/r"] = lambda _: as_json(
        {"items": [1], "next": "/r2?x=1"}, Link='<r2?x=2>; rel="last next", <z>; rel=prev'
    )
    server.routes["/r2"] = lambda asked: as_json({"items": [2], "next": None}, X="")
    found = await pages(make(items="$.items", params={"p": "1"}, pagination={"type": "cursor", "path": "$.next"}))
    assert told(found) == [["1"], ["2"]]
    found = await pages(make(items="$.items", params={"p": "1"}, pagination={"type": "link"}))
    assert told(found) == [["1"], ["2"]]
    assert [asked.query for asked in server.requests] == [{"p": "1"}, {"x": "1"}, {"p": "1"}, {"x": "2"}]


@pytest.mark.parametrize("elsewhere", ["http://other.example/x", "https://127.0.0.1/x", "javascript:1", "http://[::1"])
async def test_credentials_do_not_follow_a_next_page_elsewhere(server: HttpServer, make: Make, elsewhere: str) -> None:
    server.routes["/r"] = lambda _: as_json([1], Link=f'<{elsewhere}>; rel="next"')
    source = make(pagination={"type": "link"}, auth={"type": "bearer", "token": "t"})
    with pytest.raises(ConfigError, match="on another server"):
        await pages(source)
    assert len(server.requests) == 1


async def test_a_run_that_was_cut_off_goes_on_where_it_was(server: HttpServer, make: Make) -> None:
    server.routes["/r"] = numbered
    source = make(pagination={"type": "page", "size": 3}, max_pages=2)
    first = await pages(source)
    assert told(first) == [['{"n": 0}', '{"n": 1}', '{"n": 2}'], ['{"n": 3}', '{"n": 4}', '{"n": 5}']]
    second = await pages(source, last(first))
    assert told(second) == [['{"n": 6}']]
    assert told(await pages(source, last(second)))[0] == ['{"n": 0}', '{"n": 1}', '{"n": 2}']


async def test_a_crash_between_pages_repeats_the_page_under_the_same_name(server: HttpServer, make: Make) -> None:
    server.routes["/r"] = numbered
    source = make(pagination={"type": "page", "size": 3})
    whole = await pages(source)
    again = await pages(make(pagination={"type": "page", "size": 3}), json.loads(json.dumps(whole[0].checkpoint)))
    assert [page.delivery_id for page in again] == [page.delivery_id for page in whole[1:]]
    assert len({page.delivery_id for page in whole}) == 3


async def test_the_same_answer_in_another_poll_is_another_event(server: HttpServer, make: Make) -> None:
    server.routes["/r"] = lambda _: as_json({"temp": 20})
    source = make()
    first = await pages(source)
    second = await pages(source, last(first))
    assert told(first) == told(second) == [['{"temp": 20}']]
    assert first[0].delivery_id != second[0].delivery_id
    assert (await pages(source))[0].delivery_id == first[0].delivery_id


async def test_a_cursor_that_expired_starts_a_new_run(server: HttpServer, make: Make) -> None:
    server.routes["/r"] = by_cursor
    source = make(items="$.items", pagination=CURSOR, max_pages=1)
    checkpoint = last(await pages(source))
    server.routes["/r"] = lambda asked: Answer(410) if asked.query else by_cursor(asked)
    assert told(await pages(source, checkpoint)) == [['""']]


async def test_what_is_new_is_asked_for_and_not_told_twice(server: HttpServer, make: Make) -> None:
    rows = [{"id": n, "at": f"2026-03-01T00:00:0{n}Z"} for n in (2, 1, 3)]  # not sorted

    def handler(asked: Asked) -> Answer:
        return as_json([row for row in rows if str(row["at"]) >= asked.query.get("since", "")])

    server.routes["/r"] = handler
    source = make(since={"param": "since", "path": "$.at"})
    first = await pages(source)
    assert [len(page.payloads) for page in first] == [3]
    assert server.requests[0].query == {}
    assert await pages(source, last(first)) == []  # the server includes the boundary, which came already
    assert server.requests[1].query == {"since": "2026-03-01T00:00:03Z"}
    rows.append({"id": 4, "at": "2026-03-01T00:00:03Z"})
    second = await pages(source, last(first))
    assert told(second) == [['{"id": 4, "at": "2026-03-01T00:00:03Z"}']]
    assert await pages(source, last(second)) == []


async def test_the_highest_value_counts_only_when_the_run_is_over(server: HttpServer, make: Make) -> None:
    def handler(asked: Asked) -> Answer:
        return as_json([{"v": 10}] if asked.query["page"] == "1" else [{"v": 7}] if asked.query["page"] == "2" else [])

    server.routes["/r"] = handler
    source = make(pagination={"type": "page"}, since={"param": "after", "path": "$.v", "initial": "5"})
    found = await pages(source)
    assert [asked.query["after"] for asked in server.requests] == ["5", "5", "5"]
    await pages(source, last(found))
    assert server.requests[3].query == {"after": "10", "page": "1"}


async def test_what_did_not_change_makes_no_event(server: HttpServer, make: Make) -> None:
    def handler(asked: Asked) -> Answer:
        fresh = asked.headers.get("if-none-match") != '"v1"'
        return as_json([1], etag='"v1"', last_modified="Sun, 01 Mar 2026 10:00:00 GMT") if fresh else Answer(304)

    server.routes["/r"] = handler
    source = make()
    first = await pages(source)
    assert told(first) == [["1"]]
    assert await pages(source, last(first)) == []
    assert server.requests[1].headers["if-modified-since"] == "Sun, 01 Mar 2026 10:00:00 GMT"


async def test_another_plan_forgets_the_place(server: HttpServer, make: Make) -> None:
    server.routes["/r"] = numbered
    first = await pages(make(pagination={"type": "page", "size": 3}, max_pages=1))
    assert (
        told(await pages(make(params={"x": "1"}, pagination={"type": "page", "size": 3}), last(first)))[0][0]
        == '{"n": 0}'
    )
    assert len(await pages(make(pagination={"type": "page", "size": 3}), {"somebody": "else's"})) == 3


@pytest.mark.parametrize(
    ("answer", "error", "message"),
    [
        (Answer(500), TransientError, "it answered 500"),
        (Answer(503, headers={"retry-after": "17"}), TransientError, "it answered 503"),
        (Answer(408), TransientError, "408"),
        (Answer(401), ConfigError, "check the source's auth"),
        (Answer(403), ConfigError, "check the source's auth"),
        (Answer(404), ConfigError, "check the source's url"),
        (Answer(400), ConfigError, "params"),
        (Answer(302, headers={"location": "ftp://x/"}), ConfigError, "only http and https"),
        (Answer(200, b"<html>sign in</html>"), TransientError, "not JSON"),
        (Answer(200, b'{"a":"\xff"}'), TransientError, "not UTF-8"),
        (Answer(200, b"[" * 100_000), TransientError, "nested too deeply"),
        (Answer(200, b'{"data": [1]}'), ConfigError, "nothing at '$.items' in the answer: an object with 'data'"),
        (Answer(200, b'{"items": 3}'), ConfigError, "got a number"),
        (Answer(200, b"[1, 2]"), ConfigError, "in the answer: a list"),
        (Answer(200, b"[1]", reset_after=1), TransientError, "failed"),
        (Answer(200, gzip.compress(bytes(20_000_000)), {"content-encoding": "gzip"}), DashError, "10485760"),
        (Answer(200, b" " * 11_000_000), DashError, "10485760"),
    ],
)
async def test_failures_say_what_comes_next(
    server: HttpServer, make: Make, answer: Answer, error: type[DashError], message: str
) -> None:
    server.routes["/r"] = lambda _: answer
    with pytest.raises(error) as caught:
        await pages(make(items="$.items", params={"token": "hunter2"}))
    assert message in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(("header", "secs"), [("17", 17.0), ("Sun, 01 Mar 2026 10:00:30 GMT", 30.0), ("soon", 1.0)])
async def test_retry_after_is_handed_on(server: HttpServer, make: Make, header: str, secs: float) -> None:
    server.routes["/r"] = lambda _: Answer(429, headers={"retry-after": header})
    with pytest.raises(TransientError) as caught:
        await pages(make())
    assert caught.value.retry_after_secs == secs


async def test_redirects_are_followed_three_times_at_most(server: HttpServer, make: Make) -> None:
    server.routes["/r"] = lambda _: Answer(307, headers={"location": "/s"})
    server.routes["/s"] = lambda _: as_json([1])
    assert told(await pages(make())) == [["1"]]
    server.routes["/s"] = lambda _: Answer(301, headers={"location": "/r"})
    with pytest.raises(ConfigError, match="it redirects to '/"):
        await pages(make())


async def test_a_slow_server_is_given_up(server: HttpServer, make: Make) -> None:
    forever = asyncio.Event()
    server.routes["/r"] = lambda _: Answer(200, b"[]", hold=forever.wait())
    with pytest.raises(TransientError):
        await pages(make(timeout="1s"))


async def test_large_pages_are_split(server: HttpServer, make: Make) -> None:
    server.routes["/r"] = lambda _: as_json([{"n": n, "pad": "x" * 50} for n in range(20_000)])
    [page] = await pages(make())
    assert len(page.payloads) == 20_000
    assert page.remote == "127.0.0.1"


URL = "http://h/"


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"url": "ftp://h"}, "/url"),
        ({"url": "h"}, "/url"),
        ({"url": "http://[::1"}, ""),
        ({"url": "http://h:99999/"}, ""),
        ({"url": "http:///x"}, ""),
        ({"url": "http://u:p@h/"}, ""),
        ({"items": "$..x"}, "/items"),
        ({"items": "data"}, "/items"),
        ({"headers": {"A b": "x"}}, "/headers"),
        ({"headers": {"X": "a\r\nb"}}, "/headers/X"),
        ({"headers": {"HOST": "x"}}, ""),
        ({"body": 1}, ""),
        ({"interval": "1m", "cron": "* * * * *"}, ""),
        ({"cron": "* * *"}, ""),
        ({"cron": "* * * * *", "timezone": "Mars"}, ""),
        ({"interval": "10ms"}, "/interval"),
        ({"pagination": {"type": "cursr"}}, "/pagination/type"),
        ({"pagination": {"type": "cursor"}}, "/pagination/path"),
        ({"auth": {"type": "bearer", "token": ""}}, "/auth/token"),
        ({"since": {"param": "a", "path": "x"}}, "/since/path"),
        ({"timeout": "10m"}, "/timeout"),
    ],
)
def test_wrong_configuration_is_told(change: dict[str, Any], pointer: str) -> None:
    found = lint(HttpPollConfig, {"type": "http_poll", "url": URL, **change})
    assert [problem.pointer for problem in found] == [pointer]


def test_schedules() -> None:
    def made(**document: Any) -> HttpPoll:
        return HttpPoll(decode(HttpPollConfig, {"type": "http_poll", "url": URL, **document}), resources())

    due = made(interval="10m").schedule.due(NOW)
    assert made(interval="10m").schedule.due(due).timestamp() - due.timestamp() == 600
    assert made(cron="0 6 * * *", timezone="Europe/Zurich").schedule == Cron("0 6 * * *", "Europe/Zurich")


def test_secrets_of_the_configuration_are_known() -> None:
    document = {"type": "http_poll", "url": URL, "auth": {"type": "basic", "username": "u", "password": "p"}}
    assert map_secrets(HttpPollConfig, document, lambda pointer, _: pointer)["auth"]["password"] == "/auth/password"
