"""Two ingestors of one installation against one, on one pipeline: what two nodes receive, refine and commit together.

Each node has a core, which it shares with its sender. First with a store that discards (``benchmarks.discarding``), so
that the database is not the limit. Counted is the time that a node's core was the node's or nobody's: who else was on
the machine, the server among them, does not matter, and whatever made the nodes wait for one another would show. Then
with the real store, which two cores cannot scale: there it is told what an event costs, and what the server's
connections wait for. ``python -m benchmarks.two_ingestors`` prints the figures alone.
"""

import multiprocessing
import os
import shutil
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.context import SpawnProcess
from multiprocessing.synchronize import Event
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg
from psycopg.sql import SQL, Identifier

from benchmarks import cost
from benchmarks.events import MAPPING, make
from benchmarks.paced import Sender
from benchmarks.report import Figure, median, spread
from tests.postgres import PostgresServer, postgres_server
from tests.running import RunningAppliance, until

ROUNDS, ROUNDS_REAL = 5, 2
A_REQUEST, CONNECTIONS, REQUESTS = 1_000, 4, 40  # to each node in a round: connections, and requests over each
EVENTS = A_REQUEST * CONNECTIONS * REQUESTS
PATIENCE_SECS = 120.0
SAMPLE_SECS = 0.01
_WAITING = """
SELECT wait_event_type, wait_event FROM pg_stat_activity
WHERE datname = current_database() AND state = 'active' AND pid <> pg_backend_pid()
"""


@dataclass(frozen=True)
class Spent:
    """Processor seconds so far: of each node, of the server, and of each node's core for anybody."""

    nodes: list[float]
    server: float
    cores: list[float]


@dataclass(frozen=True)
class Round:
    """What one round was. ``own_secs``: that each busy node's core was the node's, its sender's or nobody's."""

    events: int
    seconds: float
    own_secs: list[float]
    nodes_secs: float
    server_secs: float

    @property
    def rate(self) -> float:
        return self.events / self.seconds

    @property
    def own_rate(self) -> float:
        """Events a second of the nodes together, in the time that their cores were their own."""
        return sum(EVENTS / secs for secs in self.own_secs)

    @property
    def node_us(self) -> float:
        return self.nodes_secs / self.events * 1e6

    @property
    def server_us(self) -> float:
        return self.server_secs / self.events * 1e6


@dataclass
class Pair:
    """Two nodes of one installation, each on a core of its own, and a pipeline that both receive."""

    server: PostgresServer
    nodes: list[RunningAppliance]
    cores: list[int]
    pipeline_id: str = ""
    secret: str = ""
    expected: int = 0
    waits: Counter[tuple[str, str]] = field(default_factory=Counter)

    @property
    def url(self) -> str:
        return self.nodes[0].environment["DASH_DATABASE_URL"]

    def begin(self) -> None:
        """Make the pipeline and wait until both nodes take its events."""
        self.pipeline_id, self.secret = self.nodes[0].create_pipeline("shared", MAPPING)
        for node in self.nodes:
            until(lambda node=node: self._takes(node))
            self.expected += 1
        with psycopg.connect(self.url, autocommit=True) as connection:
            until(partial(self._all_stored, connection))

    def _takes(self, node: RunningAppliance) -> bool:
        try:
            Sender(node.url, self.pipeline_id, self.secret).send(uuid.uuid4().hex, make(1)[0])
        except RuntimeError:  # it has not heard of the pipeline yet
            return False
        return True

    def _all_stored(self, connection: psycopg.Connection[Any]) -> bool:
        """Return whether the database has counted everything as stored, of both nodes."""
        ((schema,),) = connection.execute("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'dash_org%'").fetchall()
        counts = Identifier(schema, "_progress")
        asked = SQL("SELECT coalesce(sum(stored), 0)::bigint FROM {} WHERE pipeline_id = %s").format(counts)
        ((stored,),) = connection.execute(asked, (self.pipeline_id,)).fetchall()
        return bool(stored >= self.expected)

    def run(self, places: Sequence[int]) -> Round:
        """Send to the nodes of ``places`` and return when everything is refined."""
        with self._senders(places) as (senders, go):
            self.expected += EVENTS * len(places)
            before, began = self._spent(), time.perf_counter()
            go.set()
            with self._watched(), psycopg.connect(self.url, autocommit=True) as connection:
                until(partial(self._all_stored, connection), PATIENCE_SECS)
            took, after = time.perf_counter() - began, self._spent()
            sent = [cost.spent(sender.pid or 0) for sender in senders]
        own = [
            took - (after.cores[place] - before.cores[place]) + (after.nodes[place] - before.nodes[place]) + secs
            for place, secs in zip(places, sent, strict=True)
        ]
        nodes, server = sum(after.nodes) - sum(before.nodes), after.server - before.server
        return Round(EVENTS * len(places), took, own, nodes, server)

    def _spent(self) -> Spent:
        nodes = [cost.spent(node.pid) for node in self.nodes]
        return Spent(nodes, cost.spent(self.server.pid), [cost.busy(core) for core in self.cores])

    @contextmanager
    def _senders(self, places: Sequence[int]) -> Iterator[tuple[list[SpawnProcess], Event]]:
        """Give senders that are connected and wait for the event."""
        context = multiprocessing.get_context("spawn")
        body, go = b"[" + b",".join(make(A_REQUEST)) + b"]", context.Event()
        senders, ready = [], [context.Event() for _ in places]
        for place, started in zip(places, ready, strict=True):
            plan = (self.cores[place], self.nodes[place].url, self.pipeline_id, self.secret, body)
            senders.append(context.Process(target=_send, args=(plan, started, go), daemon=True))
            senders[-1].start()
        for started in ready:
            assert started.wait(60)
        yield senders, go
        for sender in senders:
            sender.join()

    @contextmanager
    def _watched(self) -> Iterator[None]:
        """Look meanwhile what the server's connections wait for."""
        ended = threading.Event()

        def look() -> None:
            with psycopg.connect(self.url, autocommit=True) as connection:
                while not ended.wait(SAMPLE_SECS):
                    self.waits.update((kind or "", event or "") for kind, event in connection.execute(_WAITING))

        looking = threading.Thread(target=look)
        looking.start()
        try:
            yield
        finally:
            ended.set()
            looking.join()


def figures() -> Iterator[Figure]:
    cores = sorted(os.sched_getaffinity(0))[:2]
    with postgres_server({"fsync": "on"}) as server:
        with pair(server, cores, "benchmarks.discarding") as both:
            yield from _discarding(both)
        with pair(server, cores, "tests.licensed") as both:
            yield from _real(both)


def _discarding(both: Pair) -> Iterator[Figure]:
    ratios, plain, alone, together = [], [], list[Round](), list[Round]()
    for _ in range(ROUNDS):
        first, two, second = (both.run(places) for places in ((0,), (0, 1), (1,)))
        ratios.append(two.own_rate / median([first.own_rate, second.own_rate]))
        plain.append(two.rate / median([first.rate, second.rate]))
        alone += [first, second]
        together.append(two)
    name = "two ingestors as a ratio to one, discarding store"
    yield Figure(f"{name}, in their own time", median(ratios), "×", 1.7, remark=spread(ratios))
    yield Figure("  by the clock, with whoever else was there", median(plain), "×", remark=spread(plain))
    yield from _compared(alone, together)


def _real(both: Pair) -> Iterator[Figure]:
    runs: dict[str, list[Round]] = {"one": [], "two": []}
    waits: dict[str, Counter[tuple[str, str]]] = {}
    for _ in range(ROUNDS_REAL):
        for name, places in (("one", (0,)), ("two", (0, 1)), ("one", (1,))):
            both.waits = waits.setdefault(name, Counter())
            runs[name].append(both.run(places))
    ratio = median([one.rate for one in runs["two"]]) / median([one.rate for one in runs["one"]])
    yield Figure("two ingestors as a ratio to one, real store on the same cores", ratio, "×")
    yield from _compared(runs["one"], runs["two"])
    for name, seen in waits.items():
        working = sum(count for (kind, _), count in seen.items() if kind != "Client")
        for kind, target in (("Lock", 0.05), ("LWLock", None)):
            met = Counter({event: count for (of, event), count in seen.items() if of == kind})
            remark = ", ".join(f"{event} {count}" for event, count in met.most_common(3)) or "none"
            share = met.total() / max(1, working)
            told = f"  of the server's working time, waiting for {kind}, {name}"
            yield Figure(told, share, "", target, at_least=False, remark=f"{remark} of {working} samples")


def _compared(alone: list[Round], together: list[Round]) -> Iterator[Figure]:
    for name, rounds in (("one", alone), ("two", together)):
        rates = [one.rate for one in rounds]
        yield Figure(f"  by the clock, {name}", median(rates), "events/s", remark=spread(rates))
        own = [one.own_rate for one in rounds]
        yield Figure(f"  in their own time, {name}", median(own), "events/s", remark=spread(own))
        yield Figure(
            f"  processor time of the server for an event, {name}", median([r.server_us for r in rounds]), "µs"
        )
        yield Figure(f"  processor time of the nodes for an event, {name}", median([r.node_us for r in rounds]), "µs")
    ratio = median([one.node_us for one in together]) / median([one.node_us for one in alone])
    yield Figure("  … of two as a ratio to one", ratio, "×", 1.18, at_least=False)  # 2 / 1.7


@contextmanager
def pair(server: PostgresServer, cores: list[int], module: str) -> Iterator[Pair]:
    """Yield two nodes with one database and one key; stop them at the end."""
    environment = {"DASH_DATABASE_URL": server.new_database()}
    with TemporaryDirectory(prefix="dash-bench-") as name:
        nodes = []
        for core in cores:
            folder = Path(name) / str(core)
            folder.mkdir()
            program = ("taskset", "-c", str(core), sys.executable, "-m", module)
            nodes.append(RunningAppliance(folder, program=program, environment=environment))
        first, second = nodes
        first.setup()
        second.data_dir.mkdir()
        shutil.copy(first.data_dir / "secret.key", second.data_dir)
        second.token = first.token
        both = Pair(server, nodes, cores)
        try:
            for node in nodes:
                node.start()
            both.begin()
            yield both
        finally:
            for node in nodes:
                node.stop()


def _send(plan: tuple[int, str, str, str, bytes], ready: Event, go: Event) -> None:
    """Send a round's requests over several connections, from the core of the node that gets them."""
    core, url, pipeline_id, secret, body = plan
    os.sched_setaffinity(0, {core})
    senders = [Sender(url, pipeline_id, secret) for _ in range(CONNECTIONS)]
    ready.set()
    go.wait()

    def each(sender: Sender) -> None:
        for _ in range(REQUESTS):
            sender.send(uuid.uuid4().hex, body)

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        list(pool.map(each, senders))


if __name__ == "__main__":
    for figure in figures():
        print(figure, flush=True)
