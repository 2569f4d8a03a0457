"""``/livez``, ``/readyz`` (alias ``/healthz``) and ``/metrics``: for supervisors, balancers and Prometheus."""

from collections.abc import Callable
from typing import Annotated, Final

import msgspec
from litestar import Controller, Response, get
from msgspec import Meta

from appliance.api.exchange import AnyRequest, answered
from appliance.api.operations import Open, Operation, does
from appliance.errors import Invalid, Problem
from appliance.services.ports import Health

EXPOSITION: Final = "text/plain; version=0.0.4"  # the framework adds the charset


class Alive(msgspec.Struct, frozen=True):
    alive: bool = True


class Part(msgspec.Struct, frozen=True):
    ready: bool
    reason: str


class Readiness(msgspec.Struct, frozen=True):
    ready: bool
    parts: dict[str, Part]


class ReadinessParameters(msgspec.Struct, frozen=True):
    part: Annotated[str | None, Meta(description="Judge by this part alone", examples=["receiving"])] = None


class HealthController(Controller):
    path = "/"
    tags = ("health",)

    @get("/livez", **does(Operation(summary="Whether the process answers", access=Open.ANYBODY, answer=Alive)))
    async def livez(self, request: AnyRequest) -> Response[bytes]:
        return answered(Alive())

    @get(
        ["/readyz", "/healthz"],
        **does(
            Operation(
                summary="Whether every part works, with a reason for each",
                description="200 when ready, 503 with the same body when not. A balancer in front of `/in/` asks for "
                "`?part=receiving` alone: receiving goes on while the database is away.",
                access=Open.ANYBODY,
                parameters=ReadinessParameters,
                answer=Readiness,
            )
        ),
    )
    async def readyz(self, request: AnyRequest) -> Response[bytes]:
        health: Health = request.app.state["health"]
        part = request.query_params.get("part")  # other parameters are passed over: some checks add one against caches
        parts = {name: Part(ready, reason) for name, (ready, reason) in health.checks().items()}
        if part is not None:
            if part not in parts:
                raise Invalid([Problem("/part", f"there is no part {part!r}", hint=f"one of {', '.join(parts)}")])
            parts = {part: parts[part]}
        ready = all(part.ready for part in parts.values())
        return answered(Readiness(ready, parts), 200 if ready else 503, {"cache-control": "no-store"})

    @get(
        "/metrics",
        **does(Operation(summary="Prometheus exposition", access=Open.ANYBODY, media=(EXPOSITION,))),
    )
    async def metrics(self, request: AnyRequest) -> Response[bytes]:
        render: Callable[[], bytes] = request.app.state["metrics"]
        return Response(render(), media_type=EXPOSITION)
