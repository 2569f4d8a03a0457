"""Webhooks to rows in PostgreSQL: signed requests, received durably, refined, committed, counted in the database.

A server of its own with the settings of the distribution (``fsync`` on), on the same cores as Dash and the senders. For
each size of request a pace is offered and has to be kept, with what waits to be refined not growing. Then a backlog is
refined while nothing else comes, beside psql's COPY of the same rows from a file.
``python -m benchmarks.postgres_ingest`` prints the figures alone.
"""

import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
from psycopg.sql import SQL, Composed, Identifier

from appliance.domain.ids import PipelineId
from appliance.storage.silver_postgres.names import tables
from benchmarks import cost
from benchmarks.events import MAPPING, make
from benchmarks.paced import sending
from benchmarks.report import Figure, median, spread
from benchmarks.running import appliance, resident_mib
from tests.postgres import PostgresServer, postgres_server
from tests.running import RunningAppliance

SIZES, SENDERS = (1_000, 100), 4
OFFERED, TARGET = 75_000, 60_000  # events/s
SECONDS, LOOK_SECS = 30.0, 0.5
BACKLOG, HURRIED = 1_500_000, 1_000_000  # events; events/s offered to pile it up: more than anybody takes
COPIES, COPIED = 5, 200_000  # how often the yardstick is taken, of how many rows


@dataclass(frozen=True)
class Target:
    """One pipeline of one appliance on one server."""

    server: PostgresServer
    one: RunningAppliance
    pipeline_id: str
    secret: str

    @property
    def url(self) -> str:
        return self.one.environment["DASH_DATABASE_URL"]

    def ledger(self) -> dict[str, int]:
        return self.one.ledger(self.pipeline_id)

    def rows(self) -> Composed:
        """Return the table of its rows, as SQL."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            found = connection.execute("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'dash_org%'").fetchall()
        name = tables(PipelineId(self.pipeline_id), 1)["rows"]
        return SQL("{}.{}").format(Identifier(found[0][0]), SQL(name))

    def counted(self) -> int:
        """Return how many rows the database has of it."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            return int(connection.execute(SQL("SELECT count(*) FROM {}").format(self.rows())).fetchall()[0][0])


@dataclass(frozen=True)
class Kept:
    """What became of a pace: rows a second, what waited at each look, and processor seconds of Dash and the server."""

    events: int
    seconds: float
    pending: list[int]
    memory_mib: float
    dash_secs: float
    server_secs: float


def figures() -> Iterator[Figure]:
    with (
        postgres_server({"fsync": "on"}) as server,
        appliance(environment={"DASH_DATABASE_URL": server.new_database()}) as one,
    ):
        for size in SIZES:
            body = b"[" + b",".join(make(size)) + b"]"
            target = Target(server, one, *one.create_pipeline(f"of-{size}", MAPPING))
            yield from _paced(target, body, size)
        yield from _backlog(target)


def _paced(target: Target, body: bytes, size: int) -> Iterator[Figure]:
    with offered(target, body, OFFERED / size):
        kept = _kept(target)
    began = time.monotonic()
    ledger = target.one.wait_refined(target.pipeline_id, 120)
    drained, rows = time.monotonic() - began, target.counted()
    assert rows == ledger["stored"] == ledger["received"], f"{rows:,} rows in the database, {ledger}"
    yield Figure(
        f"rows/s in PostgreSQL, {size:,} a request", kept.events / kept.seconds, "rows/s", TARGET,
        remark=f"{OFFERED:,} offered for {SECONDS:.0f} s; {rows:,} rows counted",
    )  # fmt: skip
    half = len(kept.pending) // 2
    growth = median(kept.pending[half:]) / median(kept.pending[:half])
    yield Figure(
        "  pending, second half of the time against the first", growth, "×",
        1.5, at_least=False, remark=f"median {median(kept.pending):,.0f}, at most {max(kept.pending):,} events",
    )  # fmt: skip
    yield Figure("  drained after the end", drained, "s", 5, at_least=False)
    yield Figure("  processor time of Dash for an event", kept.dash_secs / kept.events * 1e6, "µs")
    yield Figure("  processor time of the server for an event", kept.server_secs / kept.events * 1e6, "µs")
    yield Figure("  resident memory, highest", kept.memory_mib, "MiB")


@contextmanager
def offered(target: Target, body: bytes, requests_a_second: float) -> Iterator[None]:
    """Send from several processes together for as long as the context is open."""
    with ExitStack() as stack:
        for _ in range(SENDERS):
            one = sending(target.one.url, target.pipeline_id, target.secret, body, requests_a_second / SENDERS)
            stack.enter_context(one)
        yield


def _kept(target: Target) -> Kept:
    """Watch for a while, from when the senders are under way."""
    _wait_received(target, OFFERED)
    pending, memory = [], []
    dash, server = cost.spent(target.one.pid), cost.spent(target.server.pid)
    began, before = time.monotonic(), target.ledger()["stored"]
    while time.monotonic() - began < SECONDS:
        time.sleep(LOOK_SECS)
        pending.append(target.ledger()["pending"])
        memory.append(resident_mib(target.one))
    took, events = time.monotonic() - began, target.ledger()["stored"] - before
    dash, server = cost.spent(target.one.pid) - dash, cost.spent(target.server.pid) - server
    return Kept(events, took, pending, max(memory), dash, server)


def _wait_received(target: Target, events: int) -> None:
    while target.ledger()["received"] < events:
        time.sleep(0.02)


def _wait_stored(target: Target, events: int) -> None:
    """Return when so many are stored, asking seldom and over one connection: asking takes the same two cores."""
    with target.one.client() as client:
        while client.get(f"/api/v1/pipelines/{target.pipeline_id}/ledger").json()["stored"] < events:
            time.sleep(0.05)


def _backlog(target: Target) -> Iterator[Figure]:
    """Refine what came while nobody could write rows."""
    body = b"[" + b",".join(make(1_000)) + b"]"
    with offered(target, body, 1):
        _wait_received(target, 1)  # there is a table
    before = target.one.wait_refined(target.pipeline_id, 60)["received"]
    with _held(target):
        with offered(target, body, HURRIED / 1_000):
            _wait_received(target, before + BACKLOG)
        stood = target.ledger()
    began = time.monotonic()
    dash, server = cost.spent(target.one.pid), cost.spent(target.server.pid)
    _wait_stored(target, stood["received"])
    took, events = time.monotonic() - began, stood["pending"]
    dash, server = cost.spent(target.one.pid) - dash, cost.spent(target.server.pid) - server
    copied = list(_copied(target))
    yield Figure("a backlog refined into PostgreSQL", events / took, "rows/s", remark=f"{events:,} events")
    yield Figure("  as a ratio to psql's COPY of the same rows", events / took / median(copied), "×", 0.7)
    yield Figure("  psql's COPY of them from a file", median(copied), "rows/s", remark=spread(copied))
    yield Figure("  processor time of Dash for an event", dash / events * 1e6, "µs")
    yield Figure("  processor time of the server for an event", server / events * 1e6, "µs")


@contextmanager
def _held(target: Target) -> Iterator[None]:
    """Let nobody write rows for as long as the context is open, which is too short for anybody to give up."""
    with psycopg.connect(target.url) as connection:
        connection.execute(SQL("LOCK TABLE {} IN SHARE MODE").format(target.rows()))
        yield


def _copied(target: Target) -> Iterator[float]:
    """Yield rows a second of psql, which copies rows that Dash has stored into a table like theirs without indexes."""
    with TemporaryDirectory(prefix="dash-bench-") as folder:
        file = Path(folder) / "rows"
        with psycopg.connect(target.url, autocommit=True) as connection:
            rows = SQL("COPY (SELECT * FROM {} LIMIT {}) TO STDOUT").format(target.rows(), COPIED)
            with file.open("wb") as out, connection.cursor().copy(rows) as parts:
                out.writelines(parts)
            connection.execute(SQL("CREATE TABLE public.yardstick (LIKE {})").format(target.rows()))
        for _ in range(COPIES):
            began = time.perf_counter()
            subprocess.run(["psql", "-q", target.url, "-c", f"\\copy yardstick from '{file}'"], check=True)
            yield COPIED / (time.perf_counter() - began)


if __name__ == "__main__":
    for figure in figures():
        print(figure, flush=True)
