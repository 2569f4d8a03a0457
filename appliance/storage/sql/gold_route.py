"""From where a question is answered: which rollup counts which part of its time range, and what is left to the rows."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from appliance.components.silver import Aggregation, Column, Measure, Table
from appliance.storage.sql.aggregate import PERCENTILES
from appliance.storage.sql.gold import Gold, State, states

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_EXACT: Final = frozenset({"count", "sum", "avg", "min", "max", "last"})


@dataclass(frozen=True)
class Wanted:
    """What has to be known to answer: by these groups these states, and of the fields ``sketched`` the bins."""

    groups: tuple[Column, ...]
    states: tuple[State, ...]
    sketched: tuple[Column, ...]


@dataclass(frozen=True)
class Stretch:
    """A part of the time range, ``start`` inclusive, ``end`` exclusive; None: open. ``gold`` None: of the rows."""

    gold: Gold | None
    start: datetime | None
    end: datetime | None


@dataclass(frozen=True)
class Route:
    wanted: Wanted
    stretches: tuple[Stretch, ...]

    @property
    def source(self) -> str:
        """What is told to who asked: ``gold:per_minute``, or several joined by ``+``, widest buckets first."""
        used = {one.gold.name: one.gold.bucket_us for one in self.stretches if one.gold}
        return "gold:" + "+".join(sorted(used, key=lambda name: (-used[name], name)))


def route(table: Table, query: Aggregation, golds: Sequence[Gold]) -> Route | None:
    """Return how ``golds`` answer ``query`` as the rows would; None: they do not. ``query`` is known to be right."""
    wanted = _wanted(table, query)
    if wanted is None:
        return None
    named = {column.name for column in wanted.groups} | {condition.field for condition in query.where}
    fit = [gold for gold in golds if _fits(gold, wanted, named, query.bucket_us)]
    try:
        stretches = tuple(_stretches(_widest_first(fit), query.start, query.end))
    except OverflowError:  # the next bucket would begin in the year 10000
        return None
    return Route(wanted, stretches) if any(one.gold for one in stretches) else None


def _wanted(table: Table, query: Aggregation) -> Wanted | None:
    columns = {column.name: Column(column.name, column.type) for column in table.columns}
    if not set(query.group_by) <= set(columns):
        return None
    measured: list[tuple[str, Column | None]] = []
    sketched: dict[str, Column] = {}
    for measure in query.measures:
        if not _answerable(measure, columns, approximate=query.approximate):
            return None
        if measure.op in PERCENTILES and measure.field is not None:
            sketched[measure.field] = columns[measure.field]
        else:
            measured.append((measure.op, columns[measure.field] if measure.field is not None else None))
    return Wanted(tuple(columns[name] for name in query.group_by), states(measured), tuple(sketched.values()))


def _answerable(measure: Measure, columns: dict[str, Column], *, approximate: bool) -> bool:
    if measure.field is not None and measure.field not in columns:
        return False  # one of Dash's own
    return measure.op in _EXACT or (approximate and measure.op in PERCENTILES)


def _fits(gold: Gold, wanted: Wanted, named: set[str], bucket_us: int | None) -> bool:
    return (
        (bucket_us is None or bucket_us % gold.bucket_us == 0)
        and named <= {column.name for column in gold.groups}
        and set(wanted.states) <= set(gold.main.states)
        and set(wanted.sketched) <= set(gold.sketched)
    )


def _widest_first(golds: Iterable[Gold]) -> list[Gold]:
    """Return one for each width: the one that keeps the fewest groups."""
    by_width: dict[int, Gold] = {}
    for gold in sorted(golds, key=lambda one: (len(one.groups), len(one.main.states))):
        by_width.setdefault(gold.bucket_us, gold)
    return [by_width[width] for width in sorted(by_width, reverse=True)]


def _stretches(golds: Sequence[Gold], start: datetime | None, end: datetime | None) -> Iterable[Stretch]:
    """Yield the widest buckets that lie wholly in the range, and for what is left at both ends narrower ones."""
    if start is not None and end is not None and start >= end:
        return
    if not golds:
        yield Stretch(None, start, end)
        return
    width = golds[0].bucket_us
    first = _up(start, width) if start is not None else None
    last = _down(end, width) if end is not None else None
    if first is not None and last is not None and first >= last:
        yield from _stretches(golds[1:], start, end)
        return
    if first is not None:
        yield from _stretches(golds[1:], start, first)
    yield Stretch(golds[0], first, last)
    if last is not None:
        yield from _stretches(golds[1:], last, end)


def _down(moment: datetime, width_us: int) -> datetime:
    """Return where the bucket that ``moment`` is in starts."""
    return moment - (moment - _EPOCH) % (width_us * _MICROSECOND)


def _up(moment: datetime, width_us: int) -> datetime:
    return moment + (_EPOCH - moment) % (width_us * _MICROSECOND)
