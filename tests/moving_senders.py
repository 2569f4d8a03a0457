"""Senders that repeat what was not acknowledged, as senders do, and remember what they were told."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from tests.running import RunningAppliance, at_work, standard_headers

STEP = 1_000_000


class Senders:
    """``told``: the status of each answer, or 0 where there was none, and the seconds. ``acknowledged``: numbers."""

    def __init__(self, one: RunningAppliance, hook: tuple[str, str], count: int = 3) -> None:
        self.one, self.hook, self.count = one, hook, count
        self.told: list[tuple[int, float]] = []
        self.acknowledged: list[int] = []
        self._ended = threading.Event()

    @contextmanager
    def at_work(self) -> Iterator[None]:
        threads = [threading.Thread(target=self._send, args=(place,)) for place in range(1, self.count + 1)]
        with at_work(threads, self._ended):
            yield

    def _send(self, place: int) -> None:
        number = place * STEP
        with httpx.Client(trust_env=False, timeout=60) as client:
            while not self._ended.is_set():
                if self.post(client, number):
                    self.acknowledged.append(number)
                    number += 1
                time.sleep(0.02)

    def post(self, client: httpx.Client, number: int) -> bool:
        """Return whether it was acknowledged."""
        body = json.dumps({"n": number}).encode()
        headers = standard_headers(self.hook[1], f"msg_{number}", body)
        began = time.perf_counter()
        try:
            status = client.post(f"{self.one.url}/in/{self.hook[0]}", content=body, headers=headers).status_code
        except httpx.TransportError:
            status = 0
        self.told.append((status, time.perf_counter() - began))
        return status in (200, 202)

    def fill(self, rows: int, at_once: int = 5_000) -> None:
        """Have rows refined before anything is sent, with negative numbers."""
        with httpx.Client(trust_env=False, timeout=60) as client:
            for first in range(1, rows + 1, at_once):
                numbers = range(first, min(first + at_once, rows + 1))
                body = "\n".join(json.dumps({"n": -number}) for number in numbers).encode()
                headers = standard_headers(self.hook[1], f"fill_{first}", body)
                headers["content-type"] = "application/x-ndjson"
                url = f"{self.one.url}/in/{self.hook[0]}"
                client.post(url, content=body, headers=headers).raise_for_status()
        self.one.wait_refined(self.hook[0], 120)
