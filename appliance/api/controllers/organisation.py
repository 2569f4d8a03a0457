"""``/api/v1/organisations``, ``/settings`` and ``/audit``: the house itself."""

from typing import Any

from litestar import Controller, Response, get

from appliance.api.exchange import AnyRequest, PageParameters, answered, asked, read_parameters
from appliance.api.operations import Open, Operation, does
from appliance.domain.access import Action
from appliance.errors import Invalid
from appliance.services.views import AuditEntry, OrganisationView, Page


class OrganisationController(Controller):
    path = "/"
    tags = ("organisation",)

    @get(
        "/organisations",
        **does(Operation(summary="My organisation", access=Open.SIGNED_IN, answer=Page[OrganisationView])),
    )
    async def organisations(self, request: AnyRequest) -> Response[bytes]:
        services, who = asked(request)
        return answered(Page([await services.organisations.get(who)]))

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
                access=Action.SETTINGS_READ,
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
