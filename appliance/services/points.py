"""Points of charts: which records are behind one."""

from datetime import datetime
from typing import Any

import msgspec
from msgspec.structs import replace

from appliance.components.lint import decode
from appliance.components.shape import child
from appliance.components.silver import Condition, Order, RecordQuery
from appliance.domain.access import Action, Principal, require
from appliance.domain.clock import Clock, utc_now
from appliance.domain.ids import PipelineId
from appliance.domain.quantity import parse_duration
from appliance.errors import Invalid, Problem
from appliance.services.lineage_views import PointDocument, PointLineage, PointRecord
from appliance.services.moments import parse_moment
from appliance.services.ownership import Ownership
from appliance.services.ports import Engine
from appliance.services.query_documents import Span, answer, conditions, span_of


class Points:
    """Asks the row store of the organisation, in the threads for reading."""

    def __init__(self, ownership: Ownership, engine: Engine, clock: Clock = utc_now) -> None:
        self._ownership, self._engine, self._clock = ownership, engine, clock

    async def records(self, who: Principal, document: dict[str, Any]) -> PointLineage:
        """Answer ``POST /api/v1/query/lineage``: a query, and one row of its answer.

        Raises:
            Invalid: with every problem of the document, by pointer.
            NotFound: there is no such pipeline.
        """
        require(who, Action.DATA_READ)
        asked, now = decode(PointDocument, document), self._clock()
        pipeline_id = PipelineId(asked.pipeline)
        await self._ownership.check(who, pipeline_id)
        table = self._engine.table(pipeline_id)
        span, problems = span_of(asked, now)
        span, more = _narrowed(asked, span, now)
        where = (*conditions(asked.where), *_group(asked))
        query = RecordQuery(where=where, order=Order.ASC, limit=asked.records + 1)

        def ask(span: Span) -> list[dict[str, Any]]:
            silver = self._engine.silver(who.organisation_id)
            found = silver.look.records(table, replace(query, start=span.start, end=span.end))
            rows: list[dict[str, Any]] = found.select(["_seq", "_item", "_time"]).to_pylist()
            return rows

        try:
            rows = await self._engine.workers.run("read", answer, ask, span, problems + more, None)
        except Invalid as error:
            raise Invalid([_placed(one, asked) for one in error.problems]) from error
        return PointLineage(
            pipeline=pipeline_id, start=span.start, end=span.end, more=len(rows) > asked.records,
            records=[msgspec.convert(row, PointRecord) for row in rows[: asked.records]],
        )  # fmt: skip


def _narrowed(asked: PointDocument, span: Span, now: datetime) -> tuple[Span, list[Problem]]:
    """Return the part of ``span`` that the point's bucket covers, and what is wrong with the point."""
    wanted = [*(["_time"] if asked.bucket else []), *asked.group_by]
    missing = [name for name in wanted if name not in asked.point]
    problems = [Problem(child("/point", name), "required value is missing") for name in missing]
    problems += [
        Problem(child("/point", name), "this query has no such key") for name in asked.point if name not in wanted
    ]
    if problems or asked.bucket is None:
        return span, problems
    try:
        start = parse_moment(str(asked.point["_time"]), now)
        end = start + parse_duration(asked.bucket)
    except (ValueError, OverflowError) as error:
        return span, [Problem("/point/_time", str(error))]
    return Span(max(start, span.start or start), min(end, span.end or end)), []


def _group(asked: PointDocument) -> list[Condition]:
    """Return conditions that hold for the rows of the point's group."""
    values = [(name, asked.point.get(name)) for name in asked.group_by]
    return [Condition(name, "=" if value is not None else "is_null", value) for name, value in values]


def _placed(problem: Problem, asked: PointDocument) -> Problem:
    """Return a problem of the n-th condition with the place that the condition has in the document."""
    parts = problem.pointer.split("/", 3)
    if parts[1:2] != ["where"] or len(parts) < 3:
        return problem
    place, own = int(parts[2]), len(asked.where)
    if place >= own:
        return replace(problem, pointer=child("/point", asked.group_by[place - own]))
    return (
        problem if isinstance(asked.where, list) else replace(problem, pointer=child("/where", [*asked.where][place]))
    )
