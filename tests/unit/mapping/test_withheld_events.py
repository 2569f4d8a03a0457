"""Events that are not mapped: withdrawn ones, and those that cannot be read any more."""

import json
from collections.abc import Callable

from appliance.components.arrow import DEAD_SCHEMA
from appliance.domain.event import Frame
from appliance.domain.ledger import Outcome
from appliance.domain.mapping import Mapping
from appliance.mapping import Mapper, compile_mapping
from appliance.mapping.frames import halves

LOST = "the segment 00000001.jsonl.zst is damaged from byte 4,096 on"
GOOD = b'{"a":1}'


def frames() -> list[Frame]:
    return [
        Frame(1, 3, 5_000_000, b'{"a":1}\n{"a":2}\nnull', withdrawn=(1, 3)),
        Frame(4, 2, 6_000_000, b"", damaged=LOST),
        Frame(6, 2, 7_000_000, b'{"a":"x"}\n{"a":7}'),
    ]


def test_withdrawn_events_are_filtered_and_damaged_ones_are_dead(
    mapper: Mapper, document: Callable[..., Mapping]
) -> None:
    compiled = compile_mapping(document(fields=[{"name": "a", "path": "$.a", "type": "integer"}]))
    answer = mapper.run(compiled, frames(), version=9)
    assert answer.rows.select(["_seq", "a"]).to_pylist() == [{"_seq": 2, "a": 2}, {"_seq": 7, "a": 7}]
    assert (answer.first_seq, answer.last_seq) == (1, 7)
    assert answer.outcome == Outcome(stored=2, filtered=2, dead=3)
    assert answer.dead.schema == DEAD_SCHEMA
    told = answer.dead.select(["seq", "item", "reason", "field", "value", "version"]).to_pylist()
    assert [tuple(one.values()) for one in told] == [
        (4, 0, "damaged", None, None, 9),
        (5, 0, "damaged", None, None, 9),
        (6, 0, "type", "a", "x", 9),
    ]
    letter = answer.dead.to_pylist()[1]
    assert letter["message"] == LOST
    assert letter["received_at"].timestamp() == 6
    assert json.loads(letter["problems"]) == [{"reason": "damaged", "field": None, "value": None, "message": LOST}]


def test_a_batch_may_be_damaged_as_a_whole(mapper: Mapper, document: Callable[..., Mapping]) -> None:
    compiled = compile_mapping(document(fields=[{"name": "a", "path": "$.a", "type": "integer"}]))
    answer = mapper.run(compiled, [Frame(10, 100_000, 0, b"", damaged=LOST)])
    assert (answer.rows.num_rows, answer.dead.num_rows, answer.outcome) == (0, 100_000, Outcome(dead=100_000))
    assert answer.dead["seq"].to_pylist()[-1] == answer.last_seq == 100_009


def test_events_may_be_picked_from_here_and_there(mapper: Mapper, document: Callable[..., Mapping]) -> None:
    compiled = compile_mapping(document(fields=[{"name": "a", "path": "$.a", "type": "integer"}]))
    answer = mapper.run(compiled, [Frame(3, 1, 0, GOOD), Frame(90, 2, 0, b'{"a":"x"}\nnull', withdrawn=(91,))])
    assert (answer.outcome, answer.last_seq) == (Outcome(stored=1, filtered=1, dead=1), 91)


def test_exploding_mappings_know_them_too(mapper: Mapper, document: Callable[..., Mapping]) -> None:
    fields = [{"name": "v", "path": "$.list.v", "type": "integer"}]
    compiled = compile_mapping(document(fields=fields, explode="$.list"))
    two = b'{"list":[{"v":1},{"v":2}]}'
    answer = mapper.run(
        compiled, [Frame(1, 2, 0, two + b"\n" + two, withdrawn=(1,)), Frame(3, 1, 0, b"", damaged=LOST)]
    )
    assert answer.rows.select(["_seq", "_item"]).to_pylist() == [{"_seq": 2, "_item": 0}, {"_seq": 2, "_item": 1}]
    assert answer.outcome == Outcome(stored=1, filtered=1, dead=1)


def test_frozen_mappings_leave_the_damage_behind_the_stop(mapper: Mapper, document: Callable[..., Mapping]) -> None:
    fields = [{"name": "a", "path": "$.a", "type": "integer"}]
    compiled = compile_mapping(document(fields=fields, contract="freeze"))
    lost = Frame(2, 1, 0, b"", damaged=LOST)
    answer = mapper.run(
        compiled, [Frame(1, 1, 0, GOOD), lost, Frame(3, 1, 0, b'{"b":1}'), Frame(4, 1, 0, b"", (), LOST)]
    )
    assert (answer.last_seq, answer.outcome) == (2, Outcome(stored=1, dead=1))
    assert answer.dead["seq"].to_pylist() == [2]


def test_a_withdrawn_event_that_mapping_cannot_bear_is_filtered_all_the_same(document: Callable[..., Mapping]) -> None:
    small = Mapper(memory_limit="40MB")
    try:
        compiled = compile_mapping(document(fields=[{"name": "a", "path": "$.a", "type": "string"}]))
        heavy = b'{"a":"' + b"x" * 30_000_000 + b'"}'
        (dead, filtered) = (
            small.run(compiled, [Frame(1, 2, 0, GOOD + b"\n" + heavy, withdrawn=gone)]) for gone in ((), (2,))
        )
    finally:
        small.close()
    assert (dead.outcome, dead.dead["reason"].to_pylist()) == (Outcome(stored=1, dead=1), ["limit"])
    assert (filtered.outcome, filtered.dead.num_rows) == (Outcome(stored=1, filtered=1), 0)


def test_a_frame_that_is_cut_keeps_what_is_known_of_its_events() -> None:
    frame = Frame(1, 4, 0, b"1\n2\n3\n4", withdrawn=(2, 3))
    assert halves([frame]) == (
        [Frame(1, 2, 0, b"1\n2", withdrawn=(2,))],
        [Frame(3, 2, 0, b"3\n4", withdrawn=(3,))],
    )
    (head,), (tail,) = halves([Frame(1, 3, 0, b"", damaged=LOST)])
    assert [(one.first_seq, one.count, one.damaged) for one in (head, tail)] == [(1, 1, LOST), (2, 2, LOST)]
