"""What the text of a statement depends on: everything but the values, which are bound. So a text is written once.

A dashboard asks the same again and again, of other moments and other hosts. Writing a statement takes longer than a
database takes to answer many of them.
"""

from collections.abc import Hashable, Sequence
from datetime import datetime
from typing import Final, Generic, TypeVar

from appliance.components.silver import Aggregation, Condition, RecordQuery

_MOST: Final = 2_000  # texts are of some 2 kB each
T = TypeVar("T")


class Kept(Generic[T]):
    """What was made, by shape, a bounded number of it. Threads may make the same twice, and nothing is lost by it."""

    def __init__(self) -> None:
        self._known: dict[Hashable, T] = {}

    def get(self, shape: Hashable) -> T | None:
        """Return what was kept, None if there is nothing."""
        return self._known.get(shape)

    def keep(self, shape: Hashable, made: T) -> T:
        """Return ``made``, and remember it. Those that are used still come back soon."""
        if len(self._known) >= _MOST:
            self._known.clear()
        self._known[shape] = made
        return made


Texts = Kept[str]


def of_aggregation(query: Aggregation) -> Hashable:
    """Return what decides about the text of an aggregation, but for what it is asked of."""
    return (
        query.measures,
        query.group_by,
        query.bucket_us,
        query.limit,
        query.approximate,
        of_range(query.start, query.end),
        of_conditions(query.where),
    )


def of_page(query: RecordQuery) -> Hashable:
    """Return what decides about the text of a page of rows, but for what it is asked of."""
    bounds = of_range(query.start, query.end)
    return bounds, of_conditions(query.where), query.order, query.after is None


def of_range(start: datetime | None, end: datetime | None) -> tuple[bool, bool]:
    """Return which ends a range has."""
    return start is None, end is None


def of_conditions(conditions: Sequence[Condition]) -> Hashable:
    """Return what decides about the text of conditions: of a list of values, how many it has."""
    return tuple((one.field, one.op, _length(one)) for one in conditions)


def _length(condition: Condition) -> int | None:
    return len(condition.value) if condition.op == "in" and isinstance(condition.value, (list, tuple)) else None
