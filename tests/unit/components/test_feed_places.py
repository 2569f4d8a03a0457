"""Checkpoints of readers: a place in each partition, and what several nodes have read of one pipeline together."""

import msgspec

from appliance.components.feed import FeedPlace, ReaderCheckpoint, Reading, furthest, readings_in
from appliance.domain.ids import PipelineId

A, B = PipelineId("pl_a"), PipelineId("pl_b")
FIRST, SECOND = 17_592_186_044_416, 35_184_372_088_832  # 2^44, 2 · 2^44: nothing of partition 1, of partition 2


def test_a_place_moves_in_one_partition_and_stays_in_all_others() -> None:
    place = FeedPlace(3, 9).moved(SECOND + 4).moved(FIRST + 2).moved(5)
    assert place == FeedPlace(5, 9, (FIRST + 2, SECOND + 4))
    assert [place.up_to(of) for of in (0, 1, 2, 3)] == [5, FIRST + 2, SECOND + 4, 52_776_558_133_248]
    assert place.events == 11
    assert FeedPlace.at([FIRST, 7], 0) == FeedPlace(7)  # nothing read of partition 1 is no place in it


def test_a_checkpoint_written_before_there_were_partitions_is_one_of_partition_0() -> None:
    known = readings_in({"upstream": {"pl_a": {"place": {"seq": 12, "amendment": 4}, "began": 2}}})
    assert known == {A: Reading(FeedPlace(12, 4), began=2)}
    assert [known[A].has(seq) for seq in (2, 3, 12, 13, FIRST + 1)] == [False, True, True, False, False]


def test_who_begins_now_has_read_nothing_of_before_in_any_partition() -> None:
    began = Reading.beginning_at(FeedPlace(4, 0, (FIRST + 2,)))
    later = msgspec.structs.replace(began, place=FeedPlace(6, 0, (FIRST + 3, SECOND + 1)))
    assert [later.has(seq) for seq in (4, 5, FIRST + 2, FIRST + 3, SECOND + 1)] == [False, True, False, True, True]


def test_what_any_node_has_read_is_read() -> None:
    here = {"upstream": {"pl_a": {"place": {"seq": 3, "beyond": [FIRST + 9]}, "began": 1}, "pl_b": {}}}
    there = {"upstream": {"pl_a": {"place": {"seq": 8, "amendment": 5, "beyond": [FIRST + 2, SECOND + 1]}}}}
    both = furthest(here, [None, there])
    assert readings_in(both) == {A: Reading(FeedPlace(8, 5, (FIRST + 9, SECOND + 1)), began=1), B: Reading()}
    assert furthest(None, [there]) == msgspec.to_builtins(msgspec.convert(there, ReaderCheckpoint))


def test_the_checkpoint_of_another_kind_of_source_stays_this_nodes_own() -> None:
    assert furthest({"cursor": 7}, [{"cursor": 9}, None]) == {"cursor": 7}
    assert furthest(None, [{"cursor": 9}]) is None
