"""``/api/v1/license``: what is in force, what another document or day would change, and installing one."""

from datetime import date
from typing import Annotated, Final

import msgspec
from litestar import Controller, Response, get, post, put
from msgspec import Meta

from appliance.api.exchange import AnyRequest, answered, asked, read_body, read_parameters
from appliance.api.operations import Operation, does
from appliance.domain.access import Action
from appliance.errors import Invalid
from appliance.services.license_views import LicenseView, PreviewView
from appliance.services.licenses import RequestView


class Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``document``: the whole text, from the line with BEGIN to the one with END; what is around it does not matter."""

    document: Annotated[str, Meta(min_length=1, max_length=1 << 20)]


class Day(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    date: Annotated[date, Meta(description="In UTC", examples=["2027-01-31"])]


def _armoured(kind: str) -> str:
    """Return how a document begins and ends: a whole one is accepted by one installation only."""
    return f"-----BEGIN DASH {kind}-----\nREFTSEwBSTlVzqw0…\n-----END DASH {kind}-----\n"


EXAMPLE: Final = {"document": _armoured("LICENSE")}


class LicenseController(Controller):
    path = "/license"
    tags = ("license",)

    @get(
        "/",
        **does(
            Operation(
                summary="What is in force",
                description="Edition, limits and how much of each is used, days left, and what to see to.",
                access=Action.LICENSE_READ,
                answer=LicenseView,
            )
        ),
    )
    async def show(self, request: AnyRequest) -> Response[bytes]:
        services, who = asked(request)
        return answered(await services.licenses.show(who))

    @get(
        "/request",
        **does(
            Operation(
                summary="The request code of this installation",
                description="16 characters to be read out or sent to whoever issues licences.",
                access=Action.LICENSE_REQUEST,
                answer=RequestView,
            )
        ),
    )
    async def request_code(self, request: AnyRequest) -> Response[bytes]:
        services, who = asked(request)
        return answered(await services.licenses.request(who))

    @get(
        "/simulate",
        **does(
            Operation(
                summary="What would be in force on a day",
                access=Action.LICENSE_READ,
                parameters=Day,
                answer=LicenseView,
                errors=(Invalid,),
            )
        ),
    )
    async def simulate(self, request: AnyRequest) -> Response[bytes]:
        services, who = asked(request)
        return answered(await services.licenses.simulate(who, read_parameters(request, Day).date))

    @post(
        "/preview",
        **does(
            Operation(
                summary="What a licence would change",
                description="Nothing is changed. A document that is not accepted is 422, and says why and what to do.",
                access=Action.LICENSE_MANAGE,
                body=Document,
                example=EXAMPLE,
                answer=PreviewView,
                errors=(Invalid,),
            )
        ),
    )
    async def preview(self, request: AnyRequest) -> Response[bytes]:
        services, who = asked(request)
        given = await read_body(request, Document)
        return answered(await services.licenses.preview(who, given.document))

    @put(
        "/",
        **does(
            Operation(
                summary="Put a licence in force",
                description="What counted before counts until this one is accepted.",
                access=Action.LICENSE_MANAGE,
                body=Document,
                example=EXAMPLE,
                answer=LicenseView,
                errors=(Invalid,),
            )
        ),
    )
    async def install(self, request: AnyRequest) -> Response[bytes]:
        services, who = asked(request)
        given = await read_body(request, Document)
        return answered(await services.licenses.install(who, given.document))

    @put(
        "/revocations",
        **does(
            Operation(
                summary="Put a revocation list in force",
                description="Licences that it names do not count any more. A list never replaces a newer one.",
                access=Action.LICENSE_MANAGE,
                body=Document,
                example={"document": _armoured("REVOCATIONS")},
                answer=LicenseView,
                errors=(Invalid,),
            )
        ),
    )
    async def revoke(self, request: AnyRequest) -> Response[bytes]:
        services, who = asked(request)
        given = await read_body(request, Document)
        return answered(await services.licenses.revoke(who, given.document))
