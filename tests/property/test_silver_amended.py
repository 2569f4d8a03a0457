"""Whatever is committed, amended, erased, trimmed and read: rows, ledger and readers are those of a plain model."""

import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from appliance.components.feed import FeedPlace
from appliance.components.silver import Order, Progress, RecordQuery, SilverStore
from appliance.domain.ledger import Outcome
from appliance.errors import Conflict
from appliance.storage.silver_duckdb.store import DuckDbSilver
from tests.silver_batches import START, Event, amendment, batch, table

KEYS = st.one_of(st.none(), st.sampled_from("abcd"))
ITEMS = st.lists(st.fixed_dictionaries({"_key": KEYS, "n": st.integers(0, 9)}), max_size=2)
EVENTS = st.builds(Event, rows=ITEMS, dead=st.lists(st.sampled_from(["type", "range"]), max_size=2))

Place = tuple[int, int]


class Model:
    """Rows in a dict; of each event its letters, and what it became when it left nothing behind."""

    def __init__(self, *, keyed: bool) -> None:
        self.keyed = keyed
        self.rows: dict[Place, dict[str, Any]] = {}
        self.dead: set[int] = set()
        self.became: list[str] = []  # stored means: has had rows; it is a duplicate where none is left
        self.gone: set[int] = set()
        self.sure: set[int] = set()  # left nothing behind, but was amended: the store knows what it was

    def put(self, seq: int, event: Event) -> None:
        self.rows = {place: values for place, values in self.rows.items() if place[0] != seq}
        for item, values in enumerate(event.rows):
            self._put_row((seq, item), values)
        (self.dead.add if event.dead else self.dead.discard)(seq)
        self.became[seq - 1 : seq] = ["dead" if event.dead else "stored" if event.rows else "filtered"]
        self.gone.discard(seq)

    def _put_row(self, place: Place, values: dict[str, Any]) -> None:
        if self.keyed and values["_key"] is not None:
            rivals = [other for other, its in self.rows.items() if its["_key"] == values["_key"]]
            if any(other > place for other in rivals):
                return
            for other in rivals:
                del self.rows[other]
        self.rows[place] = values

    def live(self) -> set[int]:
        return {seq for seq, _ in self.rows}

    def outcome(self) -> Outcome:
        live, found = self.live(), {"stored": 0, "filtered": 0, "duplicate": 0, "dead": 0}
        for seq, became in enumerate(self.became, 1):
            lost = became == "stored" and seq not in live and seq not in self.gone
            found["duplicate" if lost else became] += 1
        return Outcome(**found)

    def trim(self, below: int) -> None:
        """``_time`` and the receipt of an event are START + seq seconds."""
        live = self.live()
        self.sure -= {seq for seq in live | self.dead if seq < below}
        self.gone |= {seq for seq in live - self.dead if seq < below}
        self.rows = {place: values for place, values in self.rows.items() if place[0] >= below}
        self.dead = {seq for seq in self.dead if seq >= below}

    def traceless(self) -> set[int]:
        """Return the events of which only the ledger knows that they were."""
        return set(range(1, len(self.became) + 1)) - self.live() - self.dead


class Amended(RuleBasedStateMachine):
    @initialize(keyed=st.booleans())
    def begin(self, keyed: bool) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.table = table(keyed=keyed)
        self.store = self.open()
        self.store.prepare(self.table)
        self.model = Model(keyed=keyed)
        self.place = FeedPlace()
        self.handed: dict[Place, list[int]] = {}
        self.made: dict[Place, list[int]] = {}  # every row that ever was, in the order of its contents

    def open(self) -> SilverStore:
        return DuckDbSilver(Path(self.folder.name) / "org_1.duckdb")

    def teardown(self) -> None:
        self.store.close()
        self.folder.cleanup()

    def note(self) -> None:
        for place, values in self.model.rows.items():
            contents = self.made.setdefault(place, [])
            if not contents or contents[-1] != values["n"]:
                contents.append(values["n"])

    @rule(events=st.lists(EVENTS, min_size=1, max_size=6))
    def commit(self, events: list[Event]) -> None:
        first = len(self.model.became) + 1
        for seq, event in enumerate(events, first):
            self.model.became.append("")
            self.model.put(seq, event)
        self.note()
        progress = self.store.commit(batch(self.table, first, events))
        assert progress == Progress(len(self.model.became), self.model.outcome())

    @precondition(lambda self: self.model.became)
    @rule(data=st.data(), twice=st.booleans())
    def amend(self, data: st.DataObject, twice: bool) -> None:
        seqs = st.integers(1, len(self.model.became))
        events = data.draw(st.dictionaries(seqs, EVENTS, min_size=1, max_size=4))
        given = amendment(self.table, events)
        unsure = self.model.traceless() - self.model.sure
        try:
            progress = self.store.letters.amend(given)
        except Conflict:
            assert unsure & events.keys()
            return
        for seq in events:  # all of them go first: a row that is about to go is no rival
            self.model.put(seq, Event())
        for seq in sorted(events):
            self.model.put(seq, events[seq])
        self.model.sure |= events.keys()
        self.note()
        assert progress == Progress(len(self.model.became), self.model.outcome())
        if twice:
            assert self.store.letters.amend(given) == progress

    @precondition(lambda self: self.model.became)
    @rule(data=st.data())
    def erase(self, data: st.DataObject) -> None:
        known = sorted(set(range(1, len(self.model.became) + 1)) - (self.model.traceless() - self.model.sure))
        if not known:
            return
        seqs = data.draw(st.lists(st.sampled_from(known), unique=True, min_size=1, max_size=3))
        progress = self.store.upkeep.erase(self.table, sorted(seqs))
        for seq in seqs:
            self.model.put(seq, Event())
        self.model.sure |= set(seqs)
        assert progress.outcome == self.model.outcome()

    @precondition(lambda self: self.model.became)
    @rule(data=st.data())
    def trim(self, data: st.DataObject) -> None:
        below = data.draw(st.integers(1, len(self.model.became)))
        self.store.upkeep.trim(self.table, START + timedelta(seconds=below))
        self.model.trim(below)

    @rule(limit=st.integers(1, 5))
    def read(self, limit: int) -> None:
        rows, self.place = self.store.feed.read(self.table, self.place, limit)
        places = [(one["_seq"], one["_item"]) for one in rows.to_pylist()]
        assert places == sorted(places)
        for place, content in zip(places, rows.column("n").to_pylist(), strict=True):
            self.handed.setdefault(place, []).append(content)
            assert content == self.model.rows[place]["n"]

    @rule(compact=st.booleans())
    def reopen(self, compact: bool) -> None:
        if compact:
            self.store.upkeep.compact()
        else:
            self.store.close()
            self.store = self.open()

    @rule()
    def drain(self) -> None:
        before = None
        while self.place != before:
            before = self.place
            self.read(3)
        for place, values in self.model.rows.items():
            assert self.handed[place][-1] == values["n"]
        for place, contents in self.handed.items():
            assert len(contents) <= len(self.made[place]) + 1

    @invariant()
    def agrees(self) -> None:
        if not hasattr(self, "store"):
            return
        found = self.store.records(self.table, RecordQuery(order=Order.ASC, limit=1000)).to_pylist()
        expected = {place: values["n"] for place, values in self.model.rows.items()}
        assert {(row["_seq"], row["_item"]): row["n"] for row in found} == expected
        outcome = self.model.outcome()
        assert self.store.progress(self.table.pipeline_id) == Progress(len(self.model.became), outcome)
        assert self.store.recount(self.table) == outcome
        spans = self.store.generations.spans(self.table.pipeline_id)
        assert sum(span.gone for span in spans) == len(self.model.gone)
        assert sum(span.stored for span in spans) == outcome.stored
        letters = self.store.letters.count([self.table.pipeline_id])[self.table.pipeline_id]
        assert letters.events == len(self.model.dead)


TestAmended = Amended.TestCase
TestAmended.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)
