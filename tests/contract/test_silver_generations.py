"""What every row store promises of generations: begun beside the live one, exchanged in one step, removed."""

import threading
from collections.abc import Callable
from datetime import date

import pytest

from appliance.components.generations import Span
from appliance.components.silver import (
    Aggregation,
    Condition,
    DeadLetterQuery,
    Measure,
    Progress,
    RecordQuery,
    SilverStore,
    Table,
)
from appliance.domain.ids import PipelineId
from appliance.domain.ledger import Outcome
from appliance.domain.mapping import FieldType
from appliance.errors import Conflict, NotFound
from tests.silver_batches import FILTERED, KEYED, PLAIN, batch, dead, filled, number, row, rows_in, table

Open = Callable[[], SilverStore]
ID = PLAIN.pipeline_id
FIRST_DAY, SECOND_DAY = date(2026, 11, 21), date(2026, 11, 22)
MIXED = [row(device="a", n=1), FILTERED, dead("type"), row(device="b", n=2)]


def refined(silver: SilverStore, of: Table, device: str, count: int = 10) -> None:
    """Store ``count`` events in ``of``, one row each, all of this device."""
    silver.commit(batch(of, 1, [row(device=device, n=n) for n in range(1, count + 1)], version=2))


# --- beginning, filling, swapping


def test_a_pipeline_has_one_live_generation_from_the_first(silver: SilverStore) -> None:
    assert silver.generations.all(PipelineId("pl_none")) == []
    assert silver.generations.spans(PipelineId("pl_none")) == []
    silver.prepare(PLAIN)
    silver.commit(batch(PLAIN, 1, MIXED))
    (only,) = silver.generations.all(ID)
    assert (only.number, only.live, only.first_seq) == (1, True, 1)
    assert only.progress == silver.progress(ID) == Progress(4, Outcome(stored=2, filtered=1, dead=1))


def test_a_shadow_is_filled_beside_the_live_rows(silver: SilverStore) -> None:
    filled(silver)
    shadow = silver.generations.begin(PLAIN)
    assert (shadow.pipeline_id, shadow.columns) == (ID, PLAIN.columns)
    assert silver.progress(ID, shadow.generation) == Progress()
    assert rows_in(silver, shadow, "n") == []
    silver.prepare(shadow)
    assert silver.commit(batch(shadow, 1, [row(device="s", n=100), dead()])) == Progress(2, Outcome(stored=1, dead=1))
    assert silver.progress(ID, shadow.generation).seq == 2
    assert silver.recount(shadow) == Outcome(stored=1, dead=1)
    assert rows_in(silver, shadow, "device", "n", where=(Condition("n", ">", 1),)) == [("s", 100)]
    counted = silver.aggregate(shadow, Aggregation(measures=(Measure("sum", "n", "s"),)))
    assert counted.column("s").to_pylist() == [100]
    assert silver.progress(ID) == Progress(10, Outcome(stored=10))  # the live ones have not changed
    assert len(rows_in(silver, PLAIN, "n")) == 10
    assert silver.dead_letters(ID, DeadLetterQuery()).num_rows == 0
    with pytest.raises(Conflict, match="3 is next"):
        silver.commit(batch(shadow, 4, [row(n=1)]))


def test_a_shadow_of_a_pipeline_never_prepared(silver: SilverStore) -> None:
    shadow = silver.generations.begin(PLAIN)
    assert [(one.number == shadow.generation, one.live) for one in silver.generations.all(ID)] == [
        (False, True),
        (True, False),
    ]


def test_a_swap_exchanges_everything_and_undoing_it_too(reopen_silver: Open) -> None:
    silver = reopen_silver()
    filled(silver)
    wider = table(device=FieldType.STRING, n=FieldType.INTEGER, unit=FieldType.STRING)
    shadow = silver.generations.begin(wider)
    silver.commit(batch(shadow, 1, [row(device="s", n=5, unit="°C"), dead("range"), FILTERED], version=2))
    before = silver.generations.swap(ID, number(shadow))

    def is_swapped() -> None:
        assert rows_in(silver, wider, "device", "n", "unit") == [("s", 5, "°C")]
        assert silver.progress(ID) == silver.counts([ID])[ID] == Progress(3, Outcome(stored=1, filtered=1, dead=1))
        assert silver.dead_letters(ID, DeadLetterQuery()).column("reason").to_pylist() == ["range"]
        assert [span.version for span in silver.generations.spans(ID)] == [2]
        assert silver.recount(wider) == Outcome(stored=1, filtered=1, dead=1)
        assert [(one.number, one.live) for one in silver.generations.all(ID)] == [
            (before, False),
            (shadow.generation, True),
        ]

    is_swapped()
    silver = reopen_silver()
    is_swapped()
    silver.commit(batch(wider, 4, [row(device="t", n=6)]))  # the live one is committed to without a number
    assert silver.generations.swap(ID, before) == shadow.generation
    assert len(rows_in(silver, PLAIN, "n")) == 10
    assert silver.commit(batch(PLAIN, 11, [row(n=11)])).seq == 11  # goes on where it stood
    assert silver.progress(ID, shadow.generation).seq == 4


def test_swapping_in_what_is_live_does_nothing(silver: SilverStore) -> None:
    filled(silver)
    (live,) = silver.generations.all(ID)
    assert silver.generations.swap(ID, live.number) == live.number
    assert len(rows_in(silver, PLAIN, "n")) == 10


def test_a_number_that_is_not_there_is_never_answered_with_other_rows(silver: SilverStore) -> None:
    filled(silver)
    gone = silver.generations.begin(PLAIN)
    silver.generations.discard(ID, number(gone))
    for ask in (
        lambda: silver.generations.swap(ID, number(gone)),
        lambda: silver.progress(ID, gone.generation),
        lambda: silver.records(gone, RecordQuery()),
        lambda: silver.aggregate(gone, Aggregation(measures=(Measure("count", None, "c"),))),
        lambda: silver.recount(gone),
        lambda: silver.commit(batch(gone, 1, [row(n=1)])),
        lambda: silver.prepare(gone),
        lambda: silver.generations.checksum(gone),
        lambda: silver.generations.spans(ID, gone.generation),
        lambda: silver.generations.splice(PLAIN, number(gone), 1, 2),
    ):
        with pytest.raises(NotFound, match="has no generation"):
            ask()
    again = silver.generations.begin(PLAIN)
    assert again.generation != gone.generation
    assert len(rows_in(silver, PLAIN, "n")) == 10


def test_discarding(reopen_silver: Open) -> None:
    silver = reopen_silver()
    filled(silver)
    (live,) = silver.generations.all(ID)
    with pytest.raises(Conflict, match="it is the live one"):
        silver.generations.discard(ID, live.number)
    silver.generations.discard(ID, 99)
    shadow = silver.generations.begin(PLAIN)
    refined(silver, shadow, "s")
    silver.generations.swap(ID, number(shadow))
    silver.generations.discard(ID, live.number)
    again = reopen_silver()
    assert [one.number for one in again.generations.all(ID)] == [shadow.generation]
    assert rows_in(again, PLAIN, "device") == [("s",)] * 10
    assert again.commit(batch(PLAIN, 11, [row(n=11)])).seq == 11


def test_dropping_a_pipeline_drops_all_its_generations(reopen_silver: Open) -> None:
    silver = reopen_silver()
    filled(silver)
    refined(silver, silver.generations.begin(PLAIN), "s")
    silver.drop(ID)
    again = reopen_silver()
    assert again.generations.all(ID) == []
    assert again.generations.spans(ID) == []
    assert again.progress(ID) == Progress()
    assert again.commit(batch(PLAIN, 1, [row(n=1)])).seq == 1


def test_readers_see_the_one_or_the_other_while_generations_are_swapped(silver: SilverStore) -> None:
    refined(silver, PLAIN, "old")
    shadow = silver.generations.begin(PLAIN)
    refined(silver, shadow, "new", 20)
    numbers = [one.number for one in silver.generations.all(ID)]
    done = threading.Event()

    def swap() -> None:
        for turn in range(40):
            silver.generations.swap(ID, numbers[turn % 2])
        done.set()

    writer = threading.Thread(target=swap)
    writer.start()
    seen = set()
    while not done.is_set():
        answer = silver.aggregate(
            PLAIN, Aggregation(measures=(Measure("count", None, "c"),), group_by=("device",))
        ).to_pylist()
        seen.add(tuple((line["device"], line["c"]) for line in answer))
    writer.join()
    assert seen <= {(("old", 10),), (("new", 20),)}


def test_commits_to_a_shadow_and_to_the_live_rows_go_on_beside_each_other(silver: SilverStore) -> None:
    silver.prepare(PLAIN)
    shadow = silver.generations.begin(PLAIN)
    failures: list[Exception] = []

    def fill(of: Table, size: int) -> None:
        try:
            for number in range(20):
                silver.commit(batch(of, number * size + 1, [row(device="a", n=1)] * size))
        except Exception as error:  # noqa: BLE001 - told to the test
            failures.append(error)

    writers = [threading.Thread(target=fill, args=(of, size)) for of, size in ((PLAIN, 3), (shadow, 200))]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert failures == []
    assert silver.progress(ID) == Progress(60, Outcome(stored=60))
    assert silver.progress(ID, shadow.generation) == Progress(4000, Outcome(stored=4000))
    assert silver.recount(shadow) == Outcome(stored=4000)
    assert silver.recount(PLAIN) == Outcome(stored=60)


# --- comparing


def test_the_checksum_is_of_the_rows_and_not_of_how_they_came(silver: SilverStore) -> None:
    events = [row(device=f"d{n}", n=n) for n in range(30)]
    silver.commit(batch(PLAIN, 1, events))
    shadow = silver.generations.begin(PLAIN)
    for start in range(0, 30, 7):
        silver.commit(batch(shadow, start + 1, events[start : start + 7], version=2))
    assert silver.generations.checksum(PLAIN) == silver.generations.checksum(shadow)
    assert silver.generations.checksum(PLAIN, 5, 9) == silver.generations.checksum(shadow, 5, 9)
    assert silver.generations.checksum(PLAIN, 5, 9) != silver.generations.checksum(PLAIN, 5, 10)
    silver.commit(batch(shadow, 31, [row(device="d", n=1)]))
    assert silver.generations.checksum(PLAIN) != silver.generations.checksum(shadow)
    assert silver.generations.checksum(PLAIN) == silver.generations.checksum(shadow, 1, 30)


@pytest.mark.parametrize(
    "other", [row(device="a", n=2), row(device=None, n=1), row(device="a", n=1, _extra="{}"), dead(), FILTERED]
)
def test_the_checksum_tells_every_difference(silver: SilverStore, other: object) -> None:
    silver.commit(batch(PLAIN, 1, [row(device="a", n=1)]))
    shadow = silver.generations.begin(PLAIN)
    silver.commit(batch(shadow, 1, [other]))  # type: ignore[list-item]
    assert silver.generations.checksum(PLAIN) != silver.generations.checksum(shadow)


def test_the_checksum_of_nothing_is_one_too(silver: SilverStore) -> None:
    silver.commit(batch(PLAIN, 1, [row(device="a", n=1)]))
    nothing = silver.generations.begin(PLAIN)
    assert silver.generations.checksum(nothing) == silver.generations.checksum(PLAIN, 2)
    assert silver.generations.checksum(nothing) != silver.generations.checksum(PLAIN)


# --- the ledger by span


def test_a_span_is_of_one_day_and_one_version(silver: SilverStore) -> None:
    silver.commit(batch(PLAIN, 1, MIXED, day=FIRST_DAY))
    silver.commit(batch(PLAIN, 5, [row(n=1)], day=FIRST_DAY))
    silver.commit(batch(PLAIN, 6, [row(n=1)], day=SECOND_DAY))
    silver.commit(batch(PLAIN, 7, [dead()], day=SECOND_DAY, version=2))
    silver.commit(batch(PLAIN, 8, [FILTERED], day=SECOND_DAY, version=2))
    assert silver.generations.spans(ID) == [
        Span(1, 5, "2026-11-21", 1, 3, 1, 0, 1),
        Span(6, 6, "2026-11-22", 1, 1, 0, 0, 0),
        Span(7, 8, "2026-11-22", 2, 0, 1, 0, 1),
    ]


def test_a_superseded_event_becomes_a_duplicate_in_its_own_span(silver: SilverStore) -> None:
    silver.commit(batch(KEYED, 1, [row(_key="a", n=1), row(_key="b", n=2)], day=FIRST_DAY))
    silver.commit(batch(KEYED, 3, [row(_key="a", n=3), row(_key="c", n=4), row(_key="c", n=5)], day=SECOND_DAY))
    assert silver.generations.spans(KEYED.pipeline_id) == [
        Span(1, 2, "2026-11-21", 1, 1, 0, 1, 0),
        Span(3, 5, "2026-11-22", 1, 2, 0, 1, 0),
    ]
