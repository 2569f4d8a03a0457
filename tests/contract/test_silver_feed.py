"""What every row store promises readers with a checkpoint of their own: each row once, in the order of events."""

from collections.abc import Callable

import pytest

from appliance.components.feed import FeedPlace
from appliance.components.silver import SilverStore, Table
from appliance.domain.ids import PipelineId
from tests.silver_batches import FILTERED, KEYED, PLAIN, Event, amendment, batch, dead, filled, row, table

Open = Callable[[], SilverStore]
START_OF_ALL = FeedPlace()


def drained(silver: SilverStore, of: Table, place: FeedPlace, limit: int = 3) -> tuple[list[int], FeedPlace]:
    """Read until nothing moves; return ``n`` of the rows, and the place."""
    seen: list[int] = []
    while True:
        rows, after = silver.feed.read(of, place, limit)
        seen += rows.column("n").to_pylist()
        if after == place:
            return seen, place
        place = after


def test_a_pipeline_never_seen_has_nothing_to_read(silver: SilverStore) -> None:
    unseen = table("pl_none")
    rows, place = silver.feed.read(unseen, START_OF_ALL, 10)
    assert (rows.num_rows, place) == (0, START_OF_ALL)
    assert rows.column_names == ["_time", "_seq", "_item", "_extra", "device", "n"]
    assert silver.feed.end(unseen) == START_OF_ALL


@pytest.mark.parametrize("limit", [1, 3, 10, 1000])
def test_every_row_is_read_once_in_order(silver: SilverStore, limit: int) -> None:
    filled(silver)
    seen, place = drained(silver, PLAIN, START_OF_ALL, limit)
    assert seen == list(range(1, 11))
    silver.commit(batch(PLAIN, 11, [row(n=11), FILTERED, dead(), row(n=14)]))
    assert drained(silver, PLAIN, place, limit)[0] == [11, 14]


def test_rows_are_those_of_records_with_their_types(silver: SilverStore) -> None:
    filled(silver, 2)
    rows, _ = silver.feed.read(PLAIN, START_OF_ALL, 10)
    assert rows.column_names == ["_time", "_seq", "_item", "_extra", "device", "n"]
    assert {name: str(rows.schema.field(name).type) for name in ("_time", "_seq", "_item", "n")} == {
        "_time": "timestamp[us, tz=UTC]", "_seq": "int64", "_item": "int32", "n": "int64",
    }  # fmt: skip


def test_an_event_is_read_whole(silver: SilverStore) -> None:
    triple = [Event(({"n": 3 * n}, {"n": 3 * n + 1}, {"n": 3 * n + 2})) for n in range(3)]
    silver.commit(batch(PLAIN, 1, triple))
    rows, place = silver.feed.read(PLAIN, START_OF_ALL, 4)
    assert rows.column("n").to_pylist() == [0, 1, 2, 3, 4, 5]
    assert place.seq == 2
    rows, place = silver.feed.read(PLAIN, place, 1)
    assert (rows.column("_item").to_pylist(), place.seq) == ([0, 1, 2], 3)


def test_a_place_moves_over_events_without_rows(silver: SilverStore) -> None:
    silver.commit(batch(PLAIN, 1, [FILTERED, dead(), FILTERED]))
    rows, place = silver.feed.read(PLAIN, START_OF_ALL, 10)
    assert (rows.num_rows, place) == (0, FeedPlace(3)) == (0, silver.feed.end(PLAIN))


def test_who_starts_at_the_end_reads_what_comes(silver: SilverStore) -> None:
    silver.commit(batch(PLAIN, 1, [row(n=1), dead()]))
    silver.letters.amend(amendment(PLAIN, {2: row(n=2)}))
    end = silver.feed.end(PLAIN)
    assert silver.feed.read(PLAIN, end, 10)[0].num_rows == 0
    silver.commit(batch(PLAIN, 3, [row(n=3)]))
    assert drained(silver, PLAIN, end)[0] == [3]


def test_amended_rows_are_handed_on_once(silver: SilverStore) -> None:
    silver.commit(batch(PLAIN, 1, [row(n=1), dead(), dead(), row(n=4)]))
    _, place = drained(silver, PLAIN, START_OF_ALL)
    silver.letters.amend(amendment(PLAIN, {2: row(n=2), 3: Event(({"n": 3}, {"n": 33}))}))
    rows, after = silver.feed.read(PLAIN, place, 10)
    assert [(one["_seq"], one["_item"], one["n"]) for one in rows.to_pylist()] == [(2, 0, 2), (3, 0, 3), (3, 1, 33)]
    assert drained(silver, PLAIN, after) == ([], after)
    silver.letters.amend(amendment(PLAIN, {2: row(n=2), 3: Event(({"n": 3}, {"n": 33}))}))
    assert drained(silver, PLAIN, after) == ([], after)


@pytest.mark.parametrize("limit", [1, 2, 100])
def test_a_reader_that_was_behind_reads_amended_events_in_their_turn(silver: SilverStore, limit: int) -> None:
    silver.commit(batch(PLAIN, 1, [row(n=1), dead(), row(n=3), dead(), row(n=5)]))
    _, place = silver.feed.read(PLAIN, START_OF_ALL, 2)
    assert place.seq == 3
    silver.letters.amend(amendment(PLAIN, {2: row(n=2), 4: row(n=4)}))
    assert drained(silver, PLAIN, place, limit)[0] == [2, 4, 5]
    assert drained(silver, PLAIN, START_OF_ALL, limit)[0] == [1, 2, 3, 4, 5]


def test_a_long_amendment_is_read_in_parts(silver: SilverStore) -> None:
    silver.commit(batch(PLAIN, 1, [dead() for _ in range(10)]))
    _, place = drained(silver, PLAIN, START_OF_ALL)
    silver.letters.amend(amendment(PLAIN, {seq: row(n=seq) for seq in range(1, 8)}))
    silver.letters.amend(amendment(PLAIN, {seq: row(n=seq * 10) for seq in (2, 9)}))
    silver.commit(batch(PLAIN, 11, [row(n=11)]))
    rows, after = silver.feed.read(PLAIN, place, 4)
    assert rows.column("n").to_pylist() == [1, 3, 4, 5]
    assert after.seq == 10
    rows, after = silver.feed.read(PLAIN, after, 100)
    assert rows.column("n").to_pylist() == [20, 6, 7, 90, 11]
    assert drained(silver, PLAIN, after) == ([], after)


def test_a_row_amended_twice_is_read_as_it_is_now(silver: SilverStore) -> None:
    silver.commit(batch(PLAIN, 1, [dead(), dead()]))
    _, place = drained(silver, PLAIN, START_OF_ALL)
    silver.letters.amend(amendment(PLAIN, {1: row(n=1), 2: row(n=2)}))
    rows, between = silver.feed.read(PLAIN, place, 1)
    assert rows.column("n").to_pylist() == [1]
    silver.letters.amend(amendment(PLAIN, {1: row(n=100), 2: FILTERED}))
    assert drained(silver, PLAIN, place)[0] == [100]
    assert drained(silver, PLAIN, between)[0] == [100]  # its other row is gone


def test_rows_superseded_before_they_were_read_are_not_handed_out(silver: SilverStore) -> None:
    silver.commit(batch(KEYED, 1, [row(_key="a", n=1), row(_key="b", n=2)]))
    silver.commit(batch(KEYED, 3, [row(_key="a", n=3)]))
    seen, place = drained(silver, KEYED, START_OF_ALL)
    assert seen == [2, 3]
    silver.commit(batch(KEYED, 4, [row(_key="b", n=4), dead()]))
    silver.letters.amend(amendment(KEYED, {5: row(_key="a", n=5)}))
    assert drained(silver, KEYED, place)[0] == [4, 5]


def test_an_unchanged_row_of_an_amended_event_is_not_handed_out_again(silver: SilverStore) -> None:
    silver.commit(batch(PLAIN, 1, [Event(({"n": 1},), ("type",))]))
    seen, place = drained(silver, PLAIN, START_OF_ALL)
    silver.letters.amend(amendment(PLAIN, {1: Event(({"n": 1}, {"n": 2}))}))
    assert (seen, drained(silver, PLAIN, place)[0]) == ([1], [2])


def test_a_place_outlives_closing_and_the_pipelines_next_to_it(reopen_silver: Open) -> None:
    silver, other = reopen_silver(), table("pl_other")
    for each in (PLAIN, other):
        silver.commit(batch(each, 1, [row(n=1), dead()]))
        silver.letters.amend(amendment(each, {2: row(n=2)}))
    place = silver.feed.end(PLAIN)
    silver.drop(other.pipeline_id)
    silver = reopen_silver()
    assert silver.feed.end(PLAIN) == place
    assert silver.feed.end(other) == START_OF_ALL
    assert silver.feed.read(PLAIN, place, 10)[1] == place
    assert drained(silver, PLAIN, FeedPlace(2, 0))[0] == [2]


def test_a_place_outlives_a_swap(silver: SilverStore) -> None:
    silver.commit(batch(PLAIN, 1, [row(n=1), row(n=2), dead()]))
    silver.letters.amend(amendment(PLAIN, {3: row(n=3)}))
    seen, place = drained(silver, PLAIN, START_OF_ALL)
    shadow = silver.generations.begin(PLAIN)
    silver.commit(batch(shadow, 1, [row(n=10), row(n=20), row(n=30), row(n=40)]))
    assert shadow.generation is not None
    silver.generations.swap(PLAIN.pipeline_id, shadow.generation)
    assert (seen, drained(silver, PLAIN, place)[0]) == ([1, 2, 3], [40])


def test_an_amendment_not_read_before_a_swap_is_read_after_it(silver: SilverStore) -> None:
    silver.commit(batch(PLAIN, 1, [row(n=1), dead()]))
    _, place = drained(silver, PLAIN, START_OF_ALL)
    shadow = silver.generations.begin(PLAIN)
    silver.letters.amend(amendment(PLAIN, {2: row(n=2)}))
    silver.commit(batch(shadow, 1, [row(n=10), row(n=20)]))
    assert shadow.generation is not None
    silver.generations.swap(PLAIN.pipeline_id, shadow.generation)
    assert drained(silver, PLAIN, place)[0] == [20]


def test_after_an_undo_nothing_is_handed_out_again(silver: SilverStore) -> None:
    silver.commit(batch(PLAIN, 1, [row(n=1)]))
    shadow = silver.generations.begin(PLAIN)
    silver.commit(batch(shadow, 1, [row(n=10), row(n=20)]))
    assert shadow.generation is not None
    former = silver.generations.swap(PLAIN.pipeline_id, shadow.generation)
    seen, place = drained(silver, PLAIN, START_OF_ALL)
    silver.generations.swap(PipelineId("pl_test"), former)
    silver.commit(batch(PLAIN, 2, [row(n=2), row(n=3)]))
    assert (seen, place.seq, drained(silver, PLAIN, place)[0]) == ([10, 20], 2, [3])


@pytest.mark.parametrize("limit", [1, 3, 1000])
def test_rows_are_handed_out_again_when_asked(silver: SilverStore, limit: int) -> None:
    filled(silver)
    behind = drained(silver, PLAIN, START_OF_ALL, 1000)[1]
    midway = FeedPlace(4, 0)
    assert silver.feed.again(PLAIN, 3, 6) == 4
    assert drained(silver, PLAIN, behind, limit)[0] == [3, 4, 5, 6]
    assert drained(silver, PLAIN, midway, limit)[0] == [3, 4, 5, 6, 7, 8, 9, 10]  # those not read yet come once
    assert drained(silver, PLAIN, START_OF_ALL, limit)[0] == list(range(1, 11))
    silver.commit(batch(PLAIN, 11, [row(n=11)]))
    assert drained(silver, PLAIN, silver.feed.end(PLAIN), limit)[0] == []
