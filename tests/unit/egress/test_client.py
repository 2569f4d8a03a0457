import asyncio
import gzip
import time
import zlib
from collections.abc import AsyncIterator, Sequence

import pytest

from appliance.components.resources import OutboundRequest
from appliance.egress.client import OutboundClient
from appliance.egress.guard import parse_allowed
from appliance.errors import ConfigError, DashError, TooLarge, TransientError, UnsupportedMedia
from tests.fakes.http_server import Answer, Asked, HttpServer

LOOPBACK = (parse_allowed("127.0.0.0/8"), parse_allowed("::1/128"))


@pytest.fixture
async def server() -> AsyncIterator[HttpServer]:
    async with HttpServer() as running:
        yield running


@pytest.fixture
async def client() -> AsyncIterator[OutboundClient]:
    made = OutboundClient(LOOPBACK)
    yield made
    await made.close()


async def test_a_request_arrives_whole_and_so_does_its_answer(server: HttpServer, client: OutboundClient) -> None:
    server.routes["/x"] = lambda asked: Answer(201, asked.body[::-1], {"X-Twice": "a"})
    request = OutboundRequest(url=server.url("/x?q=%C3%BC"), method="POST", headers={"X-A": "b"}, body=b"abc")
    response = await client.send(request)
    assert (response.status, response.body, response.headers["x-twice"]) == (201, b"cba", "a")
    [asked] = server.requests
    assert (asked.method, asked.query, asked.headers["x-a"]) == ("POST", {"q": "ü"}, "b")
    assert asked.headers["host"] == f"127.0.0.1:{server.port}"
    assert asked.headers["accept-encoding"] == "gzip, identity"
    counts = client.traffic()["127.0.0.1"]
    assert (counts.requests, counts.bytes_out, counts.bytes_in, counts.refused) == (1, 3, 3, 0)


async def test_the_environment_is_not_asked_for_proxies(
    server: HttpServer, client: OutboundClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    server.routes["/x"] = lambda _: Answer(200, b"direct")
    assert (await client.send(OutboundRequest(url=server.url("/x")))).body == b"direct"


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "0x7f000001",
        "0x7f.1",
        "127.1",
        "2130706433",
        "017700000001",
        "127.0.0.1.",
        "LOCALHOST",
    ],
)
async def test_loopback_is_refused_in_every_spelling(server: HttpServer, host: str) -> None:
    client = OutboundClient()
    with pytest.raises((ConfigError, TransientError)) as caught:
        await client.send(OutboundRequest(url=server.url("/x", host)))
    if isinstance(caught.value, ConfigError):  # resolvers differ in which spellings they know at all
        assert f"/32:{server.port}' to egress.allow" in str(caught.value) or "/128]" in str(caught.value)
        assert client.traffic()[host.lower()].refused == 1
    assert server.requests == []
    await client.close()


@pytest.mark.parametrize(
    "host", ["[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:0:0:1]", "[::127.0.0.1]"]
)
async def test_loopback_is_refused_as_ipv6(server: HttpServer, host: str) -> None:
    with pytest.raises(ConfigError, match="was refused"):
        await OutboundClient().send(OutboundRequest(url=server.url("/x", host)))


async def test_metadata_is_refused_even_if_all_is_allowed() -> None:
    client = OutboundClient([parse_allowed("0.0.0.0/0"), parse_allowed("::/0")])
    for host in (
        "169.254.169.254",
        "[fe80::1]",
        "100.100.100.200",
        "[fd00:ec2::254]",
        "0xa9fea9fe",
        "[::ffff:a9fe:a9fe]",
    ):
        with pytest.raises(ConfigError, match="none such is allowed"):
            await client.send(OutboundRequest(url=f"http://{host}/latest/meta-data/"))


def resolver_of(*answers: str) -> "Resolving":
    return Resolving(answers)


class Resolving:
    """Answers fixed addresses for any name, and counts how often it was asked."""

    def __init__(self, answers: Sequence[str]) -> None:
        self.answers, self.asked = answers, 0

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked += 1
        return self.answers


@pytest.mark.parametrize(
    "answers", [["127.0.0.1"], ["8.8.8.8", "10.0.0.1"], ["2606:4700::1", "::1"], ["8.8.8.8", "64:ff9b::7f00:1"]]
)
async def test_one_bad_answer_of_the_resolver_is_enough(answers: list[str]) -> None:
    client = OutboundClient(resolver=resolver_of(*answers))
    with pytest.raises(ConfigError, match=r"connecting to 'rebind\.example' was refused"):
        await client.send(OutboundRequest(url="http://rebind.example/"))


async def test_a_name_is_resolved_once_and_its_host_header_kept(server: HttpServer) -> None:
    resolving = resolver_of("127.0.0.1")
    client = OutboundClient(LOOPBACK, resolver=resolving)
    server.routes["/x"] = lambda _: Answer(200, b"ok")
    assert (await client.send(OutboundRequest(url=server.url("/x", "plc.example")))).body == b"ok"
    assert resolving.asked == 1
    assert server.requests[0].headers["host"] == f"plc.example:{server.port}"
    await client.close()


async def test_the_next_address_is_tried_when_one_is_dead(server: HttpServer) -> None:
    client = OutboundClient(LOOPBACK, resolver=resolver_of("127.0.0.9", "127.0.0.1"))
    server.routes["/x"] = lambda _: Answer(200, b"ok")
    assert (await client.send(OutboundRequest(url=server.url("/x", "plc.example")))).body == b"ok"
    await client.close()


async def test_what_was_allowed_can_be_taken_back(server: HttpServer, client: OutboundClient) -> None:
    server.routes["/x"] = lambda _: Answer(200, b"ok")
    await client.send(OutboundRequest(url=server.url("/x")))
    await client.allow([])
    with pytest.raises(ConfigError):
        await client.send(OutboundRequest(url=server.url("/x")))


async def test_redirects_are_not_followed_unless_asked(server: HttpServer, client: OutboundClient) -> None:
    server.routes["/x"] = lambda _: Answer(302, b"", {"location": "/y"})
    server.routes["/y"] = lambda _: Answer(200, b"y")
    assert (await client.send(OutboundRequest(url=server.url("/x")))).status == 302
    followed = await client.send(OutboundRequest(url=server.url("/x"), max_redirects=3))
    assert (followed.body, followed.url) == (b"y", server.url("/y"))
    posted = OutboundRequest(url=server.url("/x"), method="POST", body=b"", max_redirects=3)
    assert (await client.send(posted)).status == 302


async def test_each_hop_is_judged_and_loops_end(server: HttpServer, client: OutboundClient) -> None:
    server.routes["/meta"] = lambda _: Answer(302, b"", {"location": "http://169.254.169.254/"})
    with pytest.raises(ConfigError, match=r"169\.254\.169\.254"):
        await client.send(OutboundRequest(url=server.url("/meta"), max_redirects=3))
    server.routes["/loop"] = lambda _: Answer(302, b"", {"location": "/loop"})
    server.requests.clear()
    assert (await client.send(OutboundRequest(url=server.url("/loop"), max_redirects=3))).status == 302
    assert len(server.requests) == 4


async def test_credentials_do_not_follow_to_another_origin(server: HttpServer, client: OutboundClient) -> None:
    server.routes["/x"] = lambda _: Answer(302, b"", {"location": server.url("/y", "localhost")})
    server.routes["/y"] = lambda _: Answer(200, b"y")
    headers = {"Authorization": "Bearer t", "X-Api-Key": "k", "Accept": "application/json"}
    await client.send(OutboundRequest(url=server.url("/x"), headers=headers, max_redirects=1))
    assert server.requests[0].headers["authorization"] == "Bearer t"
    assert {"authorization", "x-api-key"} & server.requests[1].headers.keys() == set()
    assert server.requests[1].headers["accept"] == "application/json"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Answer(200, b"x" * 1001), TooLarge),
        (Answer(200, b"x" * 100, repeat=1_000_000), TooLarge),
        (Answer(200, gzip.compress(bytes(50_000_000)), {"content-encoding": "gzip"}), TooLarge),
        (Answer(200, gzip.compress(b"{}")[:-2], {"content-encoding": "gzip"}), TransientError),
        (Answer(200, b"{}", {"content-encoding": "gzip"}), UnsupportedMedia),
        (Answer(200, zlib.compress(b"{}"), {"content-encoding": "deflate"}), UnsupportedMedia),
        (Answer(200, b"\x0b\x02", {"content-encoding": "br"}), UnsupportedMedia),
        (Answer(200, b"x" * 100, reset_after=10), TransientError),
        (Answer(raw=b""), TransientError),
        (Answer(raw=b"HTTP/1.1 two hundred\r\n\r\n"), TransientError),
        (Answer(raw=b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc"), TransientError),
        (Answer(raw=b"HTTP/1.1 200 OK\r\n" + b"x: " + b"y" * 300_000 + b"\r\n\r\n"), TransientError),
    ],
)
async def test_bad_answers(server: HttpServer, client: OutboundClient, answer: Answer, error: type[DashError]) -> None:
    server.routes["/x"] = lambda _: answer
    with pytest.raises(error):
        await client.send(OutboundRequest(url=server.url("/x"), max_bytes=1000))
    server.routes["/x"] = lambda _: Answer(200, b"x" * 1000)
    assert len((await client.send(OutboundRequest(url=server.url("/x"), max_bytes=1000))).body) == 1000


async def test_gzip_is_inflated(server: HttpServer, client: OutboundClient) -> None:
    server.routes["/x"] = lambda _: Answer(200, gzip.compress(b"a" * 500) * 2, {"content-encoding": "gzip"})
    assert (await client.send(OutboundRequest(url=server.url("/x"), max_bytes=1000))).body == b"a" * 1000


async def test_a_slow_answer_is_given_up(server: HttpServer, client: OutboundClient) -> None:
    forever = asyncio.Event()
    server.routes["/x"] = lambda _: Answer(200, b"late", hold=forever.wait())
    began = time.monotonic()
    with pytest.raises(TransientError, match=r"slow|longer than"):
        await client.send(OutboundRequest(url=server.url("/x"), timeout_secs=0.2))
    assert time.monotonic() - began < 2


async def test_nobody_listens(client: OutboundClient) -> None:
    async with HttpServer() as gone:
        url = gone.url("/")
    with pytest.raises(TransientError, match=r"GET http://127\.0\.0\.1:\d+/ failed"):
        await client.send(OutboundRequest(url=url))


async def test_a_name_that_does_not_resolve(client: OutboundClient) -> None:
    async def failing(host: str, port: int) -> Sequence[str]:
        raise OSError(-2, "Name or service not known")

    with pytest.raises(TransientError, match=r"resolving 'nowhere\.example' failed: Name or service not known;"):
        await OutboundClient(resolver=failing).send(OutboundRequest(url="http://nowhere.example/"))
    with pytest.raises(TransientError, match="no address"):
        await OutboundClient(resolver=resolver_of()).send(OutboundRequest(url="http://nowhere.example/"))
    with pytest.raises(TransientError):
        await client.send(OutboundRequest(url=f"http://{'a' * 70}.example/"))


@pytest.mark.parametrize("headers", [{"X": "a\r\nY: b"}, {"X Y": "a"}, {"X": "€"}, {"Ü": "a"}])
async def test_headers_that_cannot_be_sent(server: HttpServer, client: OutboundClient, headers: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="is not possible"):
        await client.send(OutboundRequest(url=server.url("/x"), headers=headers))
    assert server.requests == []


async def test_our_own_headers_cannot_be_replaced(server: HttpServer, client: OutboundClient) -> None:
    server.routes["/x"] = lambda _: Answer(200, b"ok")
    headers = {"Host": "evil", "Content-Length": "5", "Accept-Encoding": "br", "Transfer-Encoding": "chunked"}
    await client.send(OutboundRequest(url=server.url("/x"), headers=headers))
    asked: Asked = server.requests[0]
    assert asked.headers["host"] != "evil"
    assert asked.headers["accept-encoding"] == "gzip, identity"
    assert "transfer-encoding" not in asked.headers


async def test_many_requests_at_once(server: HttpServer, client: OutboundClient) -> None:
    server.routes["/x"] = lambda asked: Answer(200, asked.query["n"].encode())
    sent = [client.send(OutboundRequest(url=server.url(f"/x?n={n}"))) for n in range(50)]
    assert [response.body for response in await asyncio.gather(*sent)] == [str(n).encode() for n in range(50)]
