"""What every row store promises of dead letters as objects: causes, choosing, counting, amending."""

from datetime import timedelta

import pytest

from appliance.components.letters import LetterCount, LetterFilter, LetterGroup
from appliance.components.silver import DeadLetterQuery, Progress, SilverStore
from appliance.domain.ids import PipelineId
from appliance.domain.ledger import Outcome
from appliance.domain.mapping import FieldType
from appliance.errors import Conflict, FatalError
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
    row,
    rows_in,
    table,
)

ANY = LetterFilter()


def letters_of(silver: SilverStore) -> list[int]:
    found: list[int] = silver.dead_letters(PLAIN.pipeline_id, DeadLetterQuery()).column("seq").to_pylist()
    return found


# --- choosing


def test_a_pipeline_never_seen_has_no_dead_letters(silver: SilverStore) -> None:
    unseen = PipelineId("pl_none")
    assert silver.letters.groups(unseen, ANY) == []
    assert silver.letters.seqs(unseen, ANY, 0, 10) == []
    assert silver.letters.count([unseen]) == {unseen: LetterCount(0, None)}


def test_causes_come_with_most_events_first(silver: SilverStore) -> None:
    silver.commit(batch(PLAIN, 1, [dead("range"), dead("type"), row(n=1), Event((), ("type", "type")), dead("type")]))
    assert silver.letters.groups(PLAIN.pipeline_id, ANY) == [
        LetterGroup(
            "type", "n", 3, START + timedelta(seconds=2), START + timedelta(seconds=5), 2, 5,
            "expected an integer, got 'abc'",
        ),
        LetterGroup(
            "range", "n", 1, START + timedelta(seconds=1), START + timedelta(seconds=1), 1, 1,
            "expected an integer, got 'abc'",
        ),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        (ANY, [1, 2, 4, 5]),
        (LetterFilter(reason="type"), [2, 4, 5]),
        (LetterFilter(reason="type", field="other"), []),
        (LetterFilter(message="expected an integer, got 'abc'"), [1, 2, 4, 5]),
        (LetterFilter(message="expected an integer"), []),
        (LetterFilter(version=1, first_seq=2, last_seq=4), [2, 4]),
        (LetterFilter(version=2), []),
        (LetterFilter(received_from=START + timedelta(seconds=2), received_to=START + timedelta(seconds=5)), [2, 4]),
        (LetterFilter(seqs=(1, 3, 5, 99)), [1, 5]),
        (LetterFilter(reason="range", seqs=(1, 5)), [1]),
    ],
)
def test_events_are_chosen_by_what_is_known_of_them(
    silver: SilverStore, chosen: LetterFilter, expected: list[int]
) -> None:
    silver.commit(batch(PLAIN, 1, [dead("range"), dead("type"), row(n=1), Event((), ("type", "type")), dead("type")]))
    assert silver.letters.seqs(PLAIN.pipeline_id, chosen, 0, 10) == expected
    assert sum(group.events for group in silver.letters.groups(PLAIN.pipeline_id, chosen)) == len(expected)


def test_events_come_page_by_page(silver: SilverStore) -> None:
    silver.commit(batch(PLAIN, 1, [dead() for _ in range(5)]))
    assert silver.letters.seqs(PLAIN.pipeline_id, ANY, 0, 2) == [1, 2]
    assert silver.letters.seqs(PLAIN.pipeline_id, ANY, 2, 2) == [3, 4]
    assert silver.letters.seqs(PLAIN.pipeline_id, ANY, 4, 2) == [5]


def test_the_count_knows_the_oldest(silver: SilverStore) -> None:
    other = table("pl_other")
    silver.commit(batch(PLAIN, 1, [row(n=1), Event((), ("type", "range")), dead()]))
    silver.commit(batch(other, 1, [row(n=1)]))
    assert silver.letters.count([PLAIN.pipeline_id, other.pipeline_id]) == {
        PLAIN.pipeline_id: LetterCount(2, START + timedelta(seconds=2)),
        other.pipeline_id: LetterCount(0, None),
    }


# --- amending


def test_events_are_amended_in_place(silver: SilverStore) -> None:
    silver.commit(batch(PLAIN, 1, [row(device="a", n=1), dead(), dead(), dead("range"), row(device="e", n=5)]))
    again = amendment(PLAIN, {2: row(device="b", n=2), 3: FILTERED, 4: dead("type")})
    progress = silver.letters.amend(again)
    assert progress == Progress(5, Outcome(stored=3, filtered=1, dead=1)) == silver.progress(PLAIN.pipeline_id)
    assert rows_in(silver, PLAIN, "_seq", "device", "n") == [(1, "a", 1), (2, "b", 2), (5, "e", 5)]
    assert [(one.reason, one.events) for one in silver.letters.groups(PLAIN.pipeline_id, ANY)] == [("type", 1)]
    assert silver.letters.count([PLAIN.pipeline_id])[PLAIN.pipeline_id].events == 1
    assert silver.recount(PLAIN) == progress.outcome


def test_amending_again_changes_nothing(silver: SilverStore) -> None:
    silver.commit(batch(PLAIN, 1, [dead(), dead(), dead(), row(n=4)]))
    again = amendment(PLAIN, {1: Event(({"n": 1}, {"n": 11})), 2: FILTERED, 3: dead()})
    first = silver.letters.amend(again)
    before, end = rows_in(silver, PLAIN, "_seq", "_item", "n"), silver.feed.end(PLAIN)
    assert silver.letters.amend(again) == first == Progress(4, Outcome(stored=2, filtered=1, dead=1))
    assert rows_in(silver, PLAIN, "_seq", "_item", "n") == before == [(1, 0, 1), (1, 1, 11), (4, 0, 4)]
    assert silver.feed.end(PLAIN) == end
    assert letters_of(silver) == [3]
    assert silver.recount(PLAIN) == first.outcome


def test_what_was_amended_may_be_amended_otherwise(silver: SilverStore) -> None:
    silver.commit(batch(PLAIN, 1, [dead(), row(n=2)]))
    silver.letters.amend(amendment(PLAIN, {1: Event(({"n": 1}, {"n": 11}))}))
    assert silver.letters.amend(amendment(PLAIN, {1: FILTERED})).outcome == Outcome(stored=1, filtered=1)
    assert silver.letters.amend(amendment(PLAIN, {1: row(n=9)})).outcome == Outcome(stored=2)
    assert silver.letters.amend(amendment(PLAIN, {1: dead(), 2: dead()})).outcome == Outcome(dead=2)
    assert rows_in(silver, PLAIN, "n") == []
    assert silver.recount(PLAIN) == Outcome(dead=2)


def test_the_dead_half_of_an_event_joins_the_other(silver: SilverStore) -> None:
    silver.commit(batch(PLAIN, 1, [Event(({"n": 1},), ("type",))]))
    progress = silver.letters.amend(amendment(PLAIN, {1: Event(({"n": 1}, {"n": 2}))}))
    assert progress == Progress(1, Outcome(stored=1))
    assert rows_in(silver, PLAIN, "_seq", "_item", "n") == [(1, 0, 1), (1, 1, 2)]


def test_the_span_that_holds_an_event_keeps_it(silver: SilverStore) -> None:
    silver.commit(batch(PLAIN, 1, [dead(), row(n=2)]))
    silver.letters.amend(amendment(PLAIN, {1: row(n=1)}))
    (span,) = silver.generations.spans(PLAIN.pipeline_id)
    assert (span.first_seq, span.last_seq, span.version, span.stored, span.dead) == (1, 2, 1, 2, 0)


def test_a_later_event_with_the_same_key_wins_over_an_amended_one(silver: SilverStore) -> None:
    silver.commit(batch(KEYED, 1, [row(_key="a", n=1), dead(), row(_key="b", n=3), row(_key="c", n=4)]))
    again = amendment(KEYED, {2: Event(({"_key": "a", "n": 20}, {"_key": "b", "n": 21}))})
    progress = silver.letters.amend(again)
    assert progress == Progress(4, Outcome(stored=3, duplicate=1))  # a of 1 is replaced, b of 2 loses against 3
    assert rows_in(silver, KEYED, "_seq", "_item", "n") == [(2, 0, 20), (3, 0, 3), (4, 0, 4)]
    assert silver.letters.amend(again) == progress
    assert silver.recount(KEYED) == progress.outcome


def test_an_amended_event_that_loses_all_its_rows_is_a_duplicate(silver: SilverStore) -> None:
    silver.commit(batch(KEYED, 1, [dead(), row(_key="a", n=2)]))
    again = amendment(KEYED, {1: row(_key="a", n=1)})
    for _ in range(2):
        assert silver.letters.amend(again).outcome == Outcome(stored=1, duplicate=1)
        assert rows_in(silver, KEYED, "n") == [(2,)]
    assert silver.letters.amend(amendment(KEYED, {1: row(_key="b", n=1)})).outcome == Outcome(stored=2)
    assert silver.recount(KEYED) == Outcome(stored=2)


def test_what_amended_events_became_is_remembered_where_nothing_else_tells(silver: SilverStore) -> None:
    silver.commit(batch(KEYED, 1, [dead(), dead(), FILTERED, row(_key="a", n=4), row(_key="b", n=5), row(_key="b")]))
    again = amendment(KEYED, {1: row(_key="a", n=1), 2: FILTERED})
    for _ in range(2):
        assert silver.letters.amend(again).outcome == Outcome(stored=2, filtered=2, duplicate=2)
    otherwise = amendment(KEYED, {1: FILTERED, 2: row(_key="b", n=2)})
    assert silver.letters.amend(otherwise).outcome == Outcome(stored=2, filtered=2, duplicate=2)
    assert silver.upkeep.erase(KEYED, [1, 2]).outcome == Outcome(stored=2, filtered=3, duplicate=1)
    assert silver.recount(KEYED) == Outcome(stored=2, filtered=3, duplicate=1)


def test_within_an_amendment_the_last_of_a_key_wins_too(silver: SilverStore) -> None:
    silver.commit(batch(KEYED, 1, [dead(), dead(), dead()]))
    again = amendment(KEYED, {1: row(_key="a", n=1), 2: row(_key="a", n=2), 3: Event(({"n": 3}, {"n": 4}))})
    assert silver.letters.amend(again).outcome == Outcome(stored=2, duplicate=1)
    assert rows_in(silver, KEYED, "n") == [(2,), (3,), (4,)]  # a key that is null equals nothing


def test_a_later_commit_supersedes_what_was_amended(silver: SilverStore) -> None:
    silver.commit(batch(KEYED, 1, [dead()]))
    silver.letters.amend(amendment(KEYED, {1: row(_key="a", n=1)}))
    assert silver.commit(batch(KEYED, 2, [row(_key="a", n=2)])).outcome == Outcome(stored=1, duplicate=1)
    assert silver.letters.amend(amendment(KEYED, {1: row(_key="a", n=1)})).outcome == Outcome(stored=1, duplicate=1)
    assert rows_in(silver, KEYED, "n") == [(2,)]


def test_every_type_is_compared_with_itself(silver: SilverStore) -> None:
    full = Event(({"string": "a", "float": float("nan"), "json": '{"a": 1}', "_extra": '{"b":2}', "timestamp": START},))
    silver.commit(batch(EVERY_TYPE, 1, [dead()]))
    silver.letters.amend(amendment(EVERY_TYPE, {1: full}))
    end = silver.feed.end(EVERY_TYPE)
    silver.letters.amend(amendment(EVERY_TYPE, {1: full}))
    assert silver.feed.end(EVERY_TYPE) == end
    silver.letters.amend(amendment(EVERY_TYPE, {1: Event(({**full.rows[0], "_extra": '{"b":3}'},))}))
    assert silver.feed.end(EVERY_TYPE) != end


@pytest.mark.parametrize("keyed", [False, True])
def test_a_version_with_more_and_wider_columns_amends_rows_of_the_former(silver: SilverStore, keyed: bool) -> None:
    before = table("pl_wider", keyed=keyed, device=FieldType.STRING, n=FieldType.INTEGER)
    after = table("pl_wider", keyed=keyed, device=FieldType.STRING, n=FieldType.STRING, added=FieldType.FLOAT)
    silver.commit(batch(before, 1, [row(_key="a", device="a", n=1), dead(), dead()]))
    place = silver.feed.end(before)
    again = amendment(after, {1: row(_key="a", device="a", n="1"), 2: row(_key="b", device="b", n="two", added=2.5)})
    assert silver.letters.amend(again).outcome == Outcome(stored=2, dead=1)
    assert rows_in(silver, after, "device", "n", "added") == [("a", "1", None), ("b", "two", 2.5)]
    assert silver.feed.read(after, place, 10)[0].column("_seq").to_pylist() == [2]  # the other reads as it did


def test_events_not_refined_yet_are_refused(silver: SilverStore) -> None:
    silver.commit(batch(PLAIN, 1, [dead(), dead()]))
    with pytest.raises(Conflict, match="event 3 is not refined yet, 2 is"):
        silver.letters.amend(amendment(PLAIN, {2: row(n=2), 3: row(n=3)}))
    with pytest.raises(Conflict, match="not refined yet"):
        silver.letters.amend(amendment(table("pl_new"), {1: row(n=1)}))
    assert silver.progress(PLAIN.pipeline_id) == Progress(2, Outcome(dead=2))
    assert rows_in(silver, PLAIN, "n") == []


def test_what_an_event_was_must_be_known(silver: SilverStore) -> None:
    silver.commit(batch(KEYED, 1, [FILTERED, row(_key="a", n=2), row(_key="a", n=3), dead()]))
    before = silver.progress(KEYED.pipeline_id)
    for unknown in (1, 2):  # the one is filtered, the other duplicate: neither has left anything
        with pytest.raises(Conflict, match=f"what event {unknown} was before"):
            silver.letters.amend(amendment(KEYED, {unknown: row(n=1), 4: row(n=4)}))
    assert silver.progress(KEYED.pipeline_id) == before
    assert rows_in(silver, KEYED, "n") == [(3,)]


def test_where_only_one_explanation_is_left_it_is_taken(silver: SilverStore) -> None:
    silver.commit(batch(PLAIN, 1, [FILTERED, row(n=2)]))
    assert silver.letters.amend(amendment(PLAIN, {1: row(n=1)})).outcome == Outcome(stored=2)


def test_rows_of_events_not_named_are_a_fault(silver: SilverStore) -> None:
    silver.commit(batch(PLAIN, 1, [dead(), dead()]))
    wrong = amendment(PLAIN, {1: row(n=1), 2: row(n=2)})
    with pytest.raises(FatalError, match="got some of others"):
        silver.letters.amend(type(wrong)(wrong.table, wrong.version, [1], wrong.rows, wrong.dead))
    assert silver.progress(PLAIN.pipeline_id) == Progress(2, Outcome(dead=2))


def test_nothing_to_amend(silver: SilverStore) -> None:
    silver.commit(batch(PLAIN, 1, [dead(), row(n=2)]))
    nothing = amendment(PLAIN, {1: row(n=1)})
    empty = type(nothing)(PLAIN, 2, [], nothing.rows.slice(0, 0), nothing.dead)
    assert silver.letters.amend(empty) == Progress(2, Outcome(stored=1, dead=1))
