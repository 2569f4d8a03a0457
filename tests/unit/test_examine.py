"""The ledger by span, judged without a store."""

from appliance.components.generations import Span
from appliance.components.silver import Progress
from appliance.domain.ledger import Outcome
from appliance.examine import unbalanced


def span(first: int, last: int, stored: int, dead: int = 0, gone: int = 0) -> Span:
    return Span(first, last, "2026-11-22", 1, stored, 0, 0, dead, gone)


def test_spans_that_hold() -> None:
    spans = [span(1, 10, stored=9, dead=1, gone=9), span(11, 12, stored=2)]
    assert list(unbalanced(spans, Progress(12, Outcome(stored=11, dead=1)))) == []


def test_nothing_received_yet() -> None:
    assert list(unbalanced([], Progress())) == []


def test_a_hole_is_named() -> None:
    told = list(unbalanced([span(1, 2, 2), span(5, 6, 2)], Progress(6, Outcome(stored=4))))
    assert told == ["events 3 to 4 are in no span"]


def test_a_span_that_does_not_balance_is_named_and_so_is_the_sum() -> None:
    told = list(unbalanced([span(1, 3, stored=2)], Progress(3, Outcome(stored=3))))
    assert len(told) == 2
    assert told[0].startswith("events 1 to 3 of 2026-11-22 do not balance")
    assert told[1].startswith("the spans end at 3 with")


def test_more_rows_gone_than_were_stored() -> None:
    assert len(list(unbalanced([span(1, 3, stored=3, gone=4)], Progress(3, Outcome(stored=3))))) == 1


def test_spans_of_another_partition_are_not_this_ones() -> None:
    base = 52_776_558_133_248  # 3 · 2^44
    spans = [span(1, 7, stored=7), span(base + 1, base + 3, stored=3)]
    assert list(unbalanced(spans, Progress(base + 3, Outcome(stored=3)))) == []
    assert list(unbalanced(spans, Progress(7, Outcome(stored=7)))) == []
    assert list(unbalanced([], Progress(base))) == []
    told = list(unbalanced([span(base + 2, base + 3, stored=2)], Progress(base + 3, Outcome(stored=2))))
    assert told == [f"events {base + 1} to {base + 1} are in no span"]
