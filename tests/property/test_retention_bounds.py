"""What may go: never what somebody still has to read, whatever is asked."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from appliance.domain.pipeline import Retention
from appliance.domain.quantity import format_duration, format_size
from appliance.domain.retention import (
    Bounds,
    Readers,
    bounds,
    compacted_now,
    expirable_up_to,
    trimmable_up_to,
    worth_compacting,
)

seqs = st.integers(0, 1 << 40)
several = st.lists(seqs, max_size=4).map(tuple)
firsts = st.lists(st.integers(1, 1 << 40), max_size=3).map(tuple)
readers = st.builds(Readers, refined=seqs, others=several, waiting=firsts, downstream=several)
ages = st.integers(0, 1000).map(lambda days: format_duration(timedelta(days=days)))
sizes = st.integers(0, 1 << 50).map(format_size)
retentions = st.builds(
    Retention,
    bronze=st.none() | ages | st.just("forever"),
    silver=st.none() | ages | st.just("forever"),
    bronze_size=st.none() | sizes | st.just("forever"),
)


@given(readers)
def test_no_event_goes_that_is_not_refined_not_read_or_needed_by_a_replay(given_readers: Readers) -> None:
    last = expirable_up_to(given_readers)
    assert last <= given_readers.refined
    assert all(last <= read for read in given_readers.others + given_readers.downstream)
    assert all(last < first for first in given_readers.waiting)
    assert last >= 0


@given(readers)
def test_no_row_goes_that_a_downstream_pipeline_has_not_read(given_readers: Readers) -> None:
    last = trimmable_up_to(given_readers)
    assert all(last <= read for read in (given_readers.refined, *given_readers.downstream))
    assert expirable_up_to(given_readers) <= last or last == 0


@given(readers, seqs)
def test_one_more_reader_never_lets_more_go(given_readers: Readers, read: int) -> None:
    more = Readers(
        refined=given_readers.refined,
        others=given_readers.others,
        waiting=given_readers.waiting,
        downstream=(*given_readers.downstream, read),
    )
    assert expirable_up_to(more) <= expirable_up_to(given_readers)
    assert trimmable_up_to(more) <= trimmable_up_to(given_readers)


@given(retentions, retentions)
def test_what_a_pipeline_says_counts_and_else_what_its_organisation_says(own: Retention, default: Retention) -> None:
    both, alone, other = bounds(own, default), bounds(own, Retention()), bounds(Retention(), default)
    assert both.bronze_age == (alone.bronze_age if own.bronze else other.bronze_age)
    assert both.silver_age == (alone.silver_age if own.silver else other.silver_age)
    assert both.bronze_bytes == (alone.bronze_bytes if own.bronze_size else other.bronze_bytes)


def test_forever_overrides_a_default() -> None:
    default = Retention(bronze="30d", silver="7d", bronze_size="1 GiB")
    own = Retention(bronze="forever", bronze_size="2 GiB")
    assert bounds(own, default) == Bounds(bronze_bytes=2 << 30, silver_age=timedelta(days=7))


@given(st.integers(0, 1 << 40), st.floats(0, 1), st.booleans())
def test_a_file_without_free_blocks_is_never_compacted(file_bytes: int, above: float, pressing: bool) -> None:
    assert not worth_compacting(file_bytes, 0, above, pressing=pressing)


def test_what_is_worth_compacting() -> None:
    gib = 1 << 30
    assert worth_compacting(gib, gib // 2, 0.3, pressing=False)
    assert not worth_compacting(gib, gib // 5, 0.3, pressing=False)
    assert worth_compacting(gib, gib // 5, 0.3, pressing=True)
    assert not worth_compacting(64 << 20, 32 << 20, 0.3, pressing=False)


def test_it_waits_for_a_quiet_moment_for_a_day_at_most() -> None:
    assert compacted_now(timedelta(), quiet=True, pressing=False)
    assert not compacted_now(timedelta(hours=23), quiet=False, pressing=False)
    assert compacted_now(timedelta(days=1), quiet=False, pressing=False)
    assert compacted_now(timedelta(), quiet=False, pressing=True)
