"""Another node that is not the one it should be, or does not answer as it should: it is named, and nothing crashes."""

import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterator, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from appliance.components.bronze import Correction
from appliance.components.packed import packed, unpacked
from appliance.components.partitions import Holder
from appliance.domain.clock import utc_now
from appliance.domain.ids import NodeId, PipelineId
from appliance.errors import (
    TooLarge,
    TransientError,
)
from appliance.storage.bronze_cluster import PartitionLog, RemoteLog
from appliance.storage.bronze_cluster.silence import Silence
from tests.contract.bronze_adapters import ALL, NOON, PIPE, delivery
from tests.fakes.bronze import MemoryBronzeLog
from tests.fakes.internal_room import calling, room, served

BASE = 52_776_558_133_248  # 3 · 2^44
BIG = 10**30  # no integer of msgpack
HOUR = timedelta(hours=1)
NODE = r"node 'node-3' at .*"


def correction(seq: int, payload: bytes | None) -> Correction:
    return Correction(seq, payload, "a typing error", "ada@example.org", NOON)


@pytest.fixture
async def there() -> PartitionLog:
    log = PartitionLog(MemoryBronzeLog(), 3)
    for _ in range(11):
        await log.append(PIPE, delivery(b'"%0200d"' % 1, b"2"))
    return log


@pytest.fixture
def remote(there: PartitionLog) -> Iterator[RemoteLog]:
    with served(room(there)) as holder, calling() as caller:
        yield RemoteLog(holder, caller)


def test_a_key_of_another_installation_is_told(there: PartitionLog) -> None:
    with (
        served(room(there)) as holder,
        calling(key=b"x" * 32) as caller,
        pytest.raises(TransientError, match=r"node 'node-3' at http.* \(404\).*secret\.key is the same on both"),
    ):
        RemoteLog(holder, caller).last_seq(PIPE)


@pytest.mark.parametrize(("apart", "told"), [(-31, r"3[01] s ahead of"), (31, r"3[01] s behind")])
def test_clocks_that_differ_are_told(there: PartitionLog, apart: int, told: str) -> None:
    with (
        served(room(there)) as holder,
        calling(clock=lambda: utc_now() + timedelta(seconds=apart)) as caller,
        pytest.raises(TransientError, match=told),
    ):
        RemoteLog(holder, caller).last_seq(PIPE)


def test_clocks_may_differ_a_little(there: PartitionLog) -> None:
    for apart in (-28, 28):
        with (
            served(room(there)) as holder,
            calling(clock=lambda apart=apart: utc_now() + timedelta(seconds=apart)) as caller,
        ):
            assert RemoteLog(holder, caller).last_seq(PIPE) == BASE + 22


def test_another_node_at_the_address_is_not_believed(there: PartitionLog) -> None:
    with (
        served(room(there, node_id="nd_4")) as holder,
        calling() as caller,
        pytest.raises(TransientError, match="node nd_4 answers there now, and not nd_3"),
    ):
        RemoteLog(holder, caller).last_seq(PIPE)


@pytest.mark.parametrize("what", ["body", "status", "signature", "node"])
def test_a_changed_answer_is_not_believed(there: PartitionLog, what: str) -> None:
    inner = room(there)

    async def changing(scope: Any, receive: Any, send: Any) -> None:
        async def changed(message: MutableMapping[str, Any]) -> None:
            headers = dict(message.get("headers", []))
            if message["type"] == "http.response.body" and what == "body":
                message["body"] = message["body"][:-1] + bytes([message["body"][-1] ^ 1])
            if what == "status" and "status" in message:
                message["status"] = 201
            if what in ("signature", "node") and headers:
                headers[b"dash-" + what.encode()] = b"nd_5" if what == "node" else b"\xff" * 64
                message["headers"] = list(headers.items())
            await send(message)

        await inner(scope, receive, changed)

    with (
        served(changing) as holder,
        calling() as caller,
        pytest.raises(TransientError, match=NODE + "not signed by a node of this installation"),
    ):
        RemoteLog(holder, caller).last_seq(PIPE)


def test_an_answer_that_is_too_large_is_not_taken(remote: RemoteLog, there: PartitionLog) -> None:
    with served(room(there)) as holder, calling(most_answered=1000) as caller:
        small = RemoteLog(holder, caller)
        assert small.last_seq(PIPE) == BASE + 22
        with pytest.raises(TransientError, match=NODE + "1000"):
            small.read(PIPE, BASE, *ALL)


def test_what_is_packed_is_unpacked_within_bounds() -> None:
    for value in (1, [b"x" * 100_000], None):
        assert msgspec.msgpack.decode(unpacked(packed(value))) == value
    assert len(packed([b"x" * 100_000])) < 1000
    for answer in (b"", b"\2abc", b"\1abc", packed([b"x" * 100_000])[:-5], b"\1" + packed(1)):
        with pytest.raises(ValueError, match=r"."):
            unpacked(answer)
    for answer in (packed([b"x" * 100_000]), packed(b"x" * 2000)):
        with pytest.raises(ValueError, match="1999"):
            unpacked(answer, 1999)


def test_more_than_a_node_takes_is_not_sent(remote: RemoteLog) -> None:
    with pytest.raises(TooLarge, match="ask for less"):
        remote.upkeep.correct(PIPE, [correction(BASE + 1, b"1" * (65 << 20))])


@contextmanager
def speaking(*pieces: bytes, hold: bool = False) -> Iterator[Holder]:
    """Accept connections, send ``pieces`` a little apart and end the connection; ``hold``: keep it open and silent."""
    ended = threading.Event()

    def serve(listening: socket.socket) -> None:
        while not ended.is_set():
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            with connection:
                connection.recv(1 << 16)
                for piece in pieces:
                    ended.wait(0.05)
                    try:
                        connection.sendall(piece)
                    except OSError:
                        break
                if hold:
                    ended.wait(10)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve, args=(listening,))
        thread.start()
        try:
            yield Holder(NodeId("nd_3"), "node-3", f"http://127.0.0.1:{listening.getsockname()[1]}", 3)
        finally:
            ended.set()
            listening.shutdown(socket.SHUT_RDWR)
            thread.join(10)


HEAD = b"HTTP/1.1 200 OK\r\ndash-signature: x\r\ncontent-length: 1000\r\n\r\n"


@pytest.mark.parametrize(
    ("pieces", "hold", "told"),
    [
        ((), False, "does not answer"),
        ((HEAD + b"begun",), False, "does not answer"),
        ((b"nothing of HTTP\r\n\r\n",), False, "does not answer"),
        ((), True, "does not answer"),
        ((HEAD, *[b"x"] * 40), True, "too slowly"),
    ],
    ids=["cut", "cut in the middle", "no HTTP", "silent", "drop by drop"],
)
def test_a_node_that_does_not_answer_is_named(pieces: tuple[bytes, ...], hold: bool, told: str) -> None:
    with (
        speaking(*pieces, hold=hold) as holder,
        calling(whole_secs=0.4) as caller,
        pytest.raises(TransientError, match=f"node 'node-3' at {holder.address}.* {told}"),
    ):
        RemoteLog(holder, caller).last_seq(PIPE)


@pytest.mark.parametrize("address", ["http://127.0.0.1:1", "http://nowhere.invalid", "ftp://127.0.0.1", "http://[", ""])
def test_an_address_where_nobody_is_is_told(address: str) -> None:
    with calling() as caller, pytest.raises(TransientError, match=NODE + "does not answer"):
        caller.ping(Holder(NodeId("nd_3"), "node-3", address, 3))


def test_an_answer_of_another_shape_is_told() -> None:
    class Odd(MemoryBronzeLog):
        def last_seq(self, pipeline_id: PipelineId) -> int:
            return "many"  # type: ignore[return-value]

    with (
        served(room(Odd())) as holder,
        calling() as caller,
        pytest.raises(TransientError, match=NODE + "answers what is not understood here"),
    ):
        RemoteLog(holder, caller).last_seq(PIPE)


def test_a_bug_there_is_told_as_one() -> None:
    class Buggy(MemoryBronzeLog):
        def segments(self, pipeline_id: PipelineId) -> Any:
            raise KeyError("a password")

    with (
        served(room(Buggy())) as holder,
        calling() as caller,
        pytest.raises(TransientError, match=NODE + "for a reason that is in its log") as told,
    ):
        RemoteLog(holder, caller).segments(PIPE)
    assert "password" not in str(told.value)


def test_a_node_that_could_not_be_reached_is_left_alone_for_a_moment() -> None:
    now = 0.0
    with served(room(MemoryBronzeLog())) as alive, calling() as caller:
        caller.silence = Silence(2.0, clock=lambda: now)
        dead = Holder(NodeId("nd_4"), "node-4", "http://127.0.0.1:1", 4)
        refused = r"node 'node-4' .* does not answer \(Connection refused\): what is on its disk can be read when"
        with pytest.raises(TransientError, match=refused):
            caller.ping(dead)
        with pytest.raises(TransientError, match=r"node 'node-4' .* did not answer a moment ago"):
            caller.ping(dead)
        assert caller.ping(alive).node_id == "nd_3"  # others are asked
        now = 2.5
        with pytest.raises(TransientError, match=r"node 'node-4' .* does not answer"):
            caller.ping(dead)


def test_proxies_of_the_environment_are_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    with served(room(MemoryBronzeLog())) as holder, calling() as caller:
        assert caller.ping(holder).node_id == "nd_3"


def test_many_threads_ask_through_one_caller(there: PartitionLog) -> None:
    with served(room(there)) as holder, calling() as caller, ThreadPoolExecutor(16) as pool:
        remote = RemoteLog(holder, caller)
        found = list(pool.map(lambda seq: remote.event(PIPE, BASE + seq % 22 + 1).seq, range(200)))
    assert found == [BASE + seq % 22 + 1 for seq in range(200)]


def self_signed(folder: Path) -> Path:
    """Write a certificate for 127.0.0.1 and its key to one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "node-3")])
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    now = utc_now()
    certificate = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        .add_extension(address, critical=False).sign(key, hashes.SHA256())
    )  # fmt: skip
    plain = serialization.NoEncryption()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    file = folder / "node.pem"
    file.write_bytes(pem + certificate.public_bytes(serialization.Encoding.PEM))
    return file


@contextmanager
def speaking_tls(file: Path) -> Iterator[Holder]:
    """Accept connections over TLS and answer 404 to all."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)

    def serve(listening: socket.socket) -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            with suppress(OSError), context.wrap_socket(connection, server_side=True) as secured:
                secured.recv(1 << 16)
                secured.sendall(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            connection.close()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve, args=(listening,))
        thread.start()
        try:
            yield Holder(NodeId("nd_3"), "node-3", f"https://127.0.0.1:{listening.getsockname()[1]}", 3)
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join(10)


def test_certificates_are_verified(tmp_path: Path) -> None:
    file = self_signed(tmp_path)
    with speaking_tls(file) as holder:
        with calling() as caller, pytest.raises(TransientError, match="certificate"):
            caller.ping(holder)
        ours = ssl.create_default_context(cafile=str(file))
        with calling(tls=ours) as caller, pytest.raises(TransientError, match=r"\(404\)"):  # it was spoken with
            caller.ping(holder)
