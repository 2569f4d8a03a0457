"""Replay: history rebuilt at rest, as a ratio to mapping and reading alone; and beside half of the maximum load."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from appliance.domain.event import Frame
from appliance.domain.ids import PipelineId
from appliance.domain.mapping import Mapping
from appliance.mapping import Mapper
from appliance.storage.bronze import FileBronzeLog
from benchmarks.events import MAPPING, make
from benchmarks.load import Plan, running
from benchmarks.paced import Sender, sending
from benchmarks.report import Figure, median, spread
from benchmarks.running import appliance, cpu_secs, resident_mib
from tests.running import RunningAppliance

EVENTS, A_REQUEST, ROUNDS = 4_000_000, 2_000, 3
PIECE = 34_000  # events that a thread maps at a time: about 8 MiB
LIVE_A_REQUEST, LIVE_SECS = 1_000, 4
BESIDE_SECS = 25  # a replay that yields to live traffic is not waited for


def figures() -> Iterator[Figure]:
    with appliance() as one:
        history, secret = one.create_pipeline("history", MAPPING)
        _fill(one, history, secret)
        rested: list[float] = []
        mapping: list[float] = []
        cpu: list[float] = []
        for _ in range(ROUNDS):
            mapping.append(_mapping_alone())
            before = cpu_secs(one)
            rested.append(_rate(_replayed(one, history)))
            cpu.append((cpu_secs(one) - before) / EVENTS * 1e6)
        resident = resident_mib(one)
        beside = list(_beside(one, history))
        one.stop()
        reading = _reading_alone(one.data_dir, history)
    ratios = [ours / alone for ours, alone in zip(rested, mapping, strict=True)]
    yield Figure("replay at rest, 9 fields", median(rested), "events/s", 500_000, remark=spread(rested))
    yield Figure("  mapping alone, two threads", median(mapping), "events/s", remark=spread(mapping))
    yield Figure("  as a ratio to mapping alone", median(ratios), "×", remark=spread(ratios))
    yield Figure("  reading Bronze alone", reading, "events/s")
    yield Figure("  as a ratio to reading alone", median(rested) / reading, "×")
    yield Figure("  processor time, rebuilding and comparing", median(cpu), "µs/event", remark=spread(cpu))
    yield Figure("  resident after it", resident, "MiB")
    yield from beside


def _fill(one: RunningAppliance, pipeline_id: str, secret: str) -> None:
    sender = Sender(one.url, pipeline_id, secret)
    body = b"[" + b",".join(make(A_REQUEST)) + b"]"
    for request in range(EVENTS // A_REQUEST):
        sender.send(f"fill-{request}", body)
    one.wait_refined(pipeline_id, 120)
    with one.client() as client:
        path = f"/api/v1/pipelines/{pipeline_id}"
        while client.get(path).raise_for_status().json()["live"]["rate_per_sec"]:  # else it is not at rest yet
            time.sleep(0.2)


def _replayed(one: RunningAppliance, pipeline_id: str) -> dict[str, Any]:
    """Replay everything, swap it in, and return the replay."""
    path = f"/api/v1/pipelines/{pipeline_id}/replays"
    with one.client() as client:
        replay = client.post(path, json={}).raise_for_status().json()
        while replay["state"] not in ("swapped", "failed"):
            time.sleep(0.1)
            replay = client.get(f"{path}/{replay['id']}").raise_for_status().json()
    if replay["state"] == "failed":
        raise RuntimeError(replay["error"])
    return dict(replay)


def _rate_within(one: RunningAppliance, pipeline_id: str, secs: float) -> float:
    """Begin a replay and return the events a second that it refines until it ends, or ``secs`` are over."""
    path = f"/api/v1/pipelines/{pipeline_id}/replays"
    with one.client() as client:
        replay = client.post(path, json={}).raise_for_status().json()
        path, began = f"{path}/{replay['id']}", time.monotonic()
        while (taken := time.monotonic() - began) < secs:
            replay = client.get(path).raise_for_status().json()
            if replay["state"] == "swapped":
                return EVENTS / taken
            time.sleep(0.1)
        client.post(f"{path}/cancel").raise_for_status()
    return float(replay["progress"]["done_events"] / taken)


def _rate(replay: dict[str, Any]) -> float:
    """Return the events a second from the beginning to the exchange, comparing included."""
    started, finished = (msgspec.convert(replay[name], datetime) for name in ("started_at", "finished_at"))
    return EVENTS / (finished - started).total_seconds()


def _mapping_alone() -> float:
    """Return the events a second that two threads map, with the rows thrown away."""
    mapper = Mapper()
    compiled = mapper.compile(msgspec.convert(MAPPING, Mapping))
    lines = b"\n".join(make(1_000))
    now = time.time_ns() // 1_000

    def one(number: int) -> int:
        frames = [Frame(number * PIECE + place * 1_000 + 1, 1_000, now, lines) for place in range(PIECE // 1_000)]
        return mapper.run(compiled, frames, 1).rows.num_rows

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(one, range(2)))
        began = time.perf_counter()
        rows = sum(threads.map(one, range(40)))
        taken = time.perf_counter() - began
    mapper.close()
    return rows / taken


def _reading_alone(data_dir: Path, pipeline_id: str) -> float:
    """Return the events a second that one thread reads from the closed appliance's Bronze."""
    log = FileBronzeLog(data_dir / "bronze")
    log.open()
    at, last, began = 0, log.last_seq(PipelineId(pipeline_id)), time.perf_counter()
    while at < last:
        at = log.read(PipelineId(pipeline_id), at, 50_000, 8 << 20)[-1].last_seq
    return last / (time.perf_counter() - began)


def _beside(one: RunningAppliance, history: str) -> Iterator[Figure]:
    """Replay beside half of what is kept up with, refining included; and beside half of what a burst brings in."""
    live, secret = one.create_pipeline("live", MAPPING)
    body = b"[" + b",".join(make(LIVE_A_REQUEST)) + b"]"
    began = time.monotonic()
    with running(Plan(f"{one.url}/in/{live}", secret, body, 8, LIVE_SECS, 20_000)) as load:
        sent = load.result()
    one.wait_refined(live, 120)
    sustained, burst = sent.requests / (time.monotonic() - began), sent.requests / sent.seconds
    for name, maximum in (("of the maximum kept up with", sustained), ("of the maximum of a burst", burst)):
        lags: list[float] = []
        done = threading.Event()
        watching = threading.Thread(target=_watch, args=(one, live, lags, done))
        with sending(one.url, live, secret, body, maximum / 2):
            time.sleep(2)
            before, began = one.ledger(live)["received"], time.monotonic()
            watching.start()
            rate = _rate_within(one, history, BESIDE_SECS)
            received = (one.ledger(live)["received"] - before) / (time.monotonic() - began)
            done.set()
            watching.join()
        one.wait_refined(live, 120)
        remark = f"while receiving {received:,.0f} events/s of {maximum / 2 * LIVE_A_REQUEST:,.0f} offered"
        yield Figure(f"replay beside half {name}", rate, "events/s", 100_000, remark=remark)
        yield Figure("  live lag meanwhile, longest", max(lags), "s", 2.0, at_least=False,
                     remark=f"median {median(lags):.2f} s")  # fmt: skip


def _watch(one: RunningAppliance, pipeline_id: str, lags: list[float], done: threading.Event) -> None:
    with one.client() as client:
        while not done.wait(0.1):
            live = client.get(f"/api/v1/pipelines/{pipeline_id}").raise_for_status().json()["live"]
            lags.append(live["lag_secs"])
