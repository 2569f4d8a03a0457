"""Measures over the rows of a pipeline: what charts show."""

from typing import Any

from msgspec.structs import replace

from appliance.components.rows import public_rows
from appliance.domain.access import Action, Principal, require
from appliance.domain.clock import Clock, utc_now
from appliance.domain.ids import PipelineId
from appliance.services.ownership import Ownership
from appliance.services.ports import Engine
from appliance.services.query_documents import Span, aggregation, answer, read_query, span_of
from appliance.services.views import QueryAnswer


class Queries:
    """Asks the row store of the organisation, in the threads for reading."""

    def __init__(self, ownership: Ownership, engine: Engine, clock: Clock = utc_now) -> None:
        self._ownership, self._engine, self._clock = ownership, engine, clock

    async def query(self, who: Principal, document: dict[str, Any]) -> QueryAnswer:
        """Answer ``POST /api/v1/query``.

        Raises:
            Invalid: with every problem of the document, by pointer.
            NotFound: there is no such pipeline.
        """
        require(who, Action.DATA_READ)
        query = read_query(document)
        pipeline_id = PipelineId(query.pipeline)
        await self._ownership.check(who, pipeline_id)
        table, asked = self._engine.table(pipeline_id), aggregation(query)
        span, problems = span_of(query, self._clock())

        def ask(span: Span) -> QueryAnswer:
            silver = self._engine.silver(who.organisation_id)
            rows = silver.look.aggregate(table, replace(asked, start=span.start, end=span.end))
            source: str = (rows.schema.metadata or {}).get(b"source", b"silver").decode()
            return QueryAnswer(rows.column_names, public_rows(rows), source)

        return await self._engine.workers.run("read", answer, ask, span, problems, query.where)
