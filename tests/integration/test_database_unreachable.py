"""Each part of a DSN that can be wrong, on a real server with TLS and passwords: told by its part."""

import datetime
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from appliance.domain.database.access import Access
from appliance.domain.database.dsn import Dsn
from appliance.domain.database.examination import Examination
from appliance.domain.database.findings import Need
from appliance.domain.database.refusal import Part
from appliance.storage.control.backend import Unreachable
from appliance.storage.control.examination import examine, guarded
from tests.postgres import PostgresServer, postgres_server
from tests.running import free_port

NEED = Need(connections=5, max_lag_secs=10, head="0002", known=("0001", "0002"))
HBA = """local all all trust
host postgres,closed,nope all 127.0.0.1/32 scram-sha-256
"""


def certificate(name: str) -> tuple[bytes, bytes]:
    """Return a key and the certificate that it signed for itself, for ``name``."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return key.private_bytes(*form), made.public_bytes(serialization.Encoding.PEM)


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """A server with TLS on a port of its own, that asks for passwords there and lets into three databases only."""
    with postgres_server({"listen_addresses": "127.0.0.1", "port": str(free_port())}) as server:
        key, cert = certificate("localhost")
        for name, content in (("server.key", key), ("server.crt", cert), ("pg_hba.conf", HBA.encode())):
            server.put(name, content)
        with psycopg.connect(server.url(), autocommit=True) as connection:
            for statement in (
                "ALTER SYSTEM SET ssl = on", "SELECT pg_reload_conf()", "CREATE ROLE ada LOGIN PASSWORD 'hunter2'",
                "CREATE ROLE nologin NOLOGIN PASSWORD 'hunter2'", "CREATE DATABASE closed", "CREATE DATABASE walled",
                "REVOKE CONNECT ON DATABASE closed FROM PUBLIC",
            ):  # fmt: skip
                connection.execute(statement)
        yield server


def looked(dsn: str, **more: str) -> Examination:
    found = examine(Access(dsn=Dsn.parse(dsn).replaced(**more)), NEED)
    assert "hunter2" not in repr(found)
    return found


@pytest.fixture
def tcp(server: PostgresServer) -> str:
    return f"postgresql://ada:hunter2@127.0.0.1:{server.settings['port']}/postgres"


def test_all_is_well_with_the_right_parts(tcp: str, server: PostgresServer) -> None:
    found = looked(tcp)
    assert found.refused is None
    assert "'ada' may not make schemas, and schema 'dash' is not there" in [one.message for one in found.findings]
    root = str(server.data / "server.crt")
    told = [one.message for one in looked(tcp, host="localhost", sslmode="verify-full", sslrootcert=root).findings]
    assert "encrypted (TLSv1.3), and the server's certificate is verified (verify-full)" in told


@pytest.mark.parametrize(
    ("change", "part", "message"),
    [
        ({"host": "nowhere.invalid"}, Part.HOST, "the host nowhere.invalid port {port} is not known here"),
        ({"port": "1"}, Part.PORT, "nobody listens on 127.0.0.1 port 1"),
        ({"dbname": "nope"}, Part.DATABASE, "the server has no database 'nope'"),
        ({"dbname": "walled"}, Part.ACCESS,
         "pg_hba.conf of the server has no line that lets in 'ada' in the database 'walled' from this machine"),
        ({"dbname": "closed"}, Part.ACCESS, "'ada' may not connect to the database 'closed'"),
        ({"user": "nologin"}, Part.USER, "the role 'nologin' may not sign in"),
        ({"password": "wrong"}, Part.PASSWORD,
         "the password for 'ada' is wrong, or there is no such user: the server does not say which"),
        ({"user": "nobody"}, Part.PASSWORD,
         "the password for 'nobody' is wrong, or there is no such user: the server does not say which"),
        ({"password": ""}, Part.PASSWORD, "the server wants a password for 'ada' and none was given"),
        ({"sslmode": "verify-full", "sslrootcert": "/nowhere/ca.crt"}, Part.TLS,
         "the certificate file '/nowhere/ca.crt' is not there"),
        ({"host": "/nowhere", "password": ""}, Part.HOST, "no server is on the socket /nowhere/.s.PGSQL.{port}"),
    ],
)  # fmt: skip
def test_each_wrong_part_has_its_own_sentence(
    tcp: str, server: PostgresServer, change: dict[str, str], part: Part, message: str
) -> None:
    found = looked(tcp, **change)
    assert [one.message for one in found.findings] == [message.format(port=server.settings["port"])]
    assert (found.refused, found.usable, bool(found.findings[0].remedy)) == (part, False, True)


def test_a_user_that_is_not_there_where_none_is_asked_for_a_password(server: PostgresServer) -> None:
    found = looked(server.url(user="nobody"))
    assert (found.refused, found.findings[0].message) == (Part.USER, "the server has no user 'nobody'")


def test_a_certificate_that_is_not_trusted_or_for_another_name(
    tcp: str, server: PostgresServer, tmp_path: Path
) -> None:
    other = tmp_path / "other.crt"
    other.write_bytes(certificate("localhost")[1])
    port = server.settings["port"]
    untrusted = looked(tcp, host="localhost", sslmode="verify-full", sslrootcert=str(other))
    assert untrusted.findings[0].message == (
        f"the certificate of localhost port {port} was issued by nobody who is trusted here"
    )
    named = looked(tcp, sslmode="verify-full", sslrootcert=str(server.data / "server.crt"))
    assert named.findings[0].message == "the server's certificate is for 'localhost', not for '127.0.0.1'"
    assert (untrusted.refused, named.refused) == (Part.TLS, Part.TLS)


@contextmanager
def answering(words: bytes) -> Iterator[int]:
    """Give a port where whoever says something hears ``words``."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    peer, _ = listener.accept()
                except OSError:
                    return
                with peer:
                    peer.recv(64)
                    peer.sendall(words)

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
    thread.join()


def test_a_server_without_tls_and_one_that_is_no_postgresql(tcp: str) -> None:
    with answering(b"N") as port:
        found = looked(tcp, port=str(port), sslmode="require")
        assert found.findings[0].message == f"127.0.0.1 port {port} does not speak TLS and sslmode=require wants it"
    with answering(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port:
        found = looked(tcp, port=str(port))
        assert (found.refused, found.findings[0].message) == (
            Part.PORT, f"what answers on 127.0.0.1 port {port} is no PostgreSQL",
        )  # fmt: skip


def test_a_full_server_is_told_as_passing(server: PostgresServer, tcp: str) -> None:
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute("ALTER ROLE ada CONNECTION LIMIT 0")
        try:
            found = looked(tcp)
        finally:
            connection.execute("ALTER ROLE ada CONNECTION LIMIT -1")
    assert (found.refused, found.findings[0].message.endswith("has no connection left")) == (Part.ROOM, True)


def test_the_password_may_be_in_a_file(tcp: str, tmp_path: Path) -> None:
    file = tmp_path / "password"
    access = Access(dsn=Dsn.parse(tcp.replace(":hunter2", "")), password_file=file)
    missing = examine(access, NEED)
    assert missing.findings[0].message == f"the password file {str(file)!r} cannot be read: No such file or directory"
    file.write_text("hunter2\nwhat follows is not the password\n")
    assert examine(access, NEED).refused is None


def test_what_is_typed_into_a_screen_goes_where_the_operator_allows(tcp: str, server: PostgresServer) -> None:
    port = server.settings["port"]
    with pytest.raises(Unreachable) as caught:
        guarded(Dsn.parse(tcp), [])
    assert caught.value.refusal.message == (
        "127.0.0.1 is a private address, which a screen may not have connected to by itself"
    )
    assert f"'127.0.0.1/32:{port}'" in caught.value.refusal.remedy
    for never in ("postgresql://169.254.169.254/x", "postgresql://x@/y?host=/tmp"):
        with pytest.raises(Unreachable):
            guarded(Dsn.parse(never), ["0.0.0.0/0"])
    bound = guarded(Dsn.parse(tcp).replaced(host="localhost"), ["127.0.0.0/8", "::1"])
    assert set((bound.get("hostaddr") or "").split(",")) <= {"127.0.0.1", "::1"}
    assert looked(bound.text()).refused is None
