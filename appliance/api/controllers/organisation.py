"""``/api/v1/organisations``, ``/settings`` and ``/audit``: the house itself."""

from typing import Annotated, Any

import msgspec
from litestar import Controller, Response, delete, get, patch, post
from litestar.params import FromPath
from msgspec import Meta

from appliance.api.exchange import AnyRequest, PageParameters, answered, asked, nothing, read_body, read_parameters
from appliance.api.operations import Open, Operation, does
from appliance.domain.access import Action
from appliance.domain.ids import OrganisationId
from appliance.errors import Conflict, Invalid, NotFound, TransientError, Unlicensed
from appliance.services.organisation_views import NewOrganisation, OrganisationChange, OrganisationView
from appliance.services.views import AuditEntry, Page


class Confirmation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: Annotated[str, Meta(description="The name of the organisation, as a confirmation")]


class OrganisationController(Controller):
    path = "/organisations"
    tags = ("organisation",)

    @get(
        "/",
        **does(
            Operation(
                summary="The organisations there are",
                description="Those who may `organisation.manage` get all of them, with figures; others their own.",
                access=Open.SIGNED_IN,
                parameters=PageParameters,
                answer=Page[OrganisationView],
                errors=(Invalid,),
            )
        ),
    )
    async def organisations(self, request: AnyRequest) -> Response[bytes]:
        services, who = asked(request)
        page = read_parameters(request, PageParameters)
        return answered(await services.organisations.list(who, page.cursor, page.limit))

    @post(
        "/",
        **does(
            Operation(
                summary="Make an organisation, with its first administrator",
                description="`trouble` says what a DBA has to do where its rows have no place in the database yet.",
                access=Action.ORGANISATION_MANAGE,
                body=NewOrganisation,
                example={
                    "name": "Daughter Works",
                    "admin_email": "frank@example.net",
                    "admin_password": "a long pass phrase",
                },
                answer=OrganisationView,
                status=201,
                errors=(Invalid, Conflict, Unlicensed),
            )
        ),
    )  # fmt: skip
    async def create(self, request: AnyRequest) -> Response[bytes]:
        services, who = asked(request)
        new = await read_body(request, NewOrganisation)
        return answered(await services.organisation_changes.create(who, new), 201)

    @get(
        "/{organisation_id:str}",
        **does(
            Operation(
                summary="One organisation", access=Open.SIGNED_IN, answer=OrganisationView, errors=(NotFound,)
            )
        ),
    )  # fmt: skip
    async def show(self, request: AnyRequest, organisation_id: FromPath[str]) -> Response[bytes]:
        services, who = asked(request)
        return answered(await services.organisations.find(who, OrganisationId(organisation_id)))

    @patch(
        "/{organisation_id:str}",
        **does(
            Operation(
                summary="Call an organisation otherwise",
                access=Action.ORGANISATION_MANAGE,
                body=OrganisationChange,
                example={"name": "Example Works and Sons"},
                answer=OrganisationView,
                errors=(NotFound, Invalid, Conflict),
            )
        ),
    )
    async def rename(self, request: AnyRequest, organisation_id: FromPath[str]) -> Response[bytes]:
        services, who = asked(request)
        change = await read_body(request, OrganisationChange)
        return answered(await services.organisation_changes.rename(who, OrganisationId(organisation_id), change.name))

    @delete(
        "/{organisation_id:str}",
        **does(
            Operation(
                summary="Delete an organisation that has no pipelines",
                description="With its people, tokens and dashboards, and the place of its rows. Its lines of the audit "
                "trail stay, and backups keep what they have of it.",
                access=Action.ORGANISATION_MANAGE,
                parameters=Confirmation,
                status=204,
                errors=(NotFound, Invalid, Conflict, TransientError),
            )
        ),
    )
    async def remove(self, request: AnyRequest, organisation_id: FromPath[str]) -> Response[None]:
        services, who = asked(request)
        name = read_parameters(request, Confirmation).name
        await services.organisation_changes.delete(who, OrganisationId(organisation_id), name)
        return nothing()


class HouseController(Controller):
    path = "/"
    tags = ("organisation",)

    @get(
        "/settings",
        **does(Operation(summary="The settings in force", access=Action.SETTINGS_READ, answer=dict[str, Any])),
    )
    async def settings(self, request: AnyRequest) -> Response[bytes]:
        services, who = asked(request)
        return answered(await services.organisations.settings(who))

    @get(
        "/audit",
        **does(
            Operation(
                summary="Who did what, newest first",
                access=Action.AUDIT_READ,
                parameters=PageParameters,
                answer=Page[AuditEntry],
                errors=(Invalid,),
            )
        ),
    )
    async def audit(self, request: AnyRequest) -> Response[bytes]:
        services, who = asked(request)
        page = read_parameters(request, PageParameters)
        return answered(await services.organisations.audit(who, page.cursor, page.limit))
