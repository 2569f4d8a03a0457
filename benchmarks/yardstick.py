"""The yardstick: how many of the same events orjson decodes a second on one thread, right now, on this machine."""

import time
from collections.abc import Sequence

import orjson


def orjson_rate(events: Sequence[bytes], seconds: float = 0.5) -> float:
    """Return events per second over at least ``seconds``."""
    loads, done, began = orjson.loads, 0, time.perf_counter()
    while (elapsed := time.perf_counter() - began) < seconds:
        for event in events:
            loads(event)
        done += len(events)
    return done / elapsed
