"""A hundred busy pipelines beside one: durable events a second, in interleaved rounds, same load, same connections."""

import random
from collections.abc import Iterator

from benchmarks.events import MAPPING, make
from benchmarks.load import Plan, running
from benchmarks.report import Figure, median, spread
from benchmarks.running import appliance
from tests.running import RunningAppliance

PIPELINES, ROUNDS, SECONDS, CONNECTIONS = 100, 3, 4, 100
SHAPES = {1: 60_000, 100: 20_000}  # events a request, requests signed beforehand

Target = tuple[str, str]  # path, secret


def figures() -> Iterator[Figure]:
    events = make(100)
    rates: dict[tuple[int, str], list[float]] = {(size, who): [] for size in SHAPES for who in ("one", "many")}
    ratios: dict[int, list[float]] = {size: [] for size in SHAPES}
    with appliance() as one:
        targets = [_pipeline(one, number) for number in range(PIPELINES)]
        for _ in range(ROUNDS):
            for size in SHAPES:
                found = {who: _round(one, events[:size], targets[:1] if who == "one" else targets)
                         for who in random.sample(("one", "many"), 2)}  # fmt: skip
                ratios[size].append(found["many"] / found["one"])
                for who, rate in found.items():
                    rates[size, who].append(rate)
    for size, values in ratios.items():
        for who in ("one", "many"):
            name = f"received and durable, {size} a request, {'100 pipelines' if who == 'many' else 'one'}"
            yield Figure(name, median(rates[size, who]), "events/s", remark=spread(rates[size, who]))
        yield Figure(
            f"  100 pipelines as a ratio to one, {size} a request", median(values), "×", 0.5, remark=spread(values)
        )


def _pipeline(one: RunningAppliance, number: int) -> Target:
    pipeline_id, secret = one.create_pipeline(f"many-{number}", MAPPING)
    return f"/in/{pipeline_id}", secret


def _round(one: RunningAppliance, events: list[bytes], targets: list[Target]) -> float:
    """Send for a few seconds and return the durable events a second; what is left to refine is refined first."""
    body = events[0] if len(events) == 1 else b"[" + b",".join(events) + b"]"
    before = _received(one, targets)
    plan = Plan(f"{one.url}{targets[0][0]}", "", body, CONNECTIONS, SECONDS, SHAPES[len(events)], tuple(targets))
    with running(plan) as load:
        sent = load.result()
    rate = (_received(one, targets) - before) / sent.seconds
    for path, _ in targets:
        one.wait_refined(path.removeprefix("/in/"), 120)
    return rate


def _received(one: RunningAppliance, targets: list[Target]) -> int:
    return sum(one.ledger(path.removeprefix("/in/"))["received"] for path, _ in targets)
