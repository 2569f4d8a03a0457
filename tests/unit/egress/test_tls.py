"""TLS through the guard: the connection goes to the judged address, the certificate is checked against the name."""

import datetime
import ssl
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from appliance.components.resources import OutboundRequest
from appliance.egress.client import OutboundClient
from appliance.egress.guard import parse_allowed
from appliance.errors import ConfigError, TransientError
from tests.fakes.http_server import Answer, HttpServer

NAME = "plc.example"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate of ``NAME`` and its key, in one PEM file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


class Names:
    """The names that clients asked for in TLS (SNI)."""

    def __init__(self) -> None:
        self.asked: list[str | None] = []

    def note(self, _socket: object, name: str | None, _context: object) -> None:
        self.asked.append(name)


@pytest.fixture
def names() -> Names:
    return Names()


@pytest.fixture
async def server(certificate: Path, names: Names) -> AsyncIterator[HttpServer]:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    tls.sni_callback = names.note
    async with HttpServer(tls=tls) as running:
        running.routes["/x"] = lambda _: Answer(200, b"sealed")
        yield running


async def to_loopback(host: str, port: int) -> Sequence[str]:
    return ["127.0.0.1"]


@pytest.fixture
async def client() -> AsyncIterator[OutboundClient]:
    made = OutboundClient([parse_allowed("127.0.0.1/32")], resolver=to_loopback)
    yield made
    await made.close()


async def test_the_name_is_kept_for_sni_certificate_and_host(
    server: HttpServer, client: OutboundClient, names: Names, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert (await client.send(OutboundRequest(url=server.url("/x", NAME)))).body == b"sealed"
    assert names.asked == [NAME]
    assert server.requests[0].headers["host"] == f"{NAME}:{server.port}"


async def test_the_certificate_of_another_name_is_not_accepted(
    server: HttpServer, client: OutboundClient, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with pytest.raises(TransientError, match="certificate"):
        await client.send(OutboundRequest(url=server.url("/x", "other.example")))
    assert server.requests == []


async def test_a_certificate_that_nobody_vouches_for_is_not_accepted(
    server: HttpServer, client: OutboundClient
) -> None:
    with pytest.raises(TransientError, match="certificate"):
        await client.send(OutboundRequest(url=server.url("/x", NAME)))


async def test_a_companys_own_authority_is_trusted_where_it_is_named(
    server: HttpServer, certificate: Path, tmp_path: Path
) -> None:
    for ca_file, expected in ((certificate, None), (tmp_path / "none.pem", "No such file"), (tmp_path, "directory")):
        client = OutboundClient([parse_allowed("127.0.0.1/32")], ca_file, resolver=to_loopback)
        if expected is None:
            assert (await client.send(OutboundRequest(url=server.url("/x", NAME)))).body == b"sealed"
        else:
            with pytest.raises(ConfigError, match=f"egress.ca_file: no certificates can be read from it: .*{expected}"):
                await client.send(OutboundRequest(url=server.url("/x", NAME)))
        await client.close()
