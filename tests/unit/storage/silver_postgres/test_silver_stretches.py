"""A page read by stretches of time is the page, whatever is asked for and wherever the first stretch begins."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.components.silver import Order, RecordQuery
from appliance.storage.silver_postgres.paging import begun, beyond, bounds, grown, runs, stretches

START = datetime(2026, 1, 1, tzinfo=UTC)
SECONDS = st.integers(-400_000_000, 400_000_000)  # some twelve years around START
TIMES = SECONDS.map(lambda seconds: START + timedelta(seconds=seconds))
MAYBE = st.one_of(st.none(), TIMES)


def answered(rows: list[datetime], query: RecordQuery) -> list[datetime]:
    """Do what the database does: choose, order, and stop."""
    after = query.after[0] if query.after is not None else None
    descending = query.order is Order.DESC
    chosen = [
        time for time in rows
        if (query.start is None or time >= query.start) and (query.end is None or time < query.end)
        and (after is None or (time < after if descending else time > after))
    ]  # fmt: skip
    return sorted(chosen, reverse=descending)[: query.limit]


@given(st.lists(TIMES, max_size=30), MAYBE, MAYBE, MAYBE, MAYBE, st.sampled_from(Order), st.integers(1, 12))
def test_stretches_together_are_the_page(
    rows: list[datetime], start: datetime | None, end: datetime | None, after: datetime | None,
    recent: datetime | None, order: Order, limit: int,
) -> None:  # fmt: skip
    query = RecordQuery(start=start, end=end, order=order, after=(after, 1, 0) if after else None, limit=limit)
    parts = list(stretches(query, recent))
    assert 1 <= len(parts) <= 14
    found: list[datetime] = []
    for part in parts:
        found += answered(rows, part)
    assert found[:limit] == answered(rows, query)


def test_the_newest_rows_are_looked_for_where_they_are() -> None:
    first, second, *_ = stretches(RecordQuery(limit=10), START)
    assert (first.start, first.end) == (START, None)
    assert (second.start, second.end) == (START - timedelta(seconds=1), START)


def test_without_a_bound_all_is_asked_for_at_once() -> None:
    query = RecordQuery(order=Order.ASC)
    assert list(stretches(query, START)) == [query]


@pytest.mark.parametrize(
    ("found", "left", "expected"),
    [
        (0, 10, 80.0),  # nothing yet: eight times as far
        (4, 8, 25.0),  # 10 x 8 / 4, and a quarter more
        (1, 100, 80.0),  # 1250, but never more than eight times
        (50, 4, 1.0),  # 10 x 4 / 50, and a quarter more
    ],
)
def test_a_stretch_is_as_long_as_it_takes(found: int, left: int, expected: float) -> None:
    assert grown(10.0, found, left) == expected


def read(rows: list[datetime], query: RecordQuery) -> tuple[list[datetime], list[RecordQuery]]:
    """Do what who fills a page does; return what is found, and the stretches that it took."""
    found: list[datetime] = []
    parts = []
    for part in stretches(query, START, found.__len__):
        found += answered(rows, part)
        parts.append(part)
        if len(found) >= query.limit:
            break
    return found, parts


def test_stretches_that_find_rows_grow_only_as_far_as_the_others_may_be() -> None:
    """One row in ten seconds, and none before an hour ago."""
    rows = [START - timedelta(seconds=secs) for secs in range(5, 3_600, 10)]
    _, parts = read(rows, RecordQuery(limit=30))
    lengths = [one.end - one.start for one in parts if one.start and one.end]
    # 6 rows in 64 s: the 23 that are left will be found in 64 x 23 / 6, and a quarter more to be on the safe side
    assert lengths == [timedelta(seconds=secs) for secs in (1, 8, 64, 306.666667)]
    found, parts = read(rows, RecordQuery(limit=1_000))  # more than there are: the end is reached nevertheless
    assert (found, len(parts)) == (rows, 12)


@pytest.mark.parametrize("order", Order)
def test_buckets_near_each_other_are_one_stretch(order: Order) -> None:
    minute = timedelta(minutes=1)
    places = [0, 1, 33, 66, 67]  # 32 minutes are read through, 33 are not
    buckets = sorted((START + place * minute for place in places), reverse=order is Order.DESC)
    query = RecordQuery(start=START + timedelta(seconds=30), order=order)
    expected = [(query.start, START + 34 * minute), (START + 66 * minute, START + 68 * minute)]
    found = [(one.start, one.end) for one in runs(query, buckets, minute)]
    assert found == (expected if order is Order.ASC else expected[::-1])


def test_the_first_stretch_is_between_what_must_do_and_what_may_have_to() -> None:
    assert begun(100, [6, 6, 6], exact=True) == 100
    assert begun(100, [4, 4, 1, 7], exact=False) == 200  # sqrt(4) rows for each; one in each is asked for at least
    assert begun(100, [], exact=False) == 100


def test_many_buckets_far_apart_are_a_bounded_number_of_stretches() -> None:
    days = [START + timedelta(days=place) for place in range(100)]
    days[50:] = [day + timedelta(days=7) for day in days[50:]]
    parts = list(runs(RecordQuery(order=Order.ASC), days, timedelta(minutes=1)))
    assert len(parts) == 16
    assert days[50] in [part.start for part in parts]  # the widest gap is one of those that are left out
    assert parts[-1].end == days[-1] + timedelta(minutes=1)


@given(st.lists(TIMES, max_size=30), MAYBE, MAYBE, MAYBE, st.sampled_from(Order), st.integers(1, 12))
def test_stretches_of_buckets_with_rows_are_the_page(
    rows: list[datetime], start: datetime | None, end: datetime | None, after: datetime | None,
    order: Order, limit: int,
) -> None:  # fmt: skip
    hour = timedelta(hours=1)
    query = RecordQuery(start=start, end=end, order=order, after=(after, 1, 0) if after else None, limit=limit)
    between, found = bounds(query), list[datetime]()
    with_rows = sorted({row - (row - START) % hour for row in rows}, reverse=order is Order.DESC)
    while buckets := [
        one for one in with_rows
        if (between[0] is None or one + hour > between[0]) and (between[1] is None or one < between[1])
    ][:3]:  # fmt: skip
        for part in runs(query, buckets, hour):
            found += answered(rows, part)
        between = beyond(query, between, buckets[-1], hour)
    assert found[:limit] == answered(rows, query)
