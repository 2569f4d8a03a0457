"""``/api/v1/pipelines/{id}/records`` and what else a pipeline holds."""

from datetime import datetime
from typing import Annotated, Any, Final

import msgspec
from litestar import Controller, Response, get
from litestar.params import FromPath
from litestar.response import Stream
from msgspec import Meta

from appliance.api.exchange import AnyRequest, answered, answered_at_length, asked, event_number, read_parameters
from appliance.api.negotiation import FORMATS, JSON, SUFFIXES, wanted_media
from appliance.api.operations import Operation, does
from appliance.api.stream import commits
from appliance.domain.access import Action
from appliance.domain.event import StoredEvent
from appliance.domain.ids import PipelineId
from appliance.domain.ledger import Ledger
from appliance.errors import Invalid, NotFound, TransientError
from appliance.services.ledgers import By, LedgerLine
from appliance.services.records import RecordsDocument
from appliance.services.views import Page

EVENT_STREAM: Final = "text/event-stream"


class RecordParameters(RecordsDocument, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``where`` is JSON."""

    format: Annotated[str, Meta(description=f"One of {', '.join(FORMATS)}; wins over Accept")] | None = None


class LedgerParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    by: Annotated[By, Meta(description="What makes a line")] = "day,version"


class EventView(msgspec.Struct, frozen=True, kw_only=True):
    """One event as it was received. ``payload`` is null where JSON cannot carry it."""

    pipeline_id: str
    seq: int
    received_at: datetime
    source: str
    delivery_id: str | None
    remote: str | None
    headers: dict[str, str]
    segment: str
    line: int
    payload: Any


class RecordController(Controller):
    path = "/pipelines/{pipeline_id:str}"
    tags = ("records",)

    @get(
        "/records",
        **does(
            Operation(
                summary="Rows of a time range",
                description="By page as JSON; as a file (CSV, NDJSON, Parquet, Arrow) whole. A row carries its fields, "
                "`_time`, `_seq` and, where kept, `_extra`.",
                access=Action.DATA_READ,
                parameters=RecordParameters,
                answer=Page[dict[str, Any]],
                media=tuple(media for media in FORMATS.values() if media != JSON),
                errors=(NotFound, Invalid, TransientError),
            )
        ),
    )
    async def records(self, request: AnyRequest, pipeline_id: FromPath[str]) -> Response[Any]:
        services, who = asked(request)
        given = read_parameters(request, RecordParameters)
        media = wanted_media(given.format, request.headers.get("accept"))
        document = msgspec.convert(given, RecordsDocument, from_attributes=True)
        if media == JSON:
            return await answered_at_length(await services.records.page(who, PipelineId(pipeline_id), document))
        pieces = await services.records.export(who, PipelineId(pipeline_id), document, media)
        name = f'attachment; filename="{pipeline_id}.{SUFFIXES[media]}"'
        return Stream(pieces, media_type=media, headers={"content-disposition": name})

    @get(
        "/records/{seq:str}",
        **does(
            Operation(
                summary="The event that a record came from",
                description="Verbatim, with its envelope and its place in Bronze.",
                access=Action.DATA_READ,
                answer=EventView,
                errors=(NotFound,),
            )
        ),
    )
    async def event(self, request: AnyRequest, pipeline_id: FromPath[str], seq: FromPath[str]) -> Response[bytes]:
        services, who = asked(request)
        return answered(_event_view(await services.records.event(who, PipelineId(pipeline_id), event_number(seq))))

    @get(
        "/recent",
        **does(
            Operation(
                summary="The last 100 rows, newest last",
                access=Action.DATA_READ,
                answer=Page[dict[str, Any]],
                errors=(NotFound,),
            )
        ),
    )
    async def recent(self, request: AnyRequest, pipeline_id: FromPath[str]) -> Response[bytes]:
        services, who = asked(request)
        return answered(Page(await services.records.recent(who, PipelineId(pipeline_id))))

    @get(
        "/stream",
        **does(
            Operation(
                summary="Rows as they are committed, one server-sent event a commit",
                access=Action.DATA_READ,
                media=(EVENT_STREAM,),
                errors=(NotFound,),
            )
        ),
    )
    async def stream(self, request: AnyRequest, pipeline_id: FromPath[str]) -> Stream:
        services, who = asked(request)
        await services.records.ledger(who, PipelineId(pipeline_id))  # NotFound before the stream begins
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        return Stream(commits(request, f"pipeline:{pipeline_id}"), media_type=EVENT_STREAM, headers=headers)

    @get(
        "/ledger",
        **does(
            Operation(
                summary="Where every received event went",
                description="received = stored + filtered + duplicate + dead + pending, in events.",
                access=Action.DATA_READ,
                answer=Ledger,
                errors=(NotFound,),
            )
        ),
    )
    async def ledger(self, request: AnyRequest, pipeline_id: FromPath[str]) -> Response[bytes]:
        services, who = asked(request)
        return answered(await services.records.ledger(who, PipelineId(pipeline_id)))

    @get(
        "/ledger/lines",
        **does(
            Operation(
                summary="The ledger by day of receipt and version",
                description="Each line balances by itself; newest first.",
                access=Action.DATA_READ,
                parameters=LedgerParameters,
                answer=Page[LedgerLine],
                errors=(NotFound, Invalid, TransientError),
            )
        ),
    )
    async def ledger_lines(self, request: AnyRequest, pipeline_id: FromPath[str]) -> Response[bytes]:
        services, who = asked(request)
        by = read_parameters(request, LedgerParameters).by
        return answered(Page(await services.ledgers.lines(who, PipelineId(pipeline_id), by)))


def _event_view(event: StoredEvent) -> EventView:
    envelope = event.envelope
    return EventView(
        pipeline_id=event.pipeline_id,
        seq=event.seq,
        received_at=envelope.received_at,
        source=envelope.source,
        delivery_id=envelope.delivery_id,
        remote=envelope.remote,
        headers=envelope.headers,
        segment=event.segment,
        line=event.line,
        payload=msgspec.Raw(event.payload),
    )
