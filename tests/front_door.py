"""The front doors of the handbook, run as they stand there: only names, ports and places of certificates are others."""

import re
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.programs import proxy
from tests.running import REPOSITORY, free_port

PAGE = REPOSITORY / "docs" / "handbook" / "front-door.md"
_AROUND = {
    "haproxy": "global\n    maxconn 2000\n\n{block}",
    "nginx": "daemon off;\nuser root;\npid {folder}/pid;\nerror_log {folder}/error.log;\n"
    "events {{ worker_connections 2000; }}\nhttp {{\naccess_log off;\n{temporary}{block}}}\n",
}
_CHECK = {"haproxy": ["-c", "-f"], "nginx": ["-t", "-c"]}
_RUN = {"haproxy": ["-db", "-f"], "nginx": ["-c"]}
_TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


def written(kind: str, folder: Path, port: int, hosts: Mapping[str, str]) -> Path:
    """Return the file with the page's block of ``kind``. ``hosts``: ``ingestor-1`` → ``host:port``."""
    found = re.search(rf"^```{kind}\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert found, f"the page has no block {kind!r}"
    block = re.sub(r"(bind :|listen )443\b", rf"\g<1>{port}", found[1]).replace("/etc/ssl/dash", str(folder))
    for name, address in hosts.items():
        block = block.replace(f"{name}:8080", address)
    assert ":8080" not in block
    temporary = "".join(f"{name}_temp_path {folder}/{name};\n" for name in _TEMPORARY)
    path = folder / f"{kind}.conf"
    path.write_text(_AROUND[kind].format(block=block, folder=folder, temporary=temporary))
    _certify(folder)
    return path


def checked(kind: str, path: Path) -> str:
    """Return what the program has against its configuration; nothing: it takes it."""
    command = [proxy(kind), *_CHECK[kind], str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
    said = done.stdout + done.stderr
    return said if done.returncode or "[warn" in said.lower() or "[alert" in said.lower() else ""


@contextmanager
def opened(kind: str, folder: Path, hosts: Mapping[str, str]) -> Iterator[str]:
    """Run it in front of ``hosts``; give its address."""
    port = free_port()
    path = written(kind, folder, port, hosts)
    assert checked(kind, path) == ""
    with (folder / f"{kind}.log").open("w") as log:
        child = subprocess.Popen([proxy(kind), *_RUN[kind], str(path)], stdout=log, stderr=log)
    try:
        _answers(f"https://127.0.0.1:{port}/livez")
        yield f"https://127.0.0.1:{port}"
    finally:
        child.terminate()
        child.wait(timeout=20)


def _answers(url: str) -> None:
    deadline = time.monotonic() + 20
    while not _is_answered(url):
        assert time.monotonic() < deadline, "the front door does not open"
        time.sleep(0.05)


def _is_answered(url: str) -> bool:
    try:
        return httpx.get(url, verify=False, trust_env=False, timeout=2).status_code == 200
    except httpx.TransportError:
        return False


def _certify(folder: Path) -> None:
    """Write a certificate of its own, as both programs want it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "dash.example.org")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    chain = certificate.public_bytes(serialization.Encoding.PEM)
    plain = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    for file, content in {"chain.pem": chain, "key.pem": plain, "both.pem": chain + plain}.items():
        (folder / file).write_bytes(content)
