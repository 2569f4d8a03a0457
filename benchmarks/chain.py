"""From pipeline to pipeline: how many rows a second a reader takes, and how soon a row is two pipelines on."""

import itertools
import time
from collections.abc import Iterator
from typing import Any

import httpx

from benchmarks.events import MAPPING, make
from benchmarks.report import Figure, median, p95
from benchmarks.running import appliance
from benchmarks.yardstick import orjson_rate
from tests.running import RunningAppliance, standard_headers

EVENTS = 300_000
A_REQUEST = 1_000
ROUNDS = 40


class Sender:
    """Posts signed requests to one pipeline."""

    def __init__(self, one: RunningAppliance, pipeline_id: str, secret: str) -> None:
        self._url, self._secret = f"{one.url}/in/{pipeline_id}", secret
        self._client = httpx.Client(timeout=60)

    def post(self, name: str, body: bytes) -> None:
        headers = standard_headers(self._secret, name, body)
        self._client.post(self._url, content=body, headers=headers).raise_for_status()


def figures() -> Iterator[Figure]:
    events = make(EVENTS)
    with appliance() as one:
        first, secret = one.create_pipeline("first", MAPPING)
        sender = Sender(one, first, secret)
        for number in range(0, EVENTS, A_REQUEST):
            sender.post(f"fill-{number}", b"[" + b",".join(events[number : number + A_REQUEST]) + b"]")
        one.wait_refined(first, 120)
        began = time.perf_counter()
        second = _create_reader(one, "second", first)
        while one.ledger(second)["received"] < EVENTS:
            time.sleep(0.02)
        read = EVENTS / (time.perf_counter() - began)
        one.wait_refined(second, 120)
        refined = EVENTS / (time.perf_counter() - began)
        third = _create_reader(one, "third", second, start="now")
        for number in itertools.count():  # until it has found its place: what came before that is not for it
            sender.post(f"wake-{number}", events[0])
            if one.wait_refined(third)["stored"]:
                break
            time.sleep(0.1)
        waits = [_through(sender, one, third, number) for number in range(ROUNDS)]
    share = read / orjson_rate(events[:10_000])
    yield Figure("rows read from another pipeline, durable", read, "/s", remark=f"{share:.2f} × orjson.loads")
    yield Figure("rows read from another pipeline, refined", refined, "/s")
    yield Figure("event posted → its row two pipelines on, median", median(waits), "ms", 200, at_least=False,
                 remark=f"p95 {p95(waits):.1f} ms; 100 ms a hop")  # fmt: skip


def _through(sender: Sender, one: RunningAppliance, third: str, number: int) -> float:
    body = make(1, seed=number)[0]
    before = one.ledger(third)["stored"]
    began = time.perf_counter()
    sender.post(f"one-{number}", body)
    _until(one, third, before + 1)
    return (time.perf_counter() - began) * 1000


def _until(one: RunningAppliance, pipeline_id: str, stored: int) -> None:
    with one.client() as client:
        while client.get(f"/api/v1/pipelines/{pipeline_id}/ledger").json()["stored"] < stored:
            time.sleep(0.001)


def _create_reader(one: RunningAppliance, name: str, read: str, **source: Any) -> str:
    mapping = {**MAPPING, "time": {"path": "$._time"}}
    document = {"name": name, "source": {"type": "pipeline", "pipeline": read, **source}, "mapping": mapping}
    with one.client() as client:
        pipeline_id: str = client.post("/api/v1/pipelines", json=document).raise_for_status().json()["id"]
    return pipeline_id
