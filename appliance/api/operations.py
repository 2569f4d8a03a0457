"""What one route does, declared once: the guard, the OpenAPI document and the access tests read it from here."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import msgspec
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from appliance.api.authentication import SAFE_METHODS, from_own_page
from appliance.domain.access import Action, Principal, require
from appliance.errors import DashError, Forbidden, Unauthenticated

OPERATION = "operation"


class Open(Enum):
    """Routes that need no particular permission."""

    ANYBODY = "anybody"
    SIGNED_IN = "signed in"


Access = Action | Open


@dataclass(frozen=True, kw_only=True)
class Operation:
    """``answer`` and ``body`` are types; ``example`` is a body that the API accepts (a test sends it).

    ``parameters``: a Struct whose fields are the query parameters. ``media``: media types of the answer other than
    JSON. ``errors``: what may be raised beside what every such route may raise.
    """

    summary: str
    access: Access
    answer: Any = None
    status: int = 200
    body: Any = None
    example: Any = None
    parameters: type[msgspec.Struct] | None = None
    media: tuple[str, ...] = ()
    errors: tuple[type[DashError], ...] = ()
    description: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


def does(operation: Operation) -> dict[str, Any]:
    """Return the keyword arguments that tell a Litestar handler its operation."""
    return {"opt": {OPERATION: operation}, "status_code": operation.status, "include_in_schema": False}


def guard(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Let through whoever may use the route. Services ask again: they do not rely on a guard.

    Raises:
        Unauthenticated, Forbidden.
    """
    operation: Operation = handler.opt[OPERATION]
    who: Principal | None = connection.scope["state"].get("who")
    method = str(connection.scope.get("method"))
    by_cookie = who is None or who.user_id is not None
    if method not in SAFE_METHODS and by_cookie and not from_own_page(connection.scope):
        raise Forbidden("the request came from a page of another site: use an API token there")
    if operation.access is Open.ANYBODY:
        return
    if who is None:
        raise Unauthenticated("nobody is signed in: send 'Authorization: Bearer dash_…', or sign in")
    if isinstance(operation.access, Action):
        require(who, operation.access)
