"""Outward numbers carry the partition, whatever it is, and lose nothing on the way."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.domain.partition import (
    ALONE,
    MOST_LOCAL,
    Partition,
    base_of,
    bounds_of,
    local_of,
    partition,
    partition_of,
    shifted,
    spoken,
    understood,
)

PARTITIONS = st.integers(0, 255).map(Partition)
LOCALS = st.integers(0, 17_592_186_044_415)  # 2^44 - 1


@given(PARTITIONS, LOCALS)
def test_a_number_is_taken_apart_into_what_it_was_made_of(number: Partition, local: int) -> None:
    seq = shifted(number, local)
    assert (partition_of(seq), local_of(seq)) == (number, local)
    assert seq == number * 17_592_186_044_416 + local  # 2^44


@given(PARTITIONS, LOCALS, PARTITIONS, LOCALS)
def test_numbers_are_in_order_of_partition_then_local(
    one: Partition, first: int, other: Partition, second: int
) -> None:
    assert (shifted(one, first) < shifted(other, second)) == ((one, first) < (other, second))


@given(LOCALS)
def test_alone_nothing_changes(local: int) -> None:
    assert (shifted(ALONE, local), local_of(local), partition_of(local)) == (local, local, 0)


@given(PARTITIONS, LOCALS)
def test_a_number_is_exact_as_a_double(number: Partition, local: int) -> None:
    seq = shifted(number, local)
    assert int(float(seq)) == seq < 2**53
    assert json.loads(json.dumps(seq), parse_int=float) == seq


@given(st.integers())
def test_what_is_no_number_is_refused(seq: int) -> None:
    if 0 <= seq < 256 * 17_592_186_044_416:
        assert shifted(partition_of(seq), local_of(seq)) == seq
        return
    for take in (partition_of, local_of):
        with pytest.raises(ValueError, match="not the number of an event"):
            take(seq)


@given(st.integers(), st.integers())
def test_what_is_out_of_bounds_is_refused(number: int, local: int) -> None:
    if 0 <= number <= 255 and 0 <= local <= 17_592_186_044_415:
        assert base_of(partition(number)) <= shifted(partition(number), local)
        return
    with pytest.raises(ValueError, match="not"):
        shifted(Partition(number), local)


def test_bounds() -> None:
    assert bounds_of(ALONE) == (1, MOST_LOCAL)
    assert bounds_of(Partition(3)) == (52_776_558_133_249, 70_368_744_177_663)  # 3 · 2^44 + 1, 4 · 2^44 - 1
    assert base_of(Partition(3)) == 52_776_558_133_248
    with pytest.raises(ValueError, match="from 0 to 255, not 256"):
        partition(256)


@given(PARTITIONS, LOCALS.filter(bool))
def test_what_people_say_is_understood(number: Partition, local: int) -> None:
    seq = shifted(number, local)
    assert understood(spoken(seq)) == understood(f" {number}:{local:,} ") == understood(str(seq)) == seq


def test_numbers_are_said_with_their_partition_unless_it_is_the_first() -> None:
    two = 35_184_372_088_832  # 2 · 2^44
    assert [spoken(seq) for seq in (0, 42, two + 42, two, 255 * two // 2 + 1)] == ["0", "42", "2:42", "2:0", "255:1"]
    assert spoken(256 * two // 2) == "4503599627370496"  # no event's, and shown as it is
    assert understood("2:1,234") == two + 1_234


@pytest.mark.parametrize(
    "text", ["", "0", "1:0", "256:1", "-1", "1:", ":1", "1:2:3", "x", "1.5", "1:17592186044416", "4503599627370496"]
)
def test_what_is_no_number_of_an_event_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="written as 42, or 1:42 in partition 1"):
        understood(text)
