"""A sender that keeps a pace, in a process of its own: signed requests over one connection after another's answer."""

import multiprocessing
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from tests.running import standard_headers

Bodies = Callable[[int], bytes]  # the body of the n-th request


class Sender:
    """One connection that is kept; answers are read and must be 2xx."""

    def __init__(self, url: str, pipeline_id: str, secret: str) -> None:
        target = urlsplit(url)
        self._host = f"{target.hostname}:{target.port}"
        self._path, self._secret = f"/in/{pipeline_id}", secret
        self._socket = socket.create_connection((str(target.hostname), target.port or 80))

    def send(self, delivery_id: str, body: bytes) -> None:
        lines = [f"POST {self._path} HTTP/1.1", f"host: {self._host}", f"content-length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in standard_headers(self._secret, delivery_id, body).items()]
        self._socket.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        answer = self._socket.recv(65_536)
        if not answer.startswith(b"HTTP/1.1 2"):
            raise RuntimeError(answer.decode("latin-1"))


@contextmanager
def sending(url: str, pipeline_id: str, secret: str, body: bytes, a_second: float) -> Iterator[None]:
    """Send ``body`` ``a_second`` times a second for as long as the context is open."""
    child = multiprocessing.get_context("spawn").Process(
        target=_keep_sending, args=(url, pipeline_id, secret, body, a_second), daemon=True
    )
    child.start()
    try:
        yield
    finally:
        child.terminate()
        child.join()


def _keep_sending(url: str, pipeline_id: str, secret: str, body: bytes, a_second: float) -> None:
    sender, began, number = Sender(url, pipeline_id, secret), time.monotonic(), 0
    while time.monotonic() - began < 600:  # ends by itself, whatever happens to its parent
        sender.send(f"paced-{began}-{number}", body)
        number += 1
        time.sleep(max(0.0, began + number / a_second - time.monotonic()))
