"""Questions as people write them: read, judged whole, and turned into what a row store answers."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, TypeVar

import msgspec
from msgspec import Meta

from appliance.components.lint import lint
from appliance.components.shape import child
from appliance.components.silver import Aggregation, Condition, Measure
from appliance.domain.quantity import Duration, parse_duration
from appliance.errors import Invalid, Problem
from appliance.services.moments import parse_moment

T = TypeVar("T")

MOST_ROWS: Final = 50_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class ConditionDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    field: str
    op: Annotated[
        str, Meta(description="= <> < <= > >= in contains is_null not_null; 'in' takes a list", examples=["="])
    ] = "="
    value: Any = None


class MeasureDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    op: Annotated[str, Meta(description="count sum avg min max p50 p95 p99 last distinct", examples=["avg"])]
    field: Annotated[str, Meta(description="Left out only for count")] | None = None
    name: Annotated[str, Meta(min_length=1, max_length=63, description="The column's name")] | None = msgspec.field(
        default=None, name="as"
    )

    @property
    def column(self) -> str:
        """What the column is called without ``as``: ``avg_temp_c``, ``count``."""
        return self.name or (f"{self.op}_{self.field}" if self.field else self.op)


class QueryDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """The body of ``POST /api/v1/query``."""

    pipeline: Annotated[str, Meta(description="Its id")]
    measures: Annotated[list[MeasureDocument], Meta(min_length=1, max_length=20)]
    group_by: Annotated[list[str], Meta(max_length=8)] = []
    bucket: Annotated[Duration, Meta(extra={"min": "100ms", "max": "366d"}, examples=["1m"])] | None = None
    start: Annotated[str, Meta(description="RFC 3339, or relative: now-1h")] | None = msgspec.field(
        default=None, name="from"
    )
    end: str | None = msgspec.field(default=None, name="to")
    range: Annotated[Duration, Meta(description="The last so much, instead of from and to")] | None = None
    where: Annotated[
        list[ConditionDocument] | dict[str, Any],
        Meta(description='Conditions that all hold, or in short {"device": "a1", "line": [1, 2]}'),
    ] = []
    limit: Annotated[int, Meta(ge=1, le=MOST_ROWS)] = 10_000
    approximate: Annotated[
        bool, Meta(description="Percentiles may be off by 1 % of their value, so that rollups can answer them")
    ] = False


class Span(msgspec.Struct, frozen=True):
    """A time range, ``start`` inclusive, ``end`` exclusive; None: open."""

    start: datetime | None = None
    end: datetime | None = None


def read_query(document: Any) -> QueryDocument:
    """Return the document's parts. Raises Invalid, with every problem of its shape."""
    if problems := lint(QueryDocument, document):
        raise Invalid(problems)
    return msgspec.convert(document, QueryDocument)


def aggregation(query: QueryDocument) -> Aggregation:
    """Return what the row store is asked, of all times."""
    return Aggregation(
        measures=tuple(Measure(one.op, one.field, one.column) for one in query.measures),
        group_by=tuple(query.group_by),
        bucket_us=parse_duration(query.bucket) // timedelta(microseconds=1) if query.bucket else None,
        where=conditions(query.where),
        limit=query.limit,
        approximate=query.approximate,
    )


def conditions(where: list[ConditionDocument] | dict[str, Any]) -> tuple[Condition, ...]:
    """Return the conditions; of an object, one for each key."""
    if isinstance(where, list):
        return tuple(Condition(one.field, one.op, one.value) for one in where)
    return tuple(Condition(name, "in" if isinstance(value, list) else "=", value) for name, value in where.items())


def answer(ask: Callable[[Span], T], span: Span, problems: list[Problem], where: Any) -> T:
    """Return what ``ask``, a row store, says about ``span``; blocking.

    It judges fields, operators and values. With ``problems`` there is no answer: it is asked about no time at all, only
    to hear what else is wrong.

    Raises:
        Invalid: with ``problems`` and those that ``ask`` finds, each at its place in ``where``.
    """
    try:
        answered = ask(Span(_EPOCH, _EPOCH) if problems else span)
    except Invalid as error:
        raise Invalid([*problems, *(_at_key(problem, where) for problem in error.problems)]) from error
    if problems:
        raise Invalid(problems)
    return answered


def read_span(start: str | None, end: str | None, now: datetime) -> tuple[Span, list[Problem]]:
    """Return the time range from ``start`` to ``end`` and everything that is wrong with it."""
    ends: dict[str, datetime | None] = {"/from": None, "/to": None}
    problems = []
    for pointer, text in zip(tuple(ends), (start, end), strict=True):
        try:
            ends[pointer] = parse_moment(text, now) if text is not None else None
        except ValueError as error:
            problems.append(Problem(pointer, str(error)))
    first, last = ends.values()
    if first is not None and last is not None and first >= last:
        problems.append(Problem("/to", f"expected a time after 'from' ({first.isoformat()}), got {last.isoformat()}"))
    return Span(first, last), problems


def span_of(query: QueryDocument, now: datetime) -> tuple[Span, list[Problem]]:
    """Return the time range of ``query`` and everything that is wrong with it."""
    if query.range is None:
        return read_span(query.start, query.end, now)
    if query.start is not None or query.end is not None:
        return Span(), [Problem("/range", "'range' stands instead of 'from' and 'to': leave one of them out")]
    try:
        return Span(now - parse_duration(query.range)), []
    except OverflowError:
        return Span(), [Problem("/range", f"{query.range!r} reaches back before the year 1")]


def _at_key(problem: Problem, where: Any) -> Problem:
    """Return ``problem`` with ``/where/<n>…`` as ``/where/<key>``, where conditions were given as an object."""
    parts = problem.pointer.split("/", 3)
    if not isinstance(where, dict) or parts[1:2] != ["where"] or len(parts) < 3:
        return problem
    return msgspec.structs.replace(problem, pointer=child("/where", list(where)[int(parts[2])]))
