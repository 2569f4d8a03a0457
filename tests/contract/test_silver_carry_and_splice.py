"""What every row store promises of what is carried into a generation, and of stretches exchanged between two."""

from collections.abc import Callable
from datetime import date

import pytest

from appliance.components.generations import Span
from appliance.components.silver import DeadLetterQuery, Progress, SilverStore, Table
from appliance.domain.ledger import Outcome
from appliance.domain.mapping import FieldType
from appliance.errors import Conflict
from tests.silver_batches import FILTERED, KEYED, PLAIN, batch, dead, filled, number, row, rows_in, table

Open = Callable[[], SilverStore]
ID = PLAIN.pipeline_id
FIRST_DAY, SECOND_DAY = date(2026, 11, 21), date(2026, 11, 22)
MIXED = [row(device="a", n=1), FILTERED, dead("type"), row(device="b", n=2)]


# --- carrying over


def test_events_that_the_log_no_longer_has_are_carried_over(silver: SilverStore) -> None:
    silver.commit(batch(PLAIN, 1, MIXED, day=FIRST_DAY))
    silver.commit(batch(PLAIN, 5, MIXED, day=SECOND_DAY))
    shadow = silver.generations.begin(PLAIN, 5)
    assert silver.progress(ID, shadow.generation) == Progress(4, Outcome(stored=2, filtered=1, dead=1))
    assert rows_in(silver, shadow, "_seq", "device") == [(1, "a"), (4, "b")]
    assert silver.generations.spans(ID, shadow.generation) == [Span(1, 4, "2026-11-21", 1, 2, 1, 0, 1)]
    silver.commit(batch(shadow, 5, [row(device="s", n=1)] * 4, version=2, day=SECOND_DAY))
    silver.generations.swap(ID, number(shadow))
    assert [one.first_seq for one in silver.generations.all(ID)] == [1, 5]
    assert rows_in(silver, PLAIN, "_seq", "device") == [(1, "a"), (4, "b"), *((seq, "s") for seq in range(5, 9))]
    assert silver.dead_letters(ID, DeadLetterQuery()).column("seq").to_pylist() == [3]
    assert silver.recount(PLAIN) == silver.progress(ID).outcome == Outcome(stored=6, filtered=1, dead=1)


def test_a_span_that_the_first_event_cuts_is_carried_in_part(silver: SilverStore) -> None:
    silver.commit(batch(PLAIN, 1, [*MIXED, *MIXED], day=FIRST_DAY))
    shadow = silver.generations.begin(PLAIN, 3)  # the first two: a row and a filtered one
    assert silver.progress(ID, shadow.generation) == Progress(2, Outcome(stored=1, filtered=1))
    assert silver.generations.spans(ID, shadow.generation) == [Span(1, 2, "2026-11-21", 1, 1, 1, 0, 0)]
    assert silver.generations.spans(ID) == [Span(1, 8, "2026-11-21", 1, 4, 2, 0, 2)]


def test_without_carrying_a_generation_begins_empty_where_it_is_told_to(silver: SilverStore) -> None:
    filled(silver)
    shadow = silver.generations.begin(PLAIN, 4, carry=False)
    assert silver.progress(ID, shadow.generation) == Progress(3, Outcome())
    assert rows_in(silver, shadow, "n") == []
    assert silver.commit(batch(shadow, 4, [row(n=4), dead()])) == Progress(5, Outcome(stored=1, dead=1))
    assert silver.recount(shadow) == Outcome(stored=1, dead=1)


def test_what_the_live_rows_do_not_reach_cannot_be_carried(silver: SilverStore) -> None:
    filled(silver)
    with pytest.raises(Conflict, match="reach up to event 10 only"):
        silver.generations.begin(PLAIN, 13)
    assert len(silver.generations.all(ID)) == 1


def test_carried_values_are_widened_converted_or_kept_beside(silver: SilverStore) -> None:
    former = table(
        a=FieldType.INTEGER, b=FieldType.STRING, c=FieldType.FLOAT, gone=FieldType.STRING, same=FieldType.STRING
    )
    silver.commit(
        batch(
            former,
            1,
            [
                row(a=1, b="12", c=2.0, gone="x", same="y"),
                row(a=2, b="12.7", c=2.5, gone=None, same=None, _extra='{"k":1}'),
                row(),
            ],
        )
    )
    wanted = table(
        a=FieldType.STRING, b=FieldType.INTEGER, c=FieldType.INTEGER, same=FieldType.STRING, new=FieldType.FLOAT
    )
    shadow = silver.generations.begin(wanted, 4)
    assert rows_in(silver, shadow, "a", "b", "c", "same", "new", "_extra") == [
        ("1", 12, 2, "y", None, None),
        ("2", None, None, None, None, '{"k":1,"_variant":{"b":"12.7","c":2.5}}'),
        (None, None, None, None, None, None),
    ]
    dropped = Table(ID, former.columns[3:4], generation=shadow.generation)  # stored, read only by whoever asks for it
    assert rows_in(silver, dropped, "gone") == [("x",), (None,), (None,)]


def test_carried_keys_are_replaced_by_later_rows(silver: SilverStore) -> None:
    silver.commit(batch(KEYED, 1, [row(_key="a", n=1), row(_key="b", n=2), row(_key="c", n=3)]))
    shadow = silver.generations.begin(KEYED, 3)
    progress = silver.commit(batch(shadow, 3, [row(_key="a", n=9)], version=2))
    assert progress == Progress(3, Outcome(stored=2, duplicate=1))
    assert rows_in(silver, shadow, "_seq", "n") == [(2, 2), (3, 9)]
    spans = silver.generations.spans(KEYED.pipeline_id, shadow.generation)
    assert [(span.version, span.stored, span.duplicate) for span in spans] == [(1, 1, 1), (2, 1, 0)]


# --- splicing


def spliced(silver: SilverStore) -> Table:
    """Live: ten rows of 'old' and their own dead letter; a shadow from event 3 on: 'new', filtered, dead."""
    silver.commit(batch(PLAIN, 1, [row(device="old", n=n) for n in range(1, 10)] + [dead("range")], day=FIRST_DAY))
    shadow = silver.generations.begin(PLAIN, 3, carry=False)
    events = [row(device="new", n=30), FILTERED, dead("type"), row(device="new", n=60), row(device="new", n=70)]
    silver.commit(batch(shadow, 3, events, version=2, day=FIRST_DAY))
    return shadow


def test_a_range_is_exchanged_and_a_second_time_undoes_it(reopen_silver: Open) -> None:
    silver = reopen_silver()
    shadow = spliced(silver)
    before = silver.generations.checksum(PLAIN), silver.generations.checksum(shadow)
    progress = silver.generations.splice(PLAIN, number(shadow), 3, 6)
    assert progress == silver.progress(ID) == Progress(10, Outcome(stored=7, filtered=1, dead=2))
    silver = reopen_silver()
    assert rows_in(silver, PLAIN, "_seq", "device") == [
        (1, "old"), (2, "old"), (3, "new"), (6, "new"), (7, "old"), (8, "old"), (9, "old"),
    ]  # fmt: skip
    assert rows_in(silver, shadow, "_seq", "device") == [(3, "old"), (4, "old"), (5, "old"), (6, "old"), (7, "new")]
    assert silver.dead_letters(ID, DeadLetterQuery()).column("seq").to_pylist() == [10, 5]
    assert silver.generations.spans(ID) == [
        Span(1, 2, "2026-11-21", 1, 2, 0, 0, 0),
        Span(3, 6, "2026-11-21", 2, 2, 1, 0, 1),
        Span(7, 10, "2026-11-21", 1, 3, 0, 0, 1),
    ]
    for of in (PLAIN, shadow):
        assert silver.recount(of) == silver.progress(ID, of.generation).outcome
    assert silver.progress(ID, shadow.generation) == Progress(7, Outcome(stored=5))
    silver.generations.splice(PLAIN, number(shadow), 3, 6)
    assert (silver.generations.checksum(PLAIN), silver.generations.checksum(shadow)) == before
    assert silver.progress(ID) == Progress(10, Outcome(stored=9, dead=1))
    assert silver.commit(batch(PLAIN, 11, [row(n=11)])).seq == 11


def test_a_range_with_other_columns_is_exchanged_too(silver: SilverStore) -> None:
    silver.commit(batch(PLAIN, 1, [row(device="old", n=n) for n in range(1, 5)]))
    other = table(n=FieldType.FLOAT, unit=FieldType.STRING)
    shadow = silver.generations.begin(other, 2, carry=False)
    silver.commit(batch(shadow, 2, [row(n=2.5, unit="°C"), row(n=3.5, unit="K")], version=3))
    silver.generations.splice(other, number(shadow), 2, 3)
    every = table(device=FieldType.STRING, n=FieldType.FLOAT, unit=FieldType.STRING)
    assert rows_in(silver, every, "device", "n", "unit") == [
        ("old", 1.0, None), (None, 2.5, "°C"), (None, 3.5, "K"), ("old", 4.0, None),
    ]  # fmt: skip
    silver.generations.splice(other, number(shadow), 2, 3)
    assert rows_in(silver, every, "device", "n", "unit") == [("old", float(n), None) for n in range(1, 5)]


@pytest.mark.parametrize(("first", "last"), [(2, 5), (3, 8), (6, 5)])
def test_what_either_does_not_have_cannot_be_exchanged(silver: SilverStore, first: int, last: int) -> None:
    shadow = spliced(silver)
    with pytest.raises(Conflict, match="expected events within 3 to 7"):
        silver.generations.splice(PLAIN, number(shadow), first, last)
    assert len(rows_in(silver, PLAIN, "n")) == 9


def test_rows_with_keys_are_not_exchanged_by_range(silver: SilverStore) -> None:
    silver.commit(batch(KEYED, 1, [row(_key="a", n=1)]))
    shadow = silver.generations.begin(KEYED, carry=False)
    silver.commit(batch(shadow, 1, [row(_key="a", n=1)]))
    with pytest.raises(Conflict, match="its rows have keys"):
        silver.generations.splice(KEYED, number(shadow), 1, 1)
