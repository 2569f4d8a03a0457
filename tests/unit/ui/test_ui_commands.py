"""The commands people paste must really sign: they run in a shell, against a listener that shows what arrived."""

import json
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from appliance.errors import Unauthenticated
from appliance.sources.signatures import Encoding, HmacHeader, Signature, generate_secret, scheme
from ui.commands import PLACEHOLDER, send_command

BODY = '{"device": "O\'Brien\'s boiler", "note": "$HOME `id` ünïcode"}'


class Listener:
    """Takes one request at a time and remembers it."""

    def __init__(self) -> None:
        self.headers: dict[str, str] = {}
        self.body = b""
        listener = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                listener.headers = {name.lower(): value for name, value in self.headers.items()}
                listener.body = self.rfile.read(int(self.headers["content-length"]))
                self.send_response(202)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                return

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/in/pl_1"


@pytest.fixture
def listener() -> Iterator[Listener]:
    listener = Listener()
    thread = threading.Thread(target=listener.server.serve_forever, args=(0.01,))
    thread.start()
    yield listener
    listener.server.shutdown()
    thread.join()
    listener.server.server_close()


SOURCES: list[tuple[dict[str, Any], HmacHeader | None]] = [
    ({"type": "webhook"}, None),
    ({"type": "webhook", "signature": "standard_webhooks"}, None),
    ({"type": "webhook", "signature": "github"}, None),
    ({"type": "webhook", "signature": "stripe"}, None),
    ({"type": "webhook", "signature": "slack"}, None),
    ({"type": "webhook", "signature": "hmac_sha256"}, HmacHeader()),
    (
        {"type": "webhook", "signature": "hmac_sha256", "header": "X-Sig", "encoding": "base64", "prefix": "sha256="},
        HmacHeader("X-Sig", Encoding.BASE64, "sha256="),
    ),
    ({"type": "webhook", "signature": "none"}, None),
]


@pytest.mark.parametrize(("source", "plain"), SOURCES, ids=lambda part: str(part)[:60])
@pytest.mark.parametrize("shell", ["bash", "sh"])
def test_the_command_is_accepted(
    listener: Listener, source: dict[str, Any], plain: HmacHeader | None, shell: str
) -> None:
    secret = generate_secret()
    subprocess.run([shell, "-euc", send_command(source, listener.url, secret, BODY)], check=True, timeout=20)
    assert listener.body == BODY.encode()
    assert json.loads(listener.body)["device"] == "O'Brien's boiler"
    judge = scheme(Signature(source.get("signature", "standard_webhooks")), [secret], 300, plain)
    judge.check(listener.headers, listener.body, _now())


def test_a_wrong_secret_is_noticed(listener: Listener) -> None:
    subprocess.run(["sh", "-euc", send_command({}, listener.url, generate_secret(), BODY)], check=True, timeout=20)
    with pytest.raises(Unauthenticated):
        scheme(Signature.STANDARD_WEBHOOKS, [generate_secret()]).check(listener.headers, listener.body, _now())


def test_without_the_secret_there_is_a_placeholder() -> None:
    assert f"secret='{PLACEHOLDER}'" in send_command({}, "http://host/in/pl_1", None, BODY)
    assert "secret=" not in send_command({"signature": "none"}, "http://host/in/pl_1", None, BODY)


def _now() -> float:
    import time

    return time.time()
