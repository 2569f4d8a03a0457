"""``/api/v1/nodes``: the processes of this installation; drained, taken back, forgotten."""

from litestar import Controller, Response, delete, get, post
from litestar.params import FromPath

from appliance.api.exchange import AnyRequest, answered, asked, nothing
from appliance.api.operations import Operation, does
from appliance.domain.access import Action
from appliance.errors import Conflict, NotFound
from appliance.services.nodes import NodeView
from appliance.services.views import Page


class NodeController(Controller):
    path = "/nodes"
    tags = ("nodes",)

    @get(
        "/",
        **does(
            Operation(
                summary="Nodes, by name",
                description="State, load and lag of each, as of its last heartbeat.",
                access=Action.NODE_READ,
                answer=Page[NodeView],
            )
        ),
    )
    async def list_nodes(self, request: AnyRequest) -> Response[bytes]:
        services, who = asked(request)
        return answered(await services.nodes.list(who))

    @get(
        "/{node_id:str}",
        **does(
            Operation(
                summary="One node",
                access=Action.NODE_READ,
                answer=NodeView,
                errors=(NotFound,),
            )
        ),
    )
    async def get_node(self, request: AnyRequest, node_id: FromPath[str]) -> Response[bytes]:
        services, who = asked(request)
        return answered(await services.nodes.get(who, node_id))

    @post(
        "/{node_id:str}/drain",
        **does(
            Operation(
                summary="Drain it",
                description="It claims no more jobs, hands over what it holds, and says on `/readyz` that it is not "
                "ready, so that a load balancer sends nothing more; what comes in even so is taken. It lasts until "
                "`resume`, or the node's next start.",
                access=Action.NODE_MANAGE,
                answer=NodeView,
                errors=(NotFound, Conflict),
            )
        ),
    )
    async def drain(self, request: AnyRequest, node_id: FromPath[str]) -> Response[bytes]:
        services, who = asked(request)
        return answered(await services.nodes.drain(who, node_id))

    @post(
        "/{node_id:str}/resume",
        **does(
            Operation(
                summary="Have it take its part again",
                access=Action.NODE_MANAGE,
                answer=NodeView,
                errors=(NotFound, Conflict),
            )
        ),
    )
    async def resume(self, request: AnyRequest, node_id: FromPath[str]) -> Response[bytes]:
        services, who = asked(request)
        return answered(await services.nodes.resume(who, node_id))

    @delete(
        "/{node_id:str}",
        **does(
            Operation(
                summary="Forget a node that will not come back",
                description="The jobs that it alone could have done are cancelled. Events on its disk are not touched.",
                access=Action.NODE_MANAGE,
                status=204,
                errors=(NotFound, Conflict),
            )
        ),
    )
    async def forget(self, request: AnyRequest, node_id: FromPath[str]) -> Response[None]:
        services, who = asked(request)
        await services.nodes.forget(who, node_id)
        return nothing()
