"""A page read by stretches of time is the page, whatever is asked for and wherever the first stretch begins."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from appliance.components.silver import Order, RecordQuery
from appliance.storage.silver_postgres.paging import stretches

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
