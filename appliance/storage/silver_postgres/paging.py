"""A page of rows in the order of time, without an index that has that order: one stretch of time after the other.

Ranges of blocks are told by the times in them (``tables``), so that a stretch is read without the rest of the table;
to order all of it for each page would take longer with every row stored. Stretches grow, so that there are few of them
however far apart rows are. Where the first one begins changes how long it takes, never what is answered.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

import msgspec

from appliance.components.silver import Order, RecordQuery

FEW: Final = 50_000  # rows, up to which all of them are ordered: as fast as two stretches
_FIRST: Final = timedelta(seconds=1)
_GROWS: Final = 8
_LONGEST: Final = timedelta(days=3660)  # then comes all that is left
_MICROSECOND: Final = timedelta(microseconds=1)


def stretches(query: RecordQuery, recent: datetime | None) -> Iterator[RecordQuery]:
    """Yield the query for one stretch after the other; together, in this order, they are ``query``.

    ``recent``: about the time of the newest rows; None: not known.
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
        yield _between(query, before, after)
        length, before = length * _GROWS, after
    if not _passed(query, before):
        yield _between(query, before, None)


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
