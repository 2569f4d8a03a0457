"""A page of rows in the order of time, without an index that has that order: one stretch of time after the other.

Ranges of blocks are told by the times in them (``tables``), so that a stretch is read without the rest of the table;
to order all of it for each page would take longer with every row stored. Stretches grow, so that there are few of them
however far apart rows are, but no longer than it takes to fill the page. Where the first one begins changes how long it
takes, never what is answered.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Final

import msgspec

from appliance.components.silver import Order, RecordQuery

FEW: Final = 50_000  # rows, up to which all of them are ordered: as fast as two stretches
_FIRST: Final = timedelta(seconds=1)
_GROWS: Final = 8
_ENOUGH: Final = 1.25  # a stretch that falls short costs another one, a longer one only its own end
_LONGEST: Final = timedelta(days=3660)  # then comes all that is left
_MICROSECOND: Final = timedelta(microseconds=1)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NEAR: Final = 32  # buckets without rows that are read through: to find a place costs as much
_RUNS: Final = 16  # at most, for as many places have to be found

Between = tuple[datetime | None, datetime | None]


def stretches(
    query: RecordQuery, recent: datetime | None, found: Callable[[], int] = lambda: 0
) -> Iterator[RecordQuery]:
    """Yield the query for one stretch after the other; together, in this order, they are ``query``.

    ``recent``: about the time of the newest rows; None: not known. ``found``: how many rows were found so far; the next
    stretch is as long as it takes to find the others, if they lie as the last ones do.
    """
    known = _known(query, recent)
    if known is None or _passed(query, known):
        yield query
        return
    if query.order is Order.DESC and (query.end is None or known < query.end):
        yield msgspec.structs.replace(query, start=_later(query.start, known))
    length, before = _FIRST, known
    while length <= _LONGEST and not _passed(query, before):
        after = _moved(before, length, query.order)
        if after is None:
            break
        had = found()
        yield _between(query, before, after)
        secs = grown(length.total_seconds(), found() - had, query.limit - found())
        length, before = max(_FIRST, timedelta(seconds=secs)), after
    if not _passed(query, before):
        yield _between(query, before, None)


def grown(last: float, found: int, left: int) -> float:
    """Return how much to look through next for ``left`` rows, after as much as ``last`` had so many of them."""
    return min(_GROWS * last, _ENOUGH * last * left / found) if found else _GROWS * last


def begun(left: int, rows: Sequence[int], *, exact: bool) -> float:
    """Return how many rows to look through first for ``left`` of them. ``rows``: of each bucket, at most.

    ``exact``: all rows of a bucket are asked for. Else one of them is, at least, by its greatest or least value: in the
    middle between one and all, by ratio, too few or too many rows are looked through by as much.
    """
    return left if exact or not rows else left * math.sqrt(sum(rows) / len(rows))


def runs(query: RecordQuery, buckets: Sequence[datetime], width: timedelta) -> Iterator[RecordQuery]:
    """Yield the query for buckets that lie near each other; ``buckets``: all, by when they start, in its order."""
    gaps = sorted((abs(one - other), place) for place, (one, other) in enumerate(pairwise(buckets), 1))
    apart = sorted(place for gap, place in gaps[1 - _RUNS :] if gap > _NEAR * width)
    for first, past in pairwise([0, *apart, len(buckets)]):
        start, last = sorted((buckets[first], buckets[past - 1]))
        end = _earlier(query.end, _moved(last, width, Order.ASC))
        yield msgspec.structs.replace(query, start=_later(query.start, start), end=end)


def bounds(query: RecordQuery) -> Between:
    """Return between which moments rows lie that are asked for, the end exclusive."""
    after = query.after[0] if query.after is not None else None
    if query.order is Order.ASC:
        return _later(query.start, after), query.end
    return query.start, _earlier(query.end, _moved(after, _MICROSECOND, Order.ASC) if after else None)


def beyond(query: RecordQuery, between: Between, last: datetime, width: timedelta) -> Between:
    """Return what is left of ``between`` after the bucket that starts at ``last``."""
    if query.order is Order.ASC:
        return _moved(last, width, Order.ASC) or datetime.max.replace(tzinfo=UTC), between[1]
    return between[0], last


def width_of(bucket_us: int) -> timedelta:
    return timedelta(microseconds=bucket_us)


def down(moment: datetime, bucket_us: int) -> datetime:
    """Return where the bucket that ``moment`` is in starts."""
    return moment - (moment - _EPOCH) % width_of(bucket_us)


def _known(query: RecordQuery, recent: datetime | None) -> datetime | None:
    """Return where to begin: nothing that is asked for comes before it, or only what the first stretch has."""
    after = query.after[0] if query.after is not None else None
    if query.order is Order.ASC:
        return _later(query.start, after)
    bounds = [one for one in (query.end, after + _MICROSECOND if after else None, recent) if one is not None]
    return min(bounds, default=None)


def _passed(query: RecordQuery, at: datetime) -> bool:
    if query.order is Order.ASC:
        return query.end is not None and at >= query.end
    return query.start is not None and at <= query.start


def _moved(at: datetime, length: timedelta, order: Order) -> datetime | None:
    """Return the other end of a stretch; None: it is beyond the years there are."""
    try:
        return at + length if order is Order.ASC else at - length
    except OverflowError:
        return None


def _between(query: RecordQuery, before: datetime, after: datetime | None) -> RecordQuery:
    """Return the query for what lies between two ends of a stretch; None: no other end but the query's own."""
    if query.order is Order.ASC:
        return msgspec.structs.replace(query, start=before, end=_earlier(query.end, after))
    return msgspec.structs.replace(query, start=_later(query.start, after), end=before)


def _later(one: datetime | None, other: datetime | None) -> datetime | None:
    return max((bound for bound in (one, other) if bound is not None), default=None)


def _earlier(one: datetime | None, other: datetime | None) -> datetime | None:
    return min((bound for bound in (one, other) if bound is not None), default=None)
