"""What a node tells of itself arrives at a real server on loopback; one that fails is left alone."""

import gzip
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from appliance.egress.client import OutboundClient
from appliance.egress.guard import parse_allowed
from appliance.engine.courier import Courier
from appliance.engine.error_reports import ErrorReports, Sent, due
from appliance.engine.metric_posts import MetricPosts
from appliance.observe.destinations import parse_headers, parse_sentry_dsn
from appliance.observe.log_book import LogBook
from appliance.observe.masking import conceal, mask
from tests.fakes.http_server import Answer, HttpServer

START = datetime(2026, 5, 1, 12, tzinfo=UTC)
TRACE = """Traceback (most recent call last):
  File "/opt/dash/appliance/engine/refine.py", line 80, in _commit
    write()
OSError: [Errno 28] No space left on device"""
PATH = "/sentry/api/42/envelope/"


@pytest.fixture
async def server() -> AsyncIterator[HttpServer]:
    async with HttpServer() as running:
        running.routes[PATH] = lambda _: Answer(200, b'{"id":"x"}')
        running.routes["/v1/metrics"] = lambda _: Answer(200, b'{"partialSuccess":{}}')
        yield running


@pytest.fixture
async def outbound() -> AsyncIterator[OutboundClient]:
    made = OutboundClient([parse_allowed("127.0.0.0/8")])
    yield made
    await made.close()


def happens(book: LogBook, at: datetime, event: str = "batch.failed") -> None:
    book.keep(
        {"event": event, "level": "error", "part": "refine", "timestamp": at.isoformat(), "exception": TRACE, "n": 5}
    )


def reports(book: LogBook, server: HttpServer, outbound: OutboundClient, now: list[datetime]) -> ErrorReports:
    dsn = parse_sentry_dsn(f"http://pub:old@127.0.0.1:{server.port}/sentry/42")
    courier = Courier(outbound, "failures", dsn.url, dsn.headers)
    return ErrorReports(book, courier, {"release": "dash-appliance@1"}, START, lambda: now[0])


async def test_a_failure_arrives_as_an_envelope_once_an_hour(server: HttpServer, outbound: OutboundClient) -> None:
    book, now = LogBook(), [START]
    happens(book, START - timedelta(minutes=1), "earlier.process")
    happens(book, START)
    told = reports(book, server, outbound, now)
    await told.once()
    happens(book, START)
    await told.once()
    [asked] = server.requests
    assert asked.headers["x-sentry-auth"] == "Sentry sentry_version=7, sentry_client=dash-appliance/1, sentry_key=pub"
    assert asked.headers["content-type"] == "application/x-sentry-envelope"
    head, item, payload, rest = asked.body.split(b"\n")
    assert json.loads(item) == {"type": "event", "length": len(payload), "content_type": "application/json"}
    event = json.loads(payload)
    assert rest == b""
    assert json.loads(head)["event_id"] == event["event_id"]
    assert (event["logentry"]["formatted"], event["level"], event["extra"]["n"]) == ("batch.failed", "error", "5")
    (error,) = event["exception"]["values"]
    assert (error["type"], error["value"]) == ("OSError", "[Errno 28] No space left on device")
    assert error["stacktrace"]["frames"][0]["lineno"] == 80
    now[0] += timedelta(hours=1)
    await told.once()
    await told.once()
    assert len(server.requests) == 2
    assert json.loads(server.requests[1].body.split(b"\n")[2])["tags"]["count"] == "2"


async def test_a_failure_names_nobody_and_tells_no_secret(server: HttpServer, outbound: OutboundClient) -> None:
    conceal("QpassphraseQ of the bucket")
    book = LogBook()
    said = {"who": "ada@example.org", "error": "jörg@example.org: QpassphraseQ of the bucket"}
    trace = (
        "Traceback (most recent call last):\nValueError: eve@example.org sent token=abc and QpassphraseQ of the bucket"
    )
    book.keep(
        {name: mask(name, one) for name, one in said.items()}
        | {"event": "x.failed", "level": "error", "timestamp": START.isoformat(), "exception": mask("exception", trace)}
    )
    await reports(book, server, outbound, [START]).once()
    [asked] = server.requests
    text = asked.body.decode()
    assert "somebody@redacted.invalid" in text
    assert not any(one in text for one in ("example.org", "QpassphraseQ", "token=abc", "ada", "jörg", "eve@"))
    _, item, payload, _ = asked.body.split(b"\n")
    assert json.loads(item)["length"] == len(payload)


async def test_who_does_not_take_it_is_left_alone_and_nothing_is_lost(
    server: HttpServer, outbound: OutboundClient
) -> None:
    book = LogBook()
    happens(book, START)
    server.routes[PATH] = lambda _: Answer(429, headers={"Retry-After": "600"})
    told = reports(book, server, outbound, [START])
    await told.once()
    await told.once()
    assert len(server.requests) == 1
    assert told._courier.waits
    told._courier._again_at = 0.0
    server.routes[PATH] = lambda _: Answer(200)
    await told.once()
    assert (len(server.requests), told._courier.counts) == (2, {"taken": 1, "failed": 1})


async def test_a_private_address_that_is_not_allowed_is_not_asked(server: HttpServer) -> None:
    courier = Courier(OutboundClient(), "failures", server.url("/v1/metrics"), {})
    assert await courier.post(b"x") is None
    assert server.requests == []


def test_only_what_is_new_or_an_hour_old_is_due() -> None:
    book = LogBook()
    happens(book, START)
    (one,) = book.failures()
    hour = START + timedelta(hours=1)
    assert list(due([one], {}, START, START)) == [one]
    assert list(due([one], {}, START + timedelta(seconds=1), hour)) == []  # an earlier process told it
    assert list(due([one], {one.key: Sent(1, START)}, START, hour)) == []  # it did not come again
    assert list(due([one], {one.key: Sent(9, START)}, START, hour)) == [one]  # set aside, and back


async def test_metrics_arrive_as_otlp(server: HttpServer, outbound: OutboundClient) -> None:
    registry = CollectorRegistry()
    Counter("jobs", "Jobs done.", ["kind"], registry=registry).labels("a").inc(3)
    Gauge("depth", "Deep.", registry=registry).set(2.5)
    took = Histogram("took_seconds", "Long.", buckets=(0.1, 1.0), registry=registry)
    for secs in (0.05, 0.06, 0.5, 7.0):
        took.observe(secs)
    courier = Courier(outbound, "metrics", server.url("/v1/metrics"), parse_headers("Authorization=Bearer abc"))
    posts = MetricPosts(registry.collect, courier, {"service.name": "dash-appliance"}, START, lambda: START)
    await posts.once()
    [asked] = server.requests
    assert (asked.headers["authorization"], asked.headers["content-encoding"]) == ("Bearer abc", "gzip")
    (sent,) = json.loads(gzip.decompress(asked.body))["resourceMetrics"]
    assert sent["resource"]["attributes"] == [{"key": "service.name", "value": {"stringValue": "dash-appliance"}}]
    found: dict[str, Any] = {one["name"]: one for one in sent["scopeMetrics"][0]["metrics"]}
    assert list(found) == ["jobs_total", "depth", "took_seconds"]
    (jobs,) = found["jobs_total"]["sum"]["dataPoints"]
    assert (jobs["asDouble"], jobs["timeUnixNano"]) == (3.0, "1777636800000000000")
    assert found["jobs_total"]["sum"]["isMonotonic"] is True
    assert found["jobs_total"]["sum"]["aggregationTemporality"] == 2
    assert found["depth"]["gauge"]["dataPoints"][0]["asDouble"] == 2.5
    (point,) = found["took_seconds"]["histogram"]["dataPoints"]
    assert (point["bucketCounts"], point["explicitBounds"], point["count"]) == (["2", "1", "1"], [0.1, 1.0], "4")
    assert point["sum"] == pytest.approx(7.61)
    assert int(point["startTimeUnixNano"]) > 0


@pytest.mark.parametrize("dsn", ["", "https://errors.example.org/1", "https://k@host", "ftp://k@h/1", "http://k@h:x/1"])
def test_a_dsn_that_is_none_is_refused_without_being_quoted(dsn: str) -> None:
    with pytest.raises(ValueError, match="expected a DSN such as") as caught:
        parse_sentry_dsn(dsn)
    assert dsn == "" or dsn not in str(caught.value)


@pytest.mark.parametrize("text", ["abc", "a b=c", "a=b,c", "a=b\x00c"])
def test_headers_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected headers such as"):
        parse_headers(text)
