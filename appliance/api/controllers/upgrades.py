"""``/api/v1/upgrade``: a release uploaded, looked at, and asked for."""

from typing import Final

from litestar import Controller, Response, delete, get, post, put

from appliance.api.exchange import AnyRequest, answered, asked, nothing
from appliance.api.operations import Operation, does
from appliance.domain.access import Action
from appliance.domain.upgrade import Upgrade
from appliance.errors import Conflict, NotFound, TooLarge
from appliance.services.upgrades import BUNDLE, SIGNATURE

MOST_BYTES: Final = 400 << 20


class UpgradeController(Controller):
    path = "/upgrade"
    tags = ("operations",)

    @get(
        "/",
        **does(
            Operation(
                summary="Which release runs, which one waits, and what stands in its way",
                description="Of the node that answers. `by_hand`: the command, where nobody exchanges the program.",
                access=Action.OPERATIONS_MANAGE,
                answer=Upgrade,
            )
        ),
    )
    async def show(self, request: AnyRequest) -> Response[bytes]:
        services, who = asked(request)
        return answered(await services.upgrades.show(who))

    @put(
        "/bundle",
        request_max_body_size=MOST_BYTES,
        **does(
            Operation(
                summary="Upload a release",
                description="The body is the `.tar.xz` as it is. Nothing is unpacked before the signature is known.",
                access=Action.OPERATIONS_MANAGE,
                answer=Upgrade,
                errors=(Conflict, TooLarge),
            )
        ),
    )
    async def bundle(self, request: AnyRequest) -> Response[bytes]:
        services, who = asked(request)
        return answered(await services.upgrades.receive(who, BUNDLE, request.stream()))

    @put(
        "/signature",
        **does(
            Operation(
                summary="Upload its signature",
                description="The body is the `.sig` file as it is.",
                access=Action.OPERATIONS_MANAGE,
                answer=Upgrade,
                errors=(Conflict, TooLarge),
            )
        ),
    )
    async def signature(self, request: AnyRequest) -> Response[bytes]:
        services, who = asked(request)
        return answered(await services.upgrades.receive(who, SIGNATURE, request.stream()))

    @post(
        "/",
        **does(
            Operation(
                summary="Go over to what was uploaded",
                description="The helper that install.sh sets up takes it: a snapshot, the exchange, a start, and a "
                "look at it. It goes back by itself where it is not well; `last` tells afterwards.",
                access=Action.OPERATIONS_MANAGE,
                answer=Upgrade,
                status=202,
                errors=(NotFound, Conflict),
            )
        ),
    )
    async def order(self, request: AnyRequest) -> Response[bytes]:
        services, who = asked(request)
        return answered(await services.upgrades.order(who), 202)

    @delete(
        "/",
        **does(
            Operation(
                summary="Drop what was uploaded",
                access=Action.OPERATIONS_MANAGE,
                status=204,
            )
        ),
    )
    async def drop(self, request: AnyRequest) -> Response[None]:
        services, who = asked(request)
        await services.upgrades.drop(who)
        return nothing()
