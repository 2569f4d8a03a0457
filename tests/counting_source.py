"""A server of numbered items in pages with a cursor, on loopback, that counts who asks for which page, and can wait."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

PAGE = 5


class CountingSource:
    """``GET /items?since=N&cursor=M``: items above N, five a page, from M on. ``asked``: where each page
    began, when, and how many items it had.

    ``hold_at``: whoever asks for the page that begins there waits until ``let_go``, and is counted before.
    """

    def __init__(self) -> None:
        self.items = 0
        self.asked: list[tuple[int, float, int]] = []
        self._held: dict[int, threading.Event] = {}
        source = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = json.dumps(source._page(self.path)).encode()
                try:
                    self.send_response(200)
                    self.send_header("content-type", "application/json")
                    self.send_header("content-length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)
                except OSError:  # who asked was killed meanwhile
                    self.close_connection = True

            def log_message(self, *_: Any) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.address = f"127.0.0.1:{self._server.server_port}"

    @contextmanager
    def serving(self) -> Iterator["CountingSource"]:
        thread = threading.Thread(target=self._server.serve_forever)
        thread.start()
        try:
            yield self
        finally:
            for held in self._held.values():
                held.set()
            self._server.shutdown()
            thread.join()
            self._server.server_close()

    def document(self) -> dict[str, Any]:
        """Return the source of a pipeline that polls this once a second."""
        return {
            "type": "http_poll", "url": f"http://{self.address}/items", "interval": "1s", "items": "$.items",
            "pagination": {"type": "cursor", "path": "$.next", "param": "cursor"},
            "since": {"param": "since", "path": "$.n", "initial": "0"},
        }  # fmt: skip

    def hold_at(self, first: int) -> None:
        self._held[first] = threading.Event()

    def let_go(self, first: int) -> None:
        self._held.pop(first).set()

    def pages(self) -> list[int]:
        """Return where each page began that had items, in the order in which they were asked for."""
        return [first for first, _, items in list(self.asked) if items]

    def _page(self, path: str) -> dict[str, Any]:
        asked = {name: int(values[0]) for name, values in parse_qs(urlsplit(path).query).items()}
        first = asked.get("cursor", asked.get("since", 0) + 1)
        last = min(first + PAGE - 1, self.items)
        self.asked.append((first, time.monotonic(), last + 1 - first))
        if held := self._held.get(first):
            held.wait(timeout=60)
        return {
            "items": [{"n": n} for n in range(first, last + 1)],
            "next": str(last + 1) if last < self.items else None,
        }  # fmt: skip
