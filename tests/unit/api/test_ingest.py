"""The lean path, driven by ASGI messages, with a receiver whose source takes one event a line."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from appliance.api.ingest import Bounds, Ingest
from appliance.components.source import Admission, InboundRequest
from appliance.domain.ids import PipelineId
from appliance.engine.bucket import TokenBucket
from appliance.engine.receive import Door, Receiver
from tests.fakes.bronze import MemoryBronzeLog

Counted = list[tuple[str, str, int]]


class Lines:
    def admit(self, request: InboundRequest) -> Admission:
        if request.body == b"bug":
            raise ZeroDivisionError
        return Admission(request.body.split(b"\n"), request.headers.get("webhook-id"))


@pytest.fixture
def counted() -> Counted:
    return []


@pytest.fixture
def bronze() -> MemoryBronzeLog:
    return MemoryBronzeLog()


@pytest.fixture
def receiver(bronze: MemoryBronzeLog) -> Receiver:
    receiver = Receiver(bronze, lambda: datetime(2026, 11, 22, tzinfo=UTC))
    receiver.open(PipelineId("pl_a"), Door("webhook", Lines()))
    return receiver


@pytest.fixture
def post(receiver: Receiver, counted: Counted) -> Callable[..., Awaitable[tuple[int, dict[str, str], Any]]]:
    ingest = Ingest(receiver, Bounds(100, 150), lambda *request: counted.append(request))

    async def post(
        *chunks: bytes, path: str = "/in/pl_a", method: str = "POST", **headers: str
    ) -> tuple[int, dict[str, str], Any]:
        waiting = [
            {"type": "http.request", "body": chunk, "more_body": place < len(chunks) - 1}
            for place, chunk in enumerate(chunks)
        ]
        sent: list[Any] = []

        async def receive() -> Any:
            return waiting.pop(0) if waiting else {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "http", "path": path, "method": method, "client": ("127.0.0.1", 1),
            "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()],
        }  # fmt: skip
        await ingest(scope, receive, send)
        told = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        return sent[0]["status"], told, json.loads(sent[1]["body"])

    return post


async def test_what_is_accepted_is_answered_with_its_numbers(post: Any, counted: Counted) -> None:
    status, headers, body = await post(b"1\n2\n", b"3")
    assert (status, body) == (202, {"accepted": 3, "first_seq": 1, "last_seq": 3})
    assert headers["content-type"] == "application/json"
    assert counted == [("pl_a", "accepted", 5)]


async def test_a_delivery_seen_before_is_answered_200(post: Any, counted: Counted) -> None:
    await post(b"1", webhook_id="a")
    status, _, body = await post(b"1", webhook_id="a")
    assert (status, body) == (200, {"accepted": 1, "first_seq": 1, "last_seq": 1, "duplicate": True})
    assert [outcome for _, outcome, _ in counted] == ["accepted", "duplicate"]


@pytest.mark.parametrize(
    ("chunks", "headers", "status", "code"),
    [
        ((b"x" * 101,), {"content_length": "101"}, 413, "E_TOO_LARGE"),
        ((b"x" * 60, b"x" * 60), {}, 413, "E_TOO_LARGE"),
        ((b"x",), {"content_length": "many"}, 400, "E_MALFORMED"),
        ((b"x",), {"content_length": "-1"}, 400, "E_MALFORMED"),
        ((b"x",), {"path": "/in/pl_b"}, 404, "E_NOT_FOUND"),
        ((b"x",), {"path": "/in/"}, 404, "E_NOT_FOUND"),
        ((b"x",), {"method": "GET"}, 405, "E_METHOD"),
    ],
)
async def test_what_cannot_be_taken_is_a_problem_with_a_code(
    post: Any, bronze: MemoryBronzeLog, chunks: tuple[bytes, ...], headers: dict[str, str], status: int, code: str
) -> None:
    answered, told, body = await post(*chunks, **headers)
    assert (answered, body["code"]) == (status, code)
    assert told["content-type"] == "application/problem+json"
    assert bronze.last_seq(PipelineId("pl_a")) == 0


async def test_a_disk_that_refuses_is_a_503_with_a_time_to_come_back(
    post: Any, bronze: MemoryBronzeLog, counted: Counted
) -> None:
    bronze.refusing = "the disk is full"
    status, headers, body = await post(b"1")
    assert (status, body["code"]) == (503, "E_UNAVAILABLE")
    assert headers["retry-after"] == "1"
    assert counted == [("pl_a", "unavailable", 0)]


async def test_a_bug_is_a_500_without_a_trace(post: Any, receiver: Receiver) -> None:
    status, _, body = await post(b"bug")
    assert (status, body["code"]) == (500, "E_INTERNAL")
    assert "ZeroDivision" not in json.dumps(body)


async def test_over_the_limit_is_a_429_with_a_time_to_come_back(post: Any, receiver: Receiver) -> None:
    receiver.open(PipelineId("pl_a"), Door("webhook", Lines(), TokenBucket(1, lambda: 0.0)))
    assert (await post(b"1"))[0] == 202
    status, headers, _ = await post(b"2")
    assert (status, headers["retry-after"]) == (429, "1")


async def test_room_that_was_reserved_is_given_back(post: Any) -> None:
    for _ in range(5):  # 5 × 100 would exceed the 150 bytes that may be under way at a time
        assert (await post(b"x" * 100, content_length="100"))[0] == 202


async def test_over_its_share_a_pipeline_is_told_429_and_others_are_let_in(
    receiver: Receiver, bronze: MemoryBronzeLog, counted: Counted
) -> None:
    """Of 1,000 bytes one pipeline has three quarters under way; another's first request still fits."""
    receiver.open(PipelineId("pl_b"), Door("webhook", Lines()))
    ingest = Ingest(receiver, Bounds(250, 1000), lambda *request: counted.append(request))
    release = asyncio.Event()
    slow = [asyncio.create_task(asked(ingest, "pl_a", 250, release)) for _ in range(3)]
    await asyncio.sleep(0)
    assert (await asked(ingest, "pl_a", 250, release))[0] == 429
    other = asyncio.create_task(asked(ingest, "pl_b", 250, release))
    await asyncio.sleep(0)
    status, headers = await asked(ingest, "pl_b", 125, release)
    assert (status, headers["retry-after"]) == (503, "1")
    release.set()
    assert [status for status, _ in await asyncio.gather(*slow, other)] == [202, 202, 202, 202]
    assert (await asked(ingest, "pl_a", 250, release))[0] == 202


async def asked(ingest: Ingest, pipeline_id: str, size: int, release: asyncio.Event) -> tuple[int, dict[str, str]]:
    """Post ``size`` bytes whose body arrives when ``release`` is set."""
    sent: list[Any] = []

    async def receive() -> Any:
        await release.wait()
        return {"type": "http.request", "body": b"1" * size}

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"content-length", str(size).encode())]
    scope = {"type": "http", "path": f"/in/{pipeline_id}", "method": "POST", "client": None, "headers": headers}
    await ingest(scope, receive, send)
    return sent[0]["status"], {name.decode(): value.decode() for name, value in sent[0]["headers"]}
