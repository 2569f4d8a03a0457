"""Whatever comes in whatever batches: rows and ledger are those of a plain model, and counting again agrees."""

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.components.silver import Order, Progress, RecordQuery, SilverStore, Table
from appliance.domain.ledger import Outcome
from appliance.storage.silver_duckdb.store import DuckDbSilver
from tests.silver_batches import Event, batch, table

KEYS = st.one_of(st.none(), st.sampled_from("abcde"))
ITEMS = st.lists(st.fixed_dictionaries({"_key": KEYS, "n": st.integers(0, 9)}), max_size=3)
EVENTS = st.builds(Event, rows=ITEMS, dead=st.lists(st.sampled_from(["type", "range"]), max_size=2))
BATCHES = st.lists(st.lists(EVENTS, min_size=1, max_size=5), min_size=1, max_size=6)


class Model:
    """Rows and outcomes kept in dicts, one event after the other."""

    def __init__(self, *, keyed: bool) -> None:
        self.rows: dict[tuple[int, int], tuple[str | None, int]] = {}
        self.events: list[Event] = []
        self._keyed = keyed

    def add(self, event: Event) -> None:
        self.events.append(event)
        seq = len(self.events)
        for item, values in enumerate(event.rows):
            key = values["_key"]
            if self._keyed and key is not None:
                self.rows = {place: row for place, row in self.rows.items() if row[0] != key}
            self.rows[seq, item] = (key, values["n"])

    def outcome(self) -> Outcome:
        live = {seq for seq, _ in self.rows}
        found = {"stored": 0, "filtered": 0, "duplicate": 0, "dead": 0}
        for seq, event in enumerate(self.events, 1):
            found[
                "dead" if event.dead else "filtered" if not event.rows else "stored" if seq in live else "duplicate"
            ] += 1
        return Outcome(**found)


def check(store: SilverStore, of: Table, model: Model) -> None:
    stored = store.records(of, RecordQuery(order=Order.ASC, limit=1000)).to_pylist()
    assert {(row["_seq"], row["_item"]): row["n"] for row in stored} == {p: n for p, (_, n) in model.rows.items()}
    assert store.progress(of.pipeline_id) == Progress(len(model.events), model.outcome())
    assert store.recount(of) == model.outcome()


@settings(max_examples=60, deadline=None)
@given(batches=BATCHES, keyed=st.booleans(), reopened=st.booleans())
def test_rows_and_ledger_are_those_of_the_model(batches: list[list[Event]], keyed: bool, reopened: bool) -> None:
    of, model = table(keyed=keyed), Model(keyed=keyed)
    with tempfile.TemporaryDirectory() as folder:
        store = DuckDbSilver(Path(folder) / "org_1.duckdb")
        store.prepare(of)
        for events in batches:
            store.commit(batch(of, len(model.events) + 1, events))
            for event in events:
                model.add(event)
            assert store.progress(of.pipeline_id).outcome == model.outcome()
        if reopened:
            store.close()
            store = DuckDbSilver(Path(folder) / "org_1.duckdb")
        check(store, of, model)
        store.close()


@settings(max_examples=30, deadline=None)
@given(events=st.lists(EVENTS, min_size=2, max_size=20), data=st.data())
def test_how_events_are_cut_into_batches_does_not_matter(events: list[Event], data: st.DataObject) -> None:
    of = table(keyed=True)
    cut = data.draw(st.integers(1, len(events) - 1))
    answers = []
    for parts in ([events], [events[:cut], events[cut:]], [[event] for event in events]):
        with tempfile.TemporaryDirectory() as folder:
            store = DuckDbSilver(Path(folder) / "org_1.duckdb")
            first = 1
            for part in parts:
                progress = store.commit(batch(of, first, part))
                first += len(part)
            rows = store.records(of, RecordQuery(order=Order.ASC, limit=1000)).to_pylist()
            answers.append((progress, rows))
            store.close()
    assert answers[0] == answers[1] == answers[2]
