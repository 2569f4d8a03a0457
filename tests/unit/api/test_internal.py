"""The room for other nodes: whoever is none finds nothing, and whoever is one gets signed answers about this log."""

import asyncio
from collections.abc import Callable, MutableMapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec
import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.api.internal import BODY_SECS, Internal
from appliance.components.handshake import Ask, Nonces, Seal, digest_of, internal_key, new_nonce
from appliance.components.log_calls import BRONZE_PATH, PING_PATH, LastSeq, Pong, Refused
from appliance.components.packed import MOST_ASKED, unpacked
from appliance.server import Dispatcher
from appliance.storage.bronze_cluster import PartitionLog
from tests.contract.bronze_adapters import PIPE
from tests.fakes.bronze import MemoryBronzeLog
from tests.fakes.internal_room import KEY, room

pytestmark = pytest.mark.usefixtures("all_is_logged")

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
NOW_MS = 1_795_348_800_000
BASE = 52_776_558_133_248  # 3 · 2^44
LAST_SEQ = msgspec.msgpack.encode(LastSeq(PIPE))
NOTHING = (404, b"", {"content-length": "0"})  # what is answered to those who are no nodes


class Given(NamedTuple):
    status: int
    body: bytes
    headers: dict[str, str]


@pytest.fixture
def here() -> Internal:
    return room(PartitionLog(MemoryBronzeLog(), 3), clock=lambda: NOW)


def signed(body: bytes = LAST_SEQ, *, path: str = BRONZE_PATH, key: bytes = KEY, **other: Any) -> dict[str, str]:
    values: dict[str, Any] = {
        "node_id": "nd_3", "method": "POST", "path": path, "query": "", "time_ms": NOW_MS, "nonce": new_nonce(),
        "digest": digest_of(body), **other,
    }  # fmt: skip
    return Seal(key).ask_headers(Ask(**values))


async def posted(
    here: Internal, headers: dict[str, str], body: bytes = LAST_SEQ, path: str = BRONZE_PATH, query: bytes = b"",
    method: str = "POST",
) -> Given:  # fmt: skip
    scope = {
        "type": "http", "method": method, "path": path, "query_string": query, "client": ("10.0.0.7", 4711),
        "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()],
    }  # fmt: skip
    pieces = [body[:5], body[5:]]

    async def receive() -> dict[str, Any]:
        piece = pieces.pop(0)
        return {"type": "http.request", "body": piece, "more_body": bool(pieces)}

    return await heard(here, scope, receive)


async def heard(app: Any, scope: dict[str, Any], receive: Callable[[], Any]) -> Given:
    said: list[MutableMapping[str, Any]] = []

    async def send(message: MutableMapping[str, Any]) -> None:
        said.append(message)

    await app(scope, receive, send)
    headers = {name.decode(): value.decode() for name, value in said[0]["headers"]}
    return Given(said[0]["status"], b"".join(one["body"] for one in said[1:]), headers)


def refusal(given: Given) -> Refused:
    return msgspec.msgpack.decode(unpacked(given.body), type=Refused)


async def test_a_node_is_answered_and_the_answer_is_signed(here: Internal) -> None:
    headers = signed()
    given = await posted(here, headers)
    assert given.status == 200
    assert msgspec.msgpack.decode(unpacked(given.body)) == BASE
    seal = Seal(KEY)
    answer = seal.answer(given.headers, 200, headers["dash-nonce"], given.body)
    assert answer is not None
    assert answer.node_id == "nd_3"
    assert seal.answer(given.headers, 200, new_nonce(), given.body) is None  # nobody can use it for another question
    assert seal.answer(given.headers, 404, headers["dash-nonce"], given.body) is None


async def test_a_ping_is_answered(here: Internal) -> None:
    given = await posted(here, signed(b"", path=PING_PATH), b"", PING_PATH)
    assert msgspec.msgpack.decode(unpacked(given.body), type=Pong) == Pong("nd_3", "1.2.3")


@pytest.mark.parametrize(
    "change",
    [
        {"dash-signature": "0" * 64},
        {"dash-signature": "é"},
        {"dash-time": str(NOW_MS + 1)},
        {"dash-time": "²"},
        {"dash-time": "-1"},
        {"dash-time": "9" * 5000},
        {"dash-nonce": "f" * 32},
        {"dash-nonce": "f" * 5000},
        {"dash-node": "nd_4"},
        {"dash-protocol": "2"},
        {"dash-digest": digest_of(b"")},
        {"dash-digest": ""},
    ],
)
async def test_a_changed_header_finds_nothing(here: Internal, change: dict[str, str]) -> None:
    assert tuple(await posted(here, signed() | change)) == NOTHING


async def test_what_was_changed_on_its_way_finds_nothing(here: Internal) -> None:
    assert tuple(await posted(here, signed(), LAST_SEQ + b"x")) == NOTHING
    assert tuple(await posted(here, signed(), query=b"a=1")) == NOTHING
    assert tuple(await posted(here, signed(), path=PING_PATH)) == NOTHING
    assert tuple(await posted(here, signed(), method="PUT")) == NOTHING
    assert (await posted(here, signed())).status == 200  # the control


async def test_without_the_key_there_is_nothing(here: Internal) -> None:
    for headers in ({}, {"authorization": "Bearer dash_1"}, signed(key=b"x" * 32)):
        assert tuple(await posted(here, headers)) == NOTHING


async def test_nothing_of_a_body_is_read_before_the_signature_is_right(here: Internal) -> None:
    async def receive() -> dict[str, Any]:
        raise AssertionError("the body is read")

    scope = {"type": "http", "method": "POST", "path": BRONZE_PATH, "query_string": b"", "headers": []}
    assert (await heard(here, scope, receive)).status == 404


@pytest.mark.parametrize(("apart", "status"), [(-30_001, 404), (-30_000, 200), (30_000, 200), (30_001, 404)])
async def test_an_ask_is_for_half_a_minute(here: Internal, apart: int, status: int) -> None:
    with structlog.testing.capture_logs() as told:
        assert (await posted(here, signed(time_ms=NOW_MS + apart))).status == status
    reasons = [one["reason"] for one in told]
    expected = f"the other node's clock is 30 s {'ahead of' if apart > 0 else 'behind'} the one here, or it is old"
    assert reasons == ([expected] if status == 404 else [])


async def test_what_was_asked_before_is_not_answered_again(here: Internal) -> None:
    headers = signed()
    assert (await posted(here, headers)).status == 200
    assert tuple(await posted(here, headers)) == NOTHING


async def test_an_ask_for_another_node_is_told_who_is_here(here: Internal) -> None:
    given = await posted(here, signed(node_id="nd_4"))
    assert (given.status, refusal(given)) == (
        503, Refused("TransientError", "this is node nd_3, not nd_4", retry_after_secs=1.0),
    )  # fmt: skip
    assert given.headers["dash-node"] == "nd_3"


async def test_another_version_of_the_protocol_is_told(here: Internal) -> None:
    given = await posted(here, signed(protocol="2"))
    assert (given.status, refusal(given).kind) == (409, "Conflict")
    assert "version 1 of calls between nodes, not 2" in refusal(given).message


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [("/internal/v1/append", "POST", 404), ("/internal/", "POST", 404), (BRONZE_PATH, "GET", 405)],
)
async def test_a_node_is_told_what_there_is_not(here: Internal, path: str, method: str, status: int) -> None:
    given = await posted(here, signed(path=path, method=method), path=path, method=method)
    assert (given.status, "dash-signature" in given.headers) == (status, True)


async def test_a_body_that_is_too_large_is_not_taken_in(here: Internal) -> None:
    taken = 0

    async def receive() -> dict[str, Any]:
        nonlocal taken
        taken += 1 << 20
        return {"type": "http.request", "body": bytes(1 << 20), "more_body": True}

    headers = [(name.encode(), value.encode()) for name, value in signed(b"").items()]
    scope = {"type": "http", "method": "POST", "path": BRONZE_PATH, "query_string": b"", "headers": headers}
    given = await heard(here, scope, receive)
    assert (given.status, refusal(given).kind) == (413, "TooLarge")
    assert taken == MOST_ASKED + (1 << 20)


async def test_a_connection_that_ends_in_the_middle_is_the_end_of_it(here: Internal) -> None:
    messages = iter([{"type": "http.request", "body": b"x", "more_body": True}, {"type": "http.disconnect"}])

    async def receive() -> dict[str, Any]:
        return next(messages)

    headers = [(name.encode(), value.encode()) for name, value in signed(b"xy").items()]
    scope = {"type": "http", "method": "POST", "path": BRONZE_PATH, "query_string": b"", "headers": headers}
    assert (await heard(here, scope, receive)).status == 404


async def test_a_body_that_does_not_come_is_not_waited_for(here: Internal, monkeypatch: pytest.MonkeyPatch) -> None:
    assert BODY_SECS == 30.0
    monkeypatch.setattr("appliance.api.internal.BODY_SECS", 0.01)

    async def receive() -> dict[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError("nobody sends")

    headers = [(name.encode(), value.encode()) for name, value in signed(b"xy").items()]
    scope = {"type": "http", "method": "POST", "path": BRONZE_PATH, "query_string": b"", "headers": headers}
    assert (await heard(here, scope, receive)).status == 404


async def test_turning_away_is_logged_but_not_each_time(here: Internal) -> None:
    with structlog.testing.capture_logs() as told:
        for _ in range(50):
            await posted(here, {})
        await posted(here, signed(time_ms=0))
    assert [(one["event"], one["remote"]) for one in told] == [("internal.turned_away", "10.0.0.7")] * 2


@settings(max_examples=200, deadline=None)
@given(body=st.binary(max_size=200), path=st.sampled_from([BRONZE_PATH, PING_PATH, "/internal/"]))
def test_no_bytes_of_a_node_are_a_bug(body: bytes, path: str) -> None:
    here = room(PartitionLog(MemoryBronzeLog(), 3), clock=lambda: NOW)
    given = asyncio.run(posted(here, signed(body, path=path), body, path))
    assert given.status in (200, 400, 404)
    assert "dash-signature" in given.headers


KINDS = (
    "last_seq", "read", "event", "segments", "seq_at", "expire", "erase", "correct", "corrected", "size", "append",
)  # fmt: skip
CALL = st.fixed_dictionaries(
    {
        "type": st.sampled_from(
            ["last_seq", "read", "event", "segments", "seq_at", "expire", "erase", "correct", "corrected", "size", "x"]
        )
    },
    optional={
        "pipeline_id": st.sampled_from(["pl_boiler", "../..", "", "\x00", "pl_\u2028"]) | st.none(),
        "after_seq": st.integers(-(2**63), 2**64 - 1),
        "seq": st.integers(-(2**63), 2**64 - 1),
        "seqs": st.lists(st.integers(-(2**63), 2**64 - 1), max_size=3),
        "first_seq": st.integers(-(2**63), 2**64 - 1),
        "last_seq": st.integers(-(2**63), 2**64 - 1),
        "max_events": st.integers(-1, 2**64 - 1),
        "max_bytes": st.integers(-1, 2**64 - 1),
        "moment": st.datetimes() | st.datetimes(timezones=st.just(UTC)) | st.just("now"),
        "before": st.none(),
        "keep_bytes": st.none() | st.integers(-1, 2**64 - 1),
        "up_to": st.integers(-(2**63), 2**64 - 1),
        "reason": st.text(max_size=3),
        "by": st.text(max_size=3),
        "corrections": st.just([]),
    },
)


@settings(max_examples=100, deadline=None)
@given(call=CALL)
def test_no_call_of_a_node_is_a_bug(call: dict[str, Any]) -> None:
    here = room(PartitionLog(MemoryBronzeLog(), 3), clock=lambda: NOW)
    body = msgspec.msgpack.encode(call)
    assert asyncio.run(posted(here, signed(body), body)).status in (200, 400, 404)


@settings(max_examples=200, deadline=None)
@given(
    headers=st.dictionaries(
        st.sampled_from(["dash-protocol", "dash-node", "dash-time", "dash-nonce", "dash-digest", "dash-signature"]),
        st.text(st.characters(max_codepoint=255), max_size=40),
    ),
    body=st.binary(max_size=50),
    query=st.binary(max_size=20),
)
def test_whatever_nobody_in_particular_sends_finds_nothing(headers: dict[str, str], body: bytes, query: bytes) -> None:
    here = room(PartitionLog(MemoryBronzeLog(), 3), clock=lambda: NOW)
    assert tuple(asyncio.run(posted(here, headers, body, query=query))) == NOTHING


def test_nonces_are_remembered_as_long_as_they_could_be_used() -> None:
    now = 0.0
    nonces = Nonces(most=3, clock=lambda: now)
    assert [nonces.fresh(one) for one in ("a", "b", "a", "c", "d")] == [True, True, False, True, False]  # no room for d
    now = 59.0
    assert not nonces.fresh("a")
    now = 61.0
    assert [nonces.fresh(one) for one in ("a", "d", "d")] == [False, True, False]  # the minute before is known still
    now = 122.0
    assert [nonces.fresh(one) for one in ("d", "a")] == [False, True]
    now = 10_000.0
    assert nonces.fresh("d")


def test_the_key_of_calls_is_derived_and_says_nothing_of_the_secret() -> None:
    # HKDF-SHA256, no salt: openssl kdf -keylen 32 -kdfopt digest:SHA256 -kdfopt key:secret -kdfopt info:… HKDF
    assert internal_key(b"secret").hex() == "fb4e478c39120d9463bea0b50726a2355d5ee124b9b20c9b089ffb4ba7d47e3c"
    assert internal_key(b"other") != internal_key(b"secret")


async def test_the_room_is_mounted_only_where_there_are_other_nodes(here: Internal) -> None:
    async def screens(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 418, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    rooms: dict[str, Any] = {"ingest": None, "feed": None, "api": None, "screens": screens, "handbook": None}
    assert (await posted(Dispatcher(**rooms), signed())).status == 418  # type: ignore[arg-type]
    assert (await posted(Dispatcher(**rooms, internal=here), signed())).status == 200  # type: ignore[arg-type]
