"""How many events a second are received and durable: 1, 100 and 1,000 a request, in interleaved rounds."""

import random
from collections.abc import Iterator

from benchmarks.events import MAPPING, make
from benchmarks.load import Plan, running
from benchmarks.report import Figure, median, spread
from benchmarks.running import appliance
from benchmarks.yardstick import orjson_rate
from tests.running import RunningAppliance

ROUNDS, SECONDS = 5, 4
SHAPES = {  # events a request, connections, target as a ratio to the yardstick or in events/s
    "1 a request, 8 connections": (1, 8, None),
    "1 a request, 64 connections": (1, 64, 7_000.0),
    "100 a request, 8 connections": (100, 8, 150_000.0),
    "1,000 a request, 8 connections": (1_000, 8, 300_000.0),
}


def figures() -> Iterator[Figure]:
    events = make(1_000)
    rates: dict[str, list[float]] = {name: [] for name in SHAPES}
    ratios: dict[str, list[float]] = {name: [] for name in SHAPES}
    with appliance() as one:
        for _ in range(ROUNDS):
            for name in random.sample(list(SHAPES), len(SHAPES)):
                yardstick = orjson_rate(events)
                rate = _round(one, events, *SHAPES[name][:2])
                rates[name].append(rate)
                ratios[name].append(rate / yardstick)
    for name, (_, _, target) in SHAPES.items():
        yield Figure(
            f"received and durable, {name}", median(rates[name]), "events/s", target, remark=spread(rates[name])
        )
        wanted = 0.55 if name.startswith("1,000") else None
        yield Figure(f"  as a ratio to orjson, {name}", median(ratios[name]), "×", wanted, remark=spread(ratios[name]))


def _round(one: RunningAppliance, events: list[bytes], size: int, connections: int) -> float:
    """Send for a few seconds to a new pipeline and return the durable events a second."""
    pipeline_id, secret = one.create_pipeline(f"receive-{random.randrange(1 << 40)}", MAPPING)
    body = events[0] if size == 1 else b"[" + b",".join(events[:size]) + b"]"
    most = {1: 200_000, 100: 60_000, 1_000: 16_000}[size]
    with running(Plan(f"{one.url}/in/{pipeline_id}", secret, body, connections, SECONDS, most)) as load:
        sent = load.result()
    received = one.ledger(pipeline_id)["received"]
    one.wait_refined(pipeline_id, 120)
    with one.client() as client:
        client.delete(f"/api/v1/pipelines/{pipeline_id}").raise_for_status()
    return received / sent.seconds
