"""Whatever is committed, begun, swapped, spliced and discarded: rows and ledger of every generation are a model's."""

import shutil
import tempfile
from collections import Counter
from datetime import date
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from appliance.components.silver import Order, Progress, RecordQuery, SilverStore, Table
from appliance.domain.ledger import Outcome
from appliance.storage.silver_duckdb.store import DuckDbSilver
from tests.silver_batches import Event, batch, table

ITEMS = st.lists(st.fixed_dictionaries({"_key": st.sampled_from("abc"), "n": st.integers(0, 9)}), max_size=2)
EVENTS = st.lists(st.builds(Event, rows=ITEMS, dead=st.lists(st.just("type"), max_size=1)), min_size=1, max_size=4)
DAYS = st.sampled_from([date(2026, 11, 21), date(2026, 11, 22)])
VERSIONS = st.integers(1, 2)
PLACES = ("stored", "filtered", "duplicate", "dead")


class Model:
    """One generation in dicts, one event after the other; the first is number ``first``."""

    def __init__(self, *, keyed: bool, first: int = 1) -> None:
        self.keyed, self.first = keyed, first
        self.rows: dict[tuple[int, int], tuple[str, int]] = {}
        self.events: dict[int, tuple[Event, date, int]] = {}

    @property
    def last(self) -> int:
        return self.first + len(self.events) - 1

    def add(self, event: Event, day: date, version: int) -> None:
        seq = self.last + 1
        self.events[seq] = (event, day, version)
        for item, values in enumerate(event.rows):
            if self.keyed:
                self.rows = {place: row for place, row in self.rows.items() if row[0] != values["_key"]}
            self.rows[seq, item] = (values["_key"], values["n"])

    def carried(self, below: int) -> "Model":
        model = Model(keyed=self.keyed)
        model.events = {seq: event for seq, event in self.events.items() if seq < below}
        model.rows = {place: row for place, row in self.rows.items() if place[0] < below}
        return model

    def exchange(self, other: "Model", first: int, last: int) -> None:
        for seq in range(first, last + 1):
            self.events[seq], other.events[seq] = other.events[seq], self.events[seq]
        ours = {place: row for place, row in self.rows.items() if first <= place[0] <= last}
        theirs = {place: row for place, row in other.rows.items() if first <= place[0] <= last}
        self.rows = {place: row for place, row in self.rows.items() if place not in ours} | theirs
        other.rows = {place: row for place, row in other.rows.items() if place not in theirs} | ours

    def lines(self) -> Counter[tuple[str, int, str]]:
        """Return how many events of each day and version went where."""
        live = {seq for seq, _ in self.rows}
        lines: Counter[tuple[str, int, str]] = Counter()
        for seq, (event, day, version) in self.events.items():
            rest = "filtered" if not event.rows else "stored" if seq in live else "duplicate"
            lines[day.isoformat(), version, "dead" if event.dead else rest] += 1
        return lines


class Generations(RuleBasedStateMachine):
    """``models``: by number. ``blurred``: whose spans were cut where filtered and duplicate cannot be told apart."""

    keyed = False

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.store = self.open()
        self.table = table(keyed=self.keyed)
        self.store.prepare(self.table)
        self.live = 1
        self.models = {1: Model(keyed=self.keyed)}
        self.blurred: set[int] = set()

    def teardown(self) -> None:
        self.store.close()
        shutil.rmtree(self.folder)

    def open(self) -> SilverStore:
        return DuckDbSilver(self.folder / "org_1.duckdb")

    def of(self, number: int) -> Table:
        live = None if number == self.live else number
        return Table(self.table.pipeline_id, self.table.columns, self.keyed, live)

    @rule(data=st.data(), events=EVENTS, day=DAYS, version=VERSIONS)
    def commit(self, data: st.DataObject, events: list[Event], day: date, version: int) -> None:
        number = data.draw(st.sampled_from(sorted(self.models)))
        model = self.models[number]
        self.store.commit(batch(self.of(number), model.last + 1, events, version=version, day=day))
        for event in events:
            model.add(event, day, version)

    @precondition(lambda self: len(self.models) < 4)
    @rule(data=st.data(), carry=st.booleans())
    def begin(self, data: st.DataObject, carry: bool) -> None:
        live = self.models[self.live]
        first = data.draw(st.integers(live.first, live.last + 1))
        number = self.store.generations.begin(self.table, first, carry=carry).generation
        assert number is not None
        self.models[number] = live.carried(first) if carry else Model(keyed=self.keyed, first=first)
        if carry and (self.keyed or self.live in self.blurred):
            self.blurred.add(number)

    @rule(data=st.data())
    def swap(self, data: st.DataObject) -> None:
        # one that was begun for a range is not made live
        whole = [number for number, model in sorted(self.models.items()) if model.first == 1]
        number = data.draw(st.sampled_from(whole))
        assert self.store.generations.swap(self.table.pipeline_id, number) == self.live
        self.live = number

    @precondition(lambda self: not self.keyed and len(self.models) > 1)
    @rule(data=st.data())
    def splice(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from([one for one in sorted(self.models) if one != self.live]))
        live, other = self.models[self.live], self.models[number]
        least, most = other.first, min(live.last, other.last)
        if least > most:
            return
        first = data.draw(st.integers(least, most))
        last = data.draw(st.integers(first, most))
        self.store.generations.splice(self.table, number, first, last)
        live.exchange(other, first, last)

    @precondition(lambda self: len(self.models) > 1)
    @rule(data=st.data())
    def discard(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from([one for one in sorted(self.models) if one != self.live]))
        self.store.generations.discard(self.table.pipeline_id, number)
        del self.models[number]

    @rule()
    def reopen(self) -> None:
        self.store.close()
        self.store = self.open()

    @invariant()
    def every_generation_is_its_model(self) -> None:
        pipeline_id = self.table.pipeline_id
        found = self.store.generations.all(pipeline_id)
        assert {one.number for one in found} == set(self.models)
        assert [one.number for one in found if one.live] == [self.live]
        for number, model in self.models.items():
            of = self.of(number)
            rows = self.store.records(of, RecordQuery(order=Order.ASC, limit=1000)).to_pylist()
            assert {(row["_seq"], row["_item"]): row["n"] for row in rows} == {p: n for p, (_, n) in model.rows.items()}
            progress = self.store.progress(pipeline_id, of.generation)
            assert self.store.recount(of) == progress.outcome
            self.spans_add_up(number, model, progress)

    def spans_add_up(self, number: int, model: Model, progress: Progress) -> None:
        spans = self.store.generations.spans(self.table.pipeline_id, number)
        reached, sums, lines = model.first - 1, Outcome(), Counter[tuple[str, int, str]]()
        for span in spans:
            assert span.first_seq == reached + 1
            counted = Outcome(span.stored, span.filtered, span.duplicate, span.dead)
            assert counted.total == span.last_seq - span.first_seq + 1
            reached, sums = span.last_seq, sums + counted
            for place in PLACES:
                lines[span.day, span.version, place] += getattr(span, place)
        assert (reached, sums) == (progress.seq, progress.outcome)
        assert reached == model.last
        expected = model.lines()
        if number in self.blurred:
            expected, lines = blurred(expected), blurred(lines)
        assert +lines == expected


def blurred(lines: Counter[tuple[str, int, str]]) -> Counter[tuple[str, int, str]]:
    """Return the lines with filtered and duplicate counted as one."""
    told: Counter[tuple[str, int, str]] = Counter()
    for (day, version, place), events in lines.items():
        told[day, version, "without rows" if place in ("filtered", "duplicate") else place] += events
    return +told


class KeyedGenerations(Generations):
    keyed = True


TestGenerations = Generations.TestCase
TestGenerations.settings = settings(max_examples=12, stateful_step_count=10, deadline=None)
TestKeyedGenerations = KeyedGenerations.TestCase
TestKeyedGenerations.settings = settings(max_examples=12, stateful_step_count=10, deadline=None)
