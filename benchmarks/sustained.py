"""Queryable in Silver, for a minute, at 1,000 events a request and 9 mapped fields: rate, lag, draining, memory."""

import time
from collections.abc import Iterator

from benchmarks.events import MAPPING, make
from benchmarks.paced import sending
from benchmarks.report import Figure, median
from benchmarks.running import appliance, resident_mib
from benchmarks.yardstick import orjson_rate

SECONDS, OFFERED = 60, 200_000


def figures() -> Iterator[Figure]:
    events = make(1_000)
    yardstick = orjson_rate(events)
    body = b"[" + b",".join(events) + b"]"
    lags: list[int] = []
    memory: list[float] = []
    with appliance() as one:
        pipeline_id, secret = one.create_pipeline("sustained", MAPPING)
        with sending(one.url, pipeline_id, secret, body, OFFERED / 1_000):
            began = time.monotonic()
            while time.monotonic() - began < SECONDS:
                time.sleep(0.5)
                lags.append(one.ledger(pipeline_id)["pending"])
                memory.append(resident_mib(one))
            stored_at_end = one.ledger(pipeline_id)["stored"]
        ended = time.monotonic()
        one.wait_refined(pipeline_id, 120)
        drained = time.monotonic() - ended
    rate = stored_at_end / SECONDS
    yield Figure("queryable in Silver over a minute", rate, "events/s", 150_000, remark=f"{OFFERED:,} offered")
    yield Figure("  as a ratio to orjson", rate / yardstick, "×")
    yield Figure("  events pending, median", median(lags), "events", remark=f"at most {max(lags):,}")
    yield Figure("  drained after the end", drained, "s", 5, at_least=False)
    yield Figure("  resident memory, highest", max(memory), "MiB", 600, at_least=False)
