"""A server that speaks S3, in a process of its own on loopback, and a proxy before it whose faults a test chooses.

``DASH_TEST_S3`` (``http://key:secret@host:port``) has the same tests speak to another server.
"""

import http.client
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from secrets import token_hex
from threading import Event, Thread
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config

from appliance.storage.archive.credentials import Credentials
from appliance.storage.archive.s3 import Bucket, Patience, S3Archive
from tests.running import free_port

REGION = "eu-central-1"
BRISK = Patience(
    connect=timedelta(seconds=1), request=timedelta(seconds=3), retries=1, retrying=timedelta(seconds=3)
)  # fmt: skip


@dataclass
class S3Server:
    """Where it is, and who may use it."""

    endpoint: str
    access_key: str = "ACCESS"
    secret_key: str = "SECRET-KEY-4711"

    def client(self, service: str = "s3") -> Any:
        return boto3.client(
            service, endpoint_url=self.endpoint, region_name=REGION, aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key, config=Config(s3={"addressing_style": "path"}),
        )  # fmt: skip

    def new_bucket(self) -> str:
        """Make an empty bucket and return its name."""
        name = f"bucket-{token_hex(4)}"
        self.client().create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
        return name

    def archive(self, bucket: str, endpoint: str | None = None, **chosen: Any) -> S3Archive:
        """Return the adapter for ``bucket``; ``endpoint``: of a proxy."""
        where = Bucket(name=bucket, prefix="pre/fix", endpoint=endpoint or self.endpoint, region=REGION)
        credentials = chosen.get("credentials", Credentials(self.access_key, self.secret_key))
        return S3Archive(where, lambda: credentials, chosen.get("patience", BRISK))


@contextmanager
def s3_server(*, asks_who: bool = False) -> Iterator[S3Server]:
    """Start a server. ``asks_who``: it proves signatures and rights of everybody after the first four requests."""
    other = os.environ.get("DASH_TEST_S3")
    if other and not asks_who:
        parts = urlsplit(other)
        yield S3Server(f"{parts.scheme}://{parts.hostname}:{parts.port}", parts.username or "", parts.password or "")
        return
    port = free_port()
    environment = {**os.environ, "INITIAL_NO_AUTH_ACTION_COUNT": "4"} if asks_who else None
    command = [sys.executable, "-W", "ignore", "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            _await_port(port)
            yield S3Server(f"http://127.0.0.1:{port}")
        finally:
            process.kill()


def _await_port(port: int) -> None:
    deadline = time.monotonic() + 60
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/moto-api/")
            connection.getresponse().read()
        except OSError:
            assert time.monotonic() < deadline, "the S3 server did not start"
            Event().wait(0.05)
        else:
            return
        finally:
            connection.close()


@dataclass(frozen=True)
class Fault:
    """What happens to a request. ``status`` and ``code``: answered without asking the server. ``cut``: the connection
    ends in the middle of the answer. ``wrong``: a byte of what is stored or answered is another. ``hold``: the answer
    waits for it."""

    status: int | None = None
    code: str = ""
    cut: bool = False
    wrong: bool = False
    hold: Event | None = None


@dataclass
class FaultProxy:
    """``fault(method, path)`` says what is to happen to a request; ``asked``: what was asked for so far."""

    server: S3Server
    fault: Callable[[str, str], Fault | None] = lambda method, path: None
    asked: list[tuple[str, str]] = field(default_factory=list)
    endpoint: str = ""


@contextmanager
def fault_proxy(server: S3Server) -> Iterator[FaultProxy]:
    proxy = FaultProxy(server)
    handler = type("Handler", (_Handler,), {"proxy": proxy})
    listening = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    listening.daemon_threads = True
    proxy.endpoint = f"http://127.0.0.1:{listening.server_port}"
    thread = Thread(target=listening.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        listening.shutdown()
        listening.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    proxy: FaultProxy

    def handle_any(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        self.proxy.asked.append((self.command, self.path))
        fault = self.proxy.fault(self.command, self.path) or Fault()
        if fault.hold is not None:
            fault.hold.wait(30)
        if fault.status is not None:
            told = f"<Error><Code>{fault.code}</Code><Message>chosen</Message></Error>".encode()
            self._answer(fault.status, {}, told, cut=False)
            return
        if fault.wrong and body:
            body = _another(body)
        status, headers, answer = self._forward(body)
        if fault.wrong and self.command == "GET":
            answer = _another(answer)
        if fault.cut and not answer:
            self._hang_up()
            return
        self._answer(status, headers, answer, cut=fault.cut)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_any

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def _forward(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection(urlsplit(self.proxy.server.endpoint).netloc, timeout=30)
        try:
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                connection.putheader(name, value)
            connection.endheaders(body)
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            connection.close()

    def _answer(self, status: int, headers: dict[str, str], body: bytes, *, cut: bool) -> None:
        self.send_response(status)
        length = headers.get("Content-Length", str(len(body))) if self.command == "HEAD" else str(len(body))
        for name, value in headers.items():
            if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                self.send_header(name, value)
        self.send_header("content-length", length)
        self.end_headers()
        self.wfile.write(b"" if self.command == "HEAD" else body[: len(body) // 2] if cut else body)
        if cut:
            self.wfile.flush()
            self._hang_up()

    def _hang_up(self) -> None:
        self.connection.shutdown(socket.SHUT_RDWR)
        self.close_connection = True


def _another(body: bytes) -> bytes:
    place = len(body) // 2
    return body[:place] + bytes([body[place] ^ 1]) + body[place + 1 :] if body else body
