"""Looking while receiving at half of the maximum: a page, and a one-day query on 10 million rows."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime

from benchmarks.events import MAPPING, make
from benchmarks.load import Plan, running
from benchmarks.paced import Sender, sending
from benchmarks.report import Figure, median, p95
from benchmarks.running import appliance
from tests.running import EMAIL, PASSWORD, RunningAppliance

ROWS, A_REQUEST, DAYS = 10_000_000, 5_000, 30
LOOKS = 40
START_MS = 1_790_000_000_000


def figures() -> Iterator[Figure]:
    with appliance() as one:
        history, secret = one.create_pipeline("history", MAPPING)
        _fill(one, history, secret)
        live, live_secret = one.create_pipeline("live", MAPPING)
        body = b"[" + b",".join(make(1_000)) + b"]"
        with running(Plan(f"{one.url}/in/{live}", live_secret, body, 8, 5, 20_000)) as load:
            sent = load.result()
        maximum = sent.requests / sent.seconds
        one.wait_refined(live, 120)
        quiet = _queries(one, history)
        with sending(one.url, live, live_secret, body, maximum / 2):
            time.sleep(3)
            queries, pages = _queries(one, history), _pages(one)
    remark = f"while receiving {maximum / 2 * 1000:,.0f} events/s"
    yield Figure("one-day query on 10 M rows, quiet, p95", p95(quiet), "ms", remark=f"median {median(quiet):.0f} ms")
    yield Figure("one-day query on 10 M rows, under load, p95", p95(queries), "ms", 150, at_least=False,
                 remark=f"median {median(queries):.0f} ms; {remark}")  # fmt: skip
    yield Figure("a page, under load, p95", p95(pages), "ms", 200, at_least=False,
                 remark=f"median {median(pages):.0f} ms; {remark}")  # fmt: skip


def _fill(one: RunningAppliance, pipeline_id: str, secret: str) -> None:
    """Store 10 million rows that spread over 30 days."""
    step_ms = DAYS * 86_400_000 // ROWS
    sender = Sender(one.url, pipeline_id, secret)
    pattern = make(A_REQUEST, start_ms=0, step_ms=0)
    for request in range(ROWS // A_REQUEST):
        first = START_MS + request * A_REQUEST * step_ms
        events = [
            event.replace(b'"ts":0', b'"ts":%d' % (first + place * step_ms)) for place, event in enumerate(pattern)
        ]
        sender.send(f"fill-{request}", b"[" + b",".join(events) + b"]")
    one.wait_refined(pipeline_id, 300)


def _queries(one: RunningAppliance, pipeline_id: str) -> list[float]:
    """Return the milliseconds of queries over one day each, in five-minute buckets, of different days."""
    taken = []
    with one.client() as client:
        for number in range(LOOKS):
            start = START_MS / 1000 + (number % (DAYS - 1)) * 86_400
            document = {
                "pipeline": pipeline_id,
                "measures": [{"op": "avg", "field": "temp_c", "as": "t"}, {"op": "max", "field": "temp_c", "as": "m"}],
                "bucket": "5m",
                "from": datetime.fromtimestamp(start, UTC).isoformat(),
                "to": datetime.fromtimestamp(start + 86_400, UTC).isoformat(),
            }
            began = time.perf_counter()
            rows = client.post("/api/v1/query", json=document).raise_for_status().json()["rows"]
            taken.append((time.perf_counter() - began) * 1000)
            if not 288 <= len(rows) <= 289:
                raise RuntimeError(f"expected 288 or 289 buckets, got {len(rows)}")
    return taken


def _pages(one: RunningAppliance) -> list[float]:
    """Return the milliseconds until the HTML of the pipelines page is there, signed in."""
    taken = []
    with one.client() as client:
        client.headers.pop("authorization")
        signed_in = client.post(
            "/api/v1/session", json={"email": EMAIL, "password": PASSWORD}, headers={"origin": one.url}
        )
        signed_in.raise_for_status()
        for _ in range(LOOKS):
            began = time.perf_counter()
            client.get("/pipelines").raise_for_status()
            taken.append((time.perf_counter() - began) * 1000)
    return taken
