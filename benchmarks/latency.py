"""Idle flow: one event posted, until its row is answered by ``records``, and until a follower of the feed is told."""

import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
from websockets.sync.client import connect

from benchmarks.events import MAPPING, make
from benchmarks.report import Figure, median, p95
from benchmarks.running import appliance
from tests.running import RunningAppliance, standard_headers

EVENTS = 100


def figures() -> Iterator[Figure]:
    events = make(EVENTS)
    with appliance() as one:
        pipeline_id, secret = one.create_pipeline("latency", MAPPING)
        rows = [_until_row(one, pipeline_id, secret, event, number) for number, event in enumerate(events)]
        told = list(_until_told(one, pipeline_id, secret, events))
    yield Figure("one event posted → its row in records, median", median(rows), "ms", 60, at_least=False,
                 remark=f"p95 {p95(rows):.1f} ms")  # fmt: skip
    yield Figure("one event posted → told on the feed, median", median(told), "ms", remark=f"p95 {p95(told):.1f} ms")


def _until_row(one: RunningAppliance, pipeline_id: str, secret: str, event: bytes, number: int) -> float:
    with one.client() as client:
        began = time.perf_counter()
        posted = client.post(
            f"/in/{pipeline_id}", content=event, headers=standard_headers(secret, f"row-{number}", event)
        )
        seq = posted.raise_for_status().json()["last_seq"]
        while True:
            newest: list[dict[str, Any]] = client.get(
                f"/api/v1/pipelines/{pipeline_id}/records", params={"limit": 1}
            ).raise_for_status().json()["items"]  # fmt: skip
            if newest and newest[0]["_seq"] >= seq:
                return (time.perf_counter() - began) * 1000


def _until_told(one: RunningAppliance, pipeline_id: str, secret: str, events: list[bytes]) -> Iterator[float]:
    address = one.url.replace("http://", "ws://") + "/api/v1/feed"
    with (
        connect(address, additional_headers={"authorization": f"Bearer {one.token}"}) as feed,
        httpx.Client() as sender,
    ):
        feed.send(json.dumps({"subscribe": [f"pipeline:{pipeline_id}"]}))
        feed.recv()
        for number, event in enumerate(events):
            began = time.perf_counter()
            headers = standard_headers(secret, f"told-{number}", event)
            seq = sender.post(f"{one.url}/in/{pipeline_id}", content=event, headers=headers).json()["last_seq"]
            while json.loads(feed.recv())["last_seq"] < seq:
                pass
            yield (time.perf_counter() - began) * 1000
