"""What it costs to claim deliveries in the commit that stores them, beside the same commit without claims.

Computing time is that of this process and of the server's backend: it does not depend on who else is at work.
``python -m benchmarks deliveries``.
"""

import os
import random
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import psycopg

from appliance.components.silver import Batch
from appliance.domain.event import Frame
from appliance.engine.deliveries import claims_of
from appliance.storage.silver_postgres.connections import Connections
from appliance.storage.silver_postgres.store import PostgresSilver
from benchmarks.postgresql import TABLE
from benchmarks.postgresql import _batch as batch_of
from benchmarks.report import Figure, median, spread
from tests.postgres import postgres_server

EVENTS, ROUNDS, SINGLES, KNOWN = 10_000, 15, 200, 1_000_000
_TICKS = os.sysconf("SC_CLK_TCK")
_FILL = """
INSERT INTO dash_org_bench._claims SELECT gen_random_uuid(), 0, now(), 'pl_bench' FROM generate_series(1, %(known)s)
"""


@dataclass(frozen=True)
class Cost:
    elapsed: float
    here: float  # computed by this process
    there: float  # computed by the backend
    logged: int  # bytes of the server's log


def figures() -> Iterator[Figure]:
    yield _naming()
    with postgres_server({"fsync": "on"}) as server:
        connections = Connections(server.url(), size=1)
        silver = PostgresSilver(connections, "dash_org_bench")
        silver.prepare(TABLE)
        with psycopg.connect(server.url(), autocommit=True) as looking:
            measured = partial(_measured, looking)
            yield from _compared(silver, measured, "empty", EVENTS, ROUNDS)
            looking.execute(_FILL, {"known": KNOWN})
            looking.execute("VACUUM ANALYZE dash_org_bench._claims")
            looking.execute("CHECKPOINT")
            yield from _compared(silver, measured, f"{KNOWN:,} claims", EVENTS, ROUNDS)
            yield from _compared(silver, measured, f"{KNOWN:,} claims", 1, SINGLES)
            size = looking.execute("SELECT pg_total_relation_size('dash_org_bench._claims')").fetchall()[0][0]
            held = looking.execute("SELECT count(*) FROM dash_org_bench._claims").fetchall()[0][0]
            yield Figure("deliveries: bytes that a claim occupies, index included", size / held, "bytes")
        connections.close()


def _naming() -> Figure:
    frames = _frames(1, EVENTS)
    took = []
    for _ in range(ROUNDS):
        began = time.thread_time()
        claims_of(TABLE.pipeline_id, frames, EVENTS)
        took.append(time.thread_time() - began)
    return Figure("deliveries: naming one, this process", median(took) / EVENTS * 1e6, "µs")


def _compared(
    silver: PostgresSilver, measured: Callable[[Callable[[], object]], Cost], held: str, events: int, rounds: int
) -> Iterator[Figure]:
    costs: dict[str, list[Cost]] = {"without": [], "with": []}
    for _ in range(rounds):
        for way in random.sample(list(costs), 2):
            batch = _batch(silver.progress(TABLE.pipeline_id).seq + 1, events, claimed=way == "with")
            costs[way].append(measured(partial(silver.commit, batch)))
    for name in ("elapsed", "here", "there", "logged"):
        values = {way: [getattr(one, name) for one in found] for way, found in costs.items()}
        one, other = (median(values[way]) for way in ("without", "with"))
        if name in ("here", "there"):  # ticks are coarse: what counts is the sum
            one, other = (sum(values[way]) / rounds for way in ("without", "with"))
        unit, scale = ("KB", 1e-3) if name == "logged" else ("ms", 1e3)
        told = f"deliveries: {events:,} of one event, {held}, {name}"
        yield Figure(
            f"{told}, without claims", one * scale, unit, remark=spread([v * scale for v in values["without"]])
        )
        yield Figure(f"{told}, with", other * scale, unit, remark=spread([v * scale for v in values["with"]]))
        if one:
            yield Figure("  as a ratio", other / one, "×")


def _batch(first_seq: int, events: int, *, claimed: bool) -> Batch:
    batch = batch_of(TABLE, first_seq, events)
    frames = _frames(first_seq, events) if claimed else []
    return msgspec.structs.replace(batch, claims=claims_of(TABLE.pipeline_id, frames, batch.last_seq))


def _frames(first_seq: int, events: int) -> list[Frame]:
    at = int(datetime.now(UTC).timestamp() * 1e6)
    return [
        Frame(seq, 1, at, b"", (), None, f"msg_{uuid.uuid4().hex}", seq) for seq in range(first_seq, first_seq + events)
    ]


def _measured(looking: psycopg.Connection[Any], work: Callable[[], object]) -> Cost:
    pid = looking.execute(
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        " AND backend_type = 'client backend'"
    ).fetchall()[0][0]
    before = _computed(pid), looking.execute("SELECT pg_current_wal_insert_lsn()").fetchall()[0][0]
    here, began = time.process_time(), time.perf_counter()
    work()
    elapsed, own = time.perf_counter() - began, time.process_time() - here
    asked = "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), %(lsn)s)"
    logged = looking.execute(asked, {"lsn": before[1]}).fetchall()[0][0]
    return Cost(elapsed, own, _computed(pid) - before[0], int(logged))


def _computed(pid: int) -> float:
    """Return the seconds that a process has computed."""
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / _TICKS
