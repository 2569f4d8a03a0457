"""What every row store promises of upkeep: rows that go with time, events erased, space given back."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from appliance.components.feed import FeedPlace
from appliance.components.letters import LetterCount
from appliance.components.silver import Aggregation, DeadLetterQuery, Measure, Progress, RecordQuery, SilverStore, Table
from appliance.domain.ledger import Outcome
from appliance.domain.rollup import Rollup, RollupMeasure
from appliance.errors import Conflict
from tests.silver_batches import (
    EVERY_TYPE,
    FILTERED,
    KEYED,
    PLAIN,
    START,
    Event,
    amendment,
    batch,
    dead,
    filled,
    row,
    rows_in,
    table,
)

Open = Callable[[], SilverStore]


def after(seconds: int) -> datetime:
    return START + timedelta(seconds=seconds)


def dead_seqs(silver: SilverStore, of: Table = PLAIN) -> list[int]:
    found: list[int] = silver.dead_letters(of.pipeline_id, DeadLetterQuery()).column("seq").to_pylist()
    return found


def spans(silver: SilverStore, of: Table, generation: int | None = None) -> list[tuple[int, ...]]:
    """Return stored, filtered, duplicate, dead, gone of each span."""
    found = silver.generations.spans(of.pipeline_id, generation)
    return [(one.stored, one.filtered, one.duplicate, one.dead, one.gone) for one in found]


# --- trim


def test_a_pipeline_never_seen_has_nothing_to_trim(silver: SilverStore) -> None:
    assert silver.upkeep.trim(table("pl_none"), after(10)) == 0


def test_old_rows_and_dead_letters_go_and_the_ledger_stays(silver: SilverStore) -> None:
    progress = silver.commit(batch(PLAIN, 1, [row(n=1), dead(), FILTERED, row(n=4), dead(), row(n=6)]))
    assert silver.upkeep.trim(PLAIN, after(5)) == 2
    assert rows_in(silver, PLAIN, "n") == [(6,)]
    assert dead_seqs(silver) == [5]
    assert silver.progress(PLAIN.pipeline_id) == progress == Progress(6, Outcome(stored=3, filtered=1, dead=2))
    assert spans(silver, PLAIN) == [(3, 1, 0, 2, 2)]
    assert silver.recount(PLAIN) == progress.outcome
    assert silver.letters.count([PLAIN.pipeline_id]) == {PLAIN.pipeline_id: LetterCount(1, after(5))}


def test_trimming_again_changes_nothing(silver: SilverStore) -> None:
    filled(silver)
    assert [silver.upkeep.trim(PLAIN, after(5)) for _ in range(3)] == [4, 0, 0]
    assert spans(silver, PLAIN) == [(10, 0, 0, 0, 4)]
    assert silver.upkeep.trim(PLAIN, after(7)) == 2
    assert spans(silver, PLAIN) == [(10, 0, 0, 0, 6)]
    assert silver.commit(batch(PLAIN, 11, [row(n=11)])).outcome == Outcome(stored=11)
    assert silver.recount(PLAIN) == Outcome(stored=11)


def test_each_span_knows_how_many_are_gone(silver: SilverStore) -> None:
    filled(silver, 3)
    later = batch(PLAIN, 4, [row(n=4), row(n=5)])
    silver.commit(type(later)(later.table, 2, 4, 5, later.rows, later.dead, later.outcome))
    silver.upkeep.trim(PLAIN, after(5))
    assert spans(silver, PLAIN) == [(3, 0, 0, 0, 3), (2, 0, 0, 0, 1)]


def test_what_readers_downstream_have_not_read_stays(silver: SilverStore) -> None:
    silver.commit(batch(PLAIN, 1, [row(n=1), dead(), row(n=3), dead()]))
    assert silver.upkeep.trim(PLAIN, after(100), up_to=2) == 1
    assert (rows_in(silver, PLAIN, "n"), dead_seqs(silver)) == ([(3,)], [4])
    assert silver.recount(PLAIN) == Outcome(stored=2, dead=2)


def test_an_event_is_gone_with_its_last_row(silver: SilverStore) -> None:
    early, late = {"n": 1, "_time": after(0)}, {"n": 2, "_time": after(100)}
    silver.commit(batch(PLAIN, 1, [Event((early, late)), Event((early, early))]))
    assert silver.upkeep.trim(PLAIN, after(50)) == 3
    assert spans(silver, PLAIN) == [(2, 0, 0, 0, 1)]
    assert silver.recount(PLAIN) == Outcome(stored=2)
    assert silver.upkeep.trim(PLAIN, after(200)) == 1
    assert spans(silver, PLAIN) == [(2, 0, 0, 0, 2)]
    assert silver.recount(PLAIN) == Outcome(stored=2)


@pytest.mark.parametrize("row_first", [True, False])
def test_half_an_event_that_is_dead_goes_whole(silver: SilverStore, row_first: bool) -> None:
    row_at = 0 if row_first else 100  # its letter was received at second 1
    silver.commit(batch(PLAIN, 1, [Event(({"n": 1, "_time": after(row_at)},), ("type",))]))
    for second in (1, 50, 200):
        silver.upkeep.trim(PLAIN, after(second))
        assert silver.recount(PLAIN) == Outcome(dead=1)
        assert spans(silver, PLAIN) == [(0, 0, 0, 1, 0)]
    assert (rows_in(silver, PLAIN, "n"), dead_seqs(silver)) == ([], [])


def test_trimmed_rows_are_not_read_downstream_and_amended_ones_go_with_them(silver: SilverStore) -> None:
    silver.commit(batch(PLAIN, 1, [row(n=1), dead(), row(n=3), FILTERED]))
    silver.letters.amend(amendment(PLAIN, {2: row(n=2)}))
    place = silver.feed.end(PLAIN)
    silver.upkeep.trim(PLAIN, after(3))
    rows, reached = silver.feed.read(PLAIN, FeedPlace(), 10)
    assert (rows.column("n").to_pylist(), reached) == ([3], place)
    with pytest.raises(Conflict, match="what event 2 was before"):
        silver.letters.amend(amendment(PLAIN, {2: row(n=2), 3: dead()}))


def test_what_is_gone_altogether_can_be_amended(silver: SilverStore) -> None:
    silver.commit(batch(PLAIN, 1, [row(n=1), row(n=2)]))
    silver.upkeep.trim(PLAIN, after(2))
    assert silver.letters.amend(amendment(PLAIN, {1: FILTERED})).outcome == Outcome(stored=1, filtered=1)
    assert spans(silver, PLAIN) == [(1, 1, 0, 0, 0)]
    assert silver.recount(PLAIN) == Outcome(stored=1, filtered=1)


def test_rollups_keep_what_they_have_counted(silver: SilverStore) -> None:
    of = Table(
        PLAIN.pipeline_id, PLAIN.columns, rollups=(Rollup(name="m", bucket="1m", measures=[RollupMeasure("count")]),)
    )
    silver.commit(batch(of, 1, [row(n=1), row(n=2), dead()]))
    silver.upkeep.trim(of, after(2))
    silver.letters.amend(amendment(of, {3: row(n=3)}))
    by_minute = Aggregation(measures=(Measure("count", None, "c"),), bucket_us=60_000_000)
    assert silver.aggregate(of, by_minute).column("c").to_pylist() == [3]
    silver.upkeep.erase(of, [3])
    assert silver.aggregate(of, by_minute).column("c").to_pylist() == [2]


# --- erase


def test_everything_of_an_event_is_erased(silver: SilverStore) -> None:
    silver.commit(batch(PLAIN, 1, [row(n=1), Event(({"n": 2},), ("type",)), dead(), FILTERED, row(n=5)]))
    progress = silver.upkeep.erase(PLAIN, [1, 2, 3, 4, 99])
    assert progress == Progress(5, Outcome(stored=1, filtered=4)) == silver.progress(PLAIN.pipeline_id)
    assert (rows_in(silver, PLAIN, "n"), dead_seqs(silver)) == ([(5,)], [])
    assert spans(silver, PLAIN) == [(1, 4, 0, 0, 0)]
    assert silver.upkeep.erase(PLAIN, [1, 2, 3, 4, 99]) == progress
    assert silver.recount(PLAIN) == progress.outcome


def test_erased_events_are_not_handed_on(silver: SilverStore) -> None:
    silver.commit(batch(PLAIN, 1, [dead(), dead()]))
    place = silver.feed.end(PLAIN)
    silver.letters.amend(amendment(PLAIN, {1: row(n=1), 2: row(n=2)}))
    silver.upkeep.erase(PLAIN, [1])
    assert silver.feed.read(PLAIN, place, 10)[0].column("n").to_pylist() == [2]


def test_events_are_erased_from_every_generation(silver: SilverStore) -> None:
    silver.commit(batch(PLAIN, 1, [row(n=1), row(n=2), row(n=3)]))
    shadow = silver.generations.begin(PLAIN)
    silver.commit(batch(shadow, 1, [dead(), row(n=20)]))
    assert silver.upkeep.erase(PLAIN, [1, 3]) == Progress(3, Outcome(stored=1, filtered=2))
    assert silver.progress(PLAIN.pipeline_id, shadow.generation) == Progress(2, Outcome(stored=1, filtered=1))
    assert rows_in(silver, shadow, "n") == [(20,)]
    assert spans(silver, PLAIN, shadow.generation) == [(1, 1, 0, 0, 0)]
    assert silver.recount(shadow) == Outcome(stored=1, filtered=1)


def test_erased_duplicates_count_as_filtered_where_it_is_known_that_they_were(silver: SilverStore) -> None:
    silver.commit(batch(KEYED, 1, [row(_key="a", n=1), row(_key="a", n=2)]))
    assert silver.upkeep.erase(KEYED, [1]).outcome == Outcome(stored=1, filtered=1)
    silver.commit(batch(KEYED, 3, [row(_key="a", n=3), FILTERED]))  # 2 is a duplicate now, 4 is filtered
    assert silver.upkeep.erase(KEYED, [2, 4]).outcome == Outcome(stored=1, filtered=2, duplicate=1)
    assert silver.recount(KEYED) == Outcome(stored=1, filtered=2, duplicate=1)


def test_an_erased_event_that_was_trimmed_is_not_gone_any_more(silver: SilverStore) -> None:
    silver.commit(batch(PLAIN, 1, [row(n=1), row(n=2)]))
    silver.upkeep.trim(PLAIN, after(2))
    assert silver.upkeep.erase(PLAIN, [1]).outcome == Outcome(stored=1, filtered=1)
    assert spans(silver, PLAIN) == [(1, 1, 0, 0, 0)]


# --- size and compact


def test_sizes_are_told_by_pipeline(silver: SilverStore) -> None:
    other = table("pl_other")
    filled(silver, 2000)
    silver.commit(batch(other, 1, [row(n=1)]))
    silver.upkeep.compact()
    size = silver.upkeep.size()
    assert size.pipelines.keys() == {PLAIN.pipeline_id, other.pipeline_id} == size.gold.keys()
    assert 0 < size.pipelines[PLAIN.pipeline_id] <= size.file_bytes
    assert size.free_bytes < size.file_bytes


def test_compacting_keeps_everything(reopen_silver: Open) -> None:
    silver = reopen_silver()
    full = {"string": "ß'", "integer": -(2**63), "float": 1e308, "boolean": False, "json": '{"a":[1]}', "_extra": "{}"}
    silver.commit(batch(EVERY_TYPE, 1, [row(**full), row(), dead(), FILTERED]))
    silver.commit(batch(KEYED, 1, [row(_key=str(n % 7), n=n) for n in range(20)]))
    silver.letters.amend(amendment(EVERY_TYPE, {3: row(string="amended")}))
    shadow = silver.generations.begin(EVERY_TYPE)
    silver.commit(batch(shadow, 1, [row(string="shadow")]))
    digests = [silver.generations.checksum(of) for of in (EVERY_TYPE, KEYED, shadow)]
    before = [silver.records(of, RecordQuery(limit=100)).to_pylist() for of in (EVERY_TYPE, KEYED)]
    ends = [silver.feed.end(of) for of in (EVERY_TYPE, KEYED)]
    silver.upkeep.compact()
    for _ in range(2):
        assert [silver.generations.checksum(of) for of in (EVERY_TYPE, KEYED, shadow)] == digests
        assert [silver.records(of, RecordQuery(limit=100)).to_pylist() for of in (EVERY_TYPE, KEYED)] == before
        assert [silver.feed.end(of) for of in (EVERY_TYPE, KEYED)] == ends
        assert silver.progress(EVERY_TYPE.pipeline_id) == Progress(4, Outcome(stored=3, filtered=1))
        assert silver.recount(KEYED) == silver.progress(KEYED.pipeline_id).outcome
        silver = reopen_silver()
    assert silver.commit(batch(KEYED, 21, [row(_key="0", n=99)])).outcome == Outcome(stored=7, duplicate=14)


def test_a_store_goes_on_after_compacting(reopen_silver: Open) -> None:
    silver = reopen_silver()
    filled(silver)
    for seq in (11, 12, 13):
        silver.upkeep.compact()
        silver.commit(batch(PLAIN, seq, [row(n=seq)]))
    silver.upkeep.erase(PLAIN, [12])
    assert rows_in(reopen_silver(), PLAIN, "n") == [(n,) for n in (*range(1, 12), 13)]
