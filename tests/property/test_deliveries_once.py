"""Whatever two nodes receive again, in whatever order they commit and crash: each delivery is stored once, for good."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import count
from typing import ClassVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from msgspec.structs import replace

from appliance.components.deliveries import Settled
from appliance.components.silver import Table
from appliance.domain.event import Frame
from appliance.domain.partition import Partition, base_of, local_of
from appliance.engine.deliveries import claims_of
from appliance.storage.silver_postgres import claims
from appliance.storage.silver_postgres import store as module
from appliance.storage.silver_postgres.connections import Connections
from appliance.storage.silver_postgres.store import PostgresSilver
from tests.silver_batches import PLAIN, START, batch, number, row, rows_in

NODES = st.sampled_from((0, 1))
PIPE = PLAIN.pipeline_id
_numbers = count(1)


class Crash(Exception):
    pass


class Node:
    """One node: what its log has, event by event, and its store."""

    def __init__(self, partition: int, connections: Connections, schema: str) -> None:
        self.base = base_of(Partition(partition))
        self.silver = PostgresSilver(connections, schema, partition=Partition(partition), clock=lambda: START)
        self.events: list[tuple[int, str, int, int]] = []  # n, the delivery's id, its first event, when
        self.known: set[str] = set()

    def receive(self, name: str, payload: list[int], at_us: int) -> None:
        self.known.add(name)
        first = self.base + len(self.events) + 1
        self.events += [(n, name, first, at_us) for n in payload]

    def refine(self, of: Table, after: int, most: int) -> int:
        """Store up to ``most`` of the events that follow, though a delivery be cut; return which is the last one."""
        events = self.events[after : after + most]
        frames: list[Frame] = []
        for seq, (_, name, first, at_us) in enumerate(events, self.base + after + 1):
            if frames and frames[-1].delivery_seq == first:
                frames[-1] = replace(frames[-1], count=frames[-1].count + 1)
            else:
                frames.append(Frame(seq, 1, at_us, b"", (), None, name, first))
        stored = batch(of, self.base + after + 1, [row(n=n) for n, *_ in events])
        self.silver.commit(replace(stored, claims=claims_of(PIPE, frames, stored.last_seq)))
        return after + len(events)

    @property
    def refined(self) -> int:
        return local_of(self.silver.progress(PIPE).seq)


class Deliveries(RuleBasedStateMachine):
    connections: ClassVar[Connections]

    @initialize(many=st.sampled_from((1, 500)))
    def begin(self, many: int) -> None:
        schema = f"dash_deliveries_{next(_numbers)}"
        self.nodes = [Node(of, self.connections, schema) for of in (0, 1)]
        self.nodes[0].silver.prepare(PLAIN)
        self.day = 0
        self.sent: dict[str, list[int]] = {}
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(claims, "_MANY", many)

    @property
    def at_us(self) -> int:
        return int((START + self.day * timedelta(hours=48)).timestamp() * 1e6)

    @rule(of=NODES, name=st.integers(0, 2), forgets=st.booleans())
    def deliver(self, of: int, name: int, forgets: bool) -> None:
        """A node knows a delivery that it took itself, unless so many came since that it has forgotten."""
        told, node = f"{self.day}-{name}", self.nodes[of]
        payload = self.sent.setdefault(told, [self.day * 100 + name * 10 + n for n in range(1 + name % 3)])
        if told not in node.known or forgets:
            node.receive(told, payload, self.at_us)

    @rule(of=NODES, most=st.integers(1, 5), ends=st.sampled_from(("well", "well", "before", "within")))
    def refine(self, of: int, most: int, ends: str) -> None:
        node = self.nodes[of]
        after = node.refined
        if after == len(node.events) or ends == "before":
            return
        with _crashing(ends == "within"):
            node.refine(PLAIN, after, most)

    @rule(cut=st.integers(1, 5), first=NODES, kept=st.booleans())
    def rebuild(self, cut: int, first: int, kept: bool) -> None:
        self._rebuild(cut, first, kept=kept)

    def _rebuild(self, cut: int, first: int, *, kept: bool) -> None:
        """Refine again what is refined, in other batches and one node before the other: the same rows."""
        silver = self.nodes[0].silver
        shadow = silver.generations.begin(PLAIN)
        for node in (self.nodes[first], self.nodes[1 - first]):
            done, upto = 0, node.refined
            while done < upto:
                done = node.refine(shadow, done, min(cut, upto - done))
        assert silver.generations.checksum(shadow) == silver.generations.checksum(PLAIN)
        if kept:
            silver.generations.swap(PIPE, number(shadow))
        else:
            silver.generations.discard(PIPE, number(shadow))

    @rule()
    def two_days_pass(self) -> None:
        """All is refined, and claims are forgotten. What is sent from then on has other ids."""
        self.catch_up()
        self.day += 1
        for node in self.nodes:
            up_to = START + self.day * timedelta(hours=48)
            node.silver.deliveries.settle(PIPE, Settled(up_to, node.base + 1, (0, 1)))
        self.nodes[0].silver.deliveries.forget()

    @invariant()
    def nothing_is_stored_twice(self) -> None:
        stored = Counter(n for (n,) in rows_in(self.nodes[0].silver, PLAIN, "n"))
        assert [n for n, times in stored.items() if times > 1] == []

    def catch_up(self) -> None:
        for node in self.nodes:
            while node.refined < len(node.events):
                node.refine(PLAIN, node.refined, 3)

    def teardown(self) -> None:
        self.two_days_pass()
        self._rebuild(2, 1, kept=True)
        stored = sorted(n for (n,) in rows_in(self.nodes[0].silver, PLAIN, "n"))
        assert stored == sorted(n for payload in self.sent.values() for n in payload)
        for node in self.nodes:
            told = node.silver.progress(PIPE).outcome
            assert told.stored + told.duplicate == len(node.events)
            assert node.silver.recount(PLAIN) == told
        self.patch.undo()


@contextmanager
def _crashing(crashes: bool) -> Iterator[None]:
    """Let the process end when the claims are taken and the rows are to be stored."""
    if not crashes:
        yield
        return

    def crash(*_: object) -> None:
        raise Crash

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "commit", crash)
        with pytest.raises(Crash):
            yield


@pytest.fixture(scope="module", autouse=True)
def _connected(silver_connections: Connections) -> None:
    Deliveries.connections = silver_connections


TestDeliveries = Deliveries.TestCase
TestDeliveries.settings = settings(max_examples=12, stateful_step_count=20, deadline=None)
