"""Two nodes that refine beside each other while generations are begun, exchanged, put back and spliced, on PostgreSQL.

Rows and ledger of every generation are a model's; and nobody writes to rows in use who does not know that they are.
"""

from collections import Counter
from itertools import count
from typing import ClassVar

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from appliance.components.generations import Eras, Stretch
from appliance.components.silver import Order, RecordQuery, Table
from appliance.domain.ledger import Outcome
from appliance.errors import TransientError
from appliance.storage.silver_postgres.connections import Connections
from appliance.storage.silver_postgres.store import PostgresSilver
from tests.property.test_silver_generations_hold import DAYS, EVENTS, PLACES, VERSIONS, Model
from tests.silver_batches import Event, batch, table

BASES = (0, 1 << 44)
NODES = st.sampled_from((0, 1))
_numbers = count(1)


class Part(Model):
    """One partition of a generation."""

    def __init__(self, base: int, first: int) -> None:
        super().__init__(keyed=False, first=first)
        self.base = base

    def carried(self, below: int) -> "Part":
        part = Part(self.base, self.base + 1)
        part.events = {seq: event for seq, event in self.events.items() if seq < below}
        part.rows = {place: row for place, row in self.rows.items() if place[0] < below}
        return part


class TwoPartitions(RuleBasedStateMachine):
    """``parts``: by generation, of each node. ``known``: the era that each node goes by."""

    connections: ClassVar[Connections]

    def __init__(self) -> None:
        super().__init__()
        schema = f"dash_two_{next(_numbers)}"
        self.stores = [PostgresSilver(self.connections, schema, partition=of) for of in (0, 1)]  # type: ignore[arg-type]
        self.table = table()
        self.stores[0].prepare(self.table)
        self.live, self.era, self.known, self.held = 1, 0, [0, 0], False
        self.parts: dict[int, list[Part]] = {1: [Part(base, base + 1) for base in BASES]}

    def of(self, number: int, node: int = 0) -> Table:
        if number == self.live:
            return msgspec.structs.replace(self.table, era=self.known[node])
        return msgspec.structs.replace(self.table, generation=number)

    @rule(data=st.data(), node=NODES, events=EVENTS, day=DAYS, version=VERSIONS)
    def commit(self, data: st.DataObject, node: int, events: list[Event], day: object, version: int) -> None:
        number = data.draw(st.sampled_from(sorted(self.parts)))
        part = self.parts[number][node]
        made = batch(self.of(number, node), part.last + 1, events, version=version, day=day)  # type: ignore[arg-type]
        if number == self.live and (self.held or self.known[node] < self.era):
            with pytest.raises(TransientError):
                self.stores[node].commit(made)
            return
        self.stores[node].commit(made)
        for event in events:
            part.add(event, day, version)  # type: ignore[arg-type]

    @rule(node=NODES)
    def learn(self, node: int) -> None:
        self.known[node] = self.era

    @rule(held=st.booleans())
    def hold(self, held: bool) -> None:
        self.stores[0].generations.hold(self.table.pipeline_id, 600.0 if held else 0.0)
        self.held = held

    @precondition(lambda self: len(self.parts) < 4)
    @rule(data=st.data(), node=NODES, carry=st.booleans())
    def begin(self, data: st.DataObject, node: int, carry: bool) -> None:
        parts = self.parts[self.live]
        first, other = [data.draw(st.integers(part.first, part.last + 1)) for part in parts]
        shadow = self.stores[node].generations.begin(self.table, first, carry=carry, elsewhere=(other,))
        assert shadow.generation is not None
        firsts = zip(parts, (first, other), strict=True)
        self.parts[shadow.generation] = [
            part.carried(one) if carry else Part(part.base, one) for part, one in firsts
        ]  # fmt: skip

    @rule(data=st.data(), node=NODES, behind=st.booleans())
    def swap(self, data: st.DataObject, node: int, behind: bool) -> None:
        whole = [one for one, parts in sorted(self.parts.items()) if all(part.first == part.base + 1 for part in parts)]
        number = data.draw(st.sampled_from(whole))
        eras, generations = Eras(self.known[node], self.era + 1), self.stores[node].generations
        pairs = zip(self.parts[number], self.parts[self.live], strict=True)
        short = any(part.last < live.last for part, live in pairs)
        if number != self.live and (self.known[node] < self.era or (short and not behind)):
            with pytest.raises(TransientError):
                generations.swap(self.table.pipeline_id, number, eras, behind=behind)
            return
        assert generations.swap(self.table.pipeline_id, number, eras, behind=behind) == self.live
        if number != self.live:
            self.live, self.era, self.held = number, self.era + 1, False
            self.known[node] = self.era

    @precondition(lambda self: len(self.parts) > 1)
    @rule(data=st.data(), node=NODES)
    def splice(self, data: st.DataObject, node: int) -> None:
        number = data.draw(st.sampled_from([one for one in sorted(self.parts) if one != self.live]))
        pairs = list(zip(self.parts[self.live], self.parts[number], strict=True))
        stretches = []
        for live, other in pairs:
            least, most = max(live.first, other.first), min(live.last, other.last)
            if least > most:
                return
            first = data.draw(st.integers(least, most))
            stretches.append(Stretch(first, data.draw(st.integers(first, most))))
        (first, last), elsewhere = stretches[0], stretches[1:]
        self.stores[node].generations.splice(self.table, number, first, last, elsewhere)
        for (live, other), stretch in zip(pairs, stretches, strict=True):
            live.exchange(other, *stretch)

    @invariant()
    def every_generation_is_its_model(self) -> None:
        generations = self.stores[0].generations
        found = {one.number: one for one in generations.all(self.table.pipeline_id)}
        assert found.keys() == self.parts.keys()
        assert [one.number for one in found.values() if one.live] == [self.live]
        assert {one.era for one in found.values()} == {self.era}
        for number, parts in self.parts.items():
            rows = self.stores[1].records(self.of(number), RecordQuery(order=Order.ASC, limit=1000)).to_pylist()
            expected = {place: n for part in parts for place, (_, n) in part.rows.items()}
            assert {(row["_seq"], row["_item"]): row["n"] for row in rows} == expected
            spans = generations.spans(self.table.pipeline_id, number)
            for node, part in enumerate(parts):
                mine = [span for span in spans if span.first_seq >> 44 == node]
                assert sum((span.last_seq - span.first_seq + 1 for span in mine), part.first - 1) == part.last
                lines: Counter[tuple[str, int, str]] = Counter()
                for span in mine:
                    for place in PLACES:
                        lines[span.day, span.version, place] += getattr(span, place)
                assert +lines == part.lines()
                counts = {place: sum(getattr(span, place) for span in mine) for place in PLACES}
                progress = found[number].of(node)
                assert (progress.seq, progress.outcome) == (part.last, Outcome(**counts))


@pytest.fixture(scope="module", autouse=True)
def _connected(silver_connections: Connections) -> None:
    TwoPartitions.connections = silver_connections


TestTwoPartitions = TwoPartitions.TestCase
TestTwoPartitions.settings = settings(max_examples=10, stateful_step_count=15, deadline=None)
