"""The OpenAPI 3.1 document, made from the routes and their operations: what is not declared there is not documented."""

import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import msgspec
from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute

from appliance import __version__
from appliance.api.authentication import SAFE_METHODS
from appliance.api.openapi_ingest import INGEST
from appliance.api.operations import OPERATION, Open, Operation
from appliance.api.problems import KINDS, MEDIA_TYPE, ProblemDetails, kind_of
from appliance.components import shape
from appliance.domain.access import CHANGES, Action
from appliance.domain.pipeline import PipelineDocument
from appliance.errors import (
    BadRequest,
    Conflict,
    DashError,
    FatalError,
    Forbidden,
    TooLarge,
    TransientError,
    Unauthenticated,
    UnderMaintenance,
    UnsupportedMedia,
)
from appliance.services import Services
from appliance.services.sessions import COOKIE
from appliance.services.views import PipelineView

_SCHEMAS: Final = "#/components/schemas/{name}"
_METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")
_PATH_PARAMETER: Final = re.compile(r"\{(\w+):(\w+)\}")
_EVENT: Final = {
    "type": "string",
    "description": "The number of an event: as in JSON, or as people write it, 1:42 being 42 in partition 1",
    "pattern": r"^([0-9]{1,3}:)?[0-9]+$",
    "examples": ["42", "1:42"],
}
_BODY_ERRORS: Final = (BadRequest, TooLarge, UnsupportedMedia)


class Route(NamedTuple):
    """One method of one path. ``name``: the handler's, unique below its tag."""

    method: str
    path: str  # as OpenAPI writes it: /api/v1/pipelines/{pipeline_id}
    operation: Operation
    tag: str
    name: str
    numbers: frozenset[str]  # path parameters that are integers


def routes_of(app: Litestar) -> Iterator[Route]:
    """Yield every route of ``app`` that does something for somebody, as they are declared."""
    for route in app.routes:
        if not isinstance(route, HTTPRoute):
            continue
        for handler in route.route_handlers:
            for method in sorted(handler.http_methods & set(_METHODS)):
                yield _route(route.path, method, handler)


def _route(path: str, method: str, handler: HTTPRouteHandler) -> Route:
    tags = sorted(handler.resolve_tags() or ())
    return Route(
        method=method,
        path=_PATH_PARAMETER.sub(r"{\1}", path),
        operation=handler.opt[OPERATION],
        tag=tags[0] if tags else "other",
        name=handler.handler_name,
        numbers=frozenset(name for name, type_ in _PATH_PARAMETER.findall(path) if type_ == "int"),
    )


def document_of(app: Litestar) -> dict[str, Any]:
    """Return the OpenAPI document of ``app``."""
    routes = sorted(routes_of(app), key=lambda route: (route.path, _METHODS.index(route.method)))
    services: Services = app.state["services"]
    sources = services.pipelines.sources()
    types = [*_types(routes), *sources.values()]
    schemas, components = msgspec.json.schema_components(types, ref_template=_SCHEMAS)
    _tell_sources(components, sources)
    schema_of = dict(zip(map(repr, types), schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, schema_of)
    paths["/in/{pipeline_id}"] = {"post": INGEST}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Dash", "version": __version__, "description": _ABOUT},
        "servers": [{"url": "/"}],
        "tags": [{"name": tag} for tag in dict.fromkeys([*(route.tag for route in routes), *INGEST["tags"]])],
        "paths": paths,
        "components": {"schemas": components, "securitySchemes": _SECURITY},
    }


_ABOUT: Final = (
    "Everything a person can do on a screen. Lists answer `items` and `next_cursor`; times are RFC 3339 in UTC; every "
    "error is `application/problem+json` with a stable `code`, and bad input is told with all its problems. Writes "
    "take an `Idempotency-Key`: sent again within 24 hours, the first answer comes back."
)
_SECURITY: Final = {
    "token": {"type": "http", "scheme": "bearer", "description": "An API token: dash_…"},
    "session": {"type": "apiKey", "in": "cookie", "name": COOKIE, "description": "The browser's session"},
}


def _tell_sources(components: dict[str, Any], sources: dict[str, type[msgspec.Struct]]) -> None:
    """Replace "some object" by the sources there are, where a pipeline's source is meant."""
    one_of = [{"$ref": _SCHEMAS.format(name=config.__name__)} for config in sources.values()]
    for name in (PipelineDocument.__name__, PipelineView.__name__):
        told = components[name]["properties"]["source"]
        components[name]["properties"]["source"] = {
            "oneOf": one_of,
            "discriminator": {"propertyName": "type"},
            "description": told.get("description", "By its type"),
        }


def _types(routes: list[Route]) -> list[Any]:
    wanted: list[Any] = [ProblemDetails]
    for route in routes:
        operation = route.operation
        wanted += [type_ for type_ in (operation.answer, operation.body) if type_ is not None]
        if operation.parameters is not None:
            wanted += [field.type for field in shape.fields(operation.parameters).values()]
    return list({repr(type_): type_ for type_ in wanted}.values())


def _operation(route: Route, schema_of: dict[str, Any]) -> dict[str, Any]:
    operation = route.operation
    told: dict[str, Any] = {
        "operationId": f"{route.tag.replace('-', '_')}_{route.name}_{_last_word(route.path)}",
        "tags": [route.tag],
        "summary": operation.summary,
        "description": " ".join(part for part in (operation.description, _needs(operation)) if part),
        "parameters": _parameters(route, schema_of),
        "responses": {str(operation.status): _success(operation, schema_of), **_failures(route)},
        "security": [] if operation.access is Open.ANYBODY else [{"token": []}, {"session": []}],
    }
    if operation.body is not None:
        content: dict[str, Any] = {"schema": schema_of[repr(operation.body)]}
        if operation.example is not None:
            content["example"] = operation.example
        told["requestBody"] = {"required": True, "content": {"application/json": content}}
    return told


def _last_word(path: str) -> str:
    return re.sub(r"\W", "", path.rsplit("/", 1)[-1])


def _needs(operation: Operation) -> str:
    return f"Needs the permission `{operation.access.value}`." if isinstance(operation.access, Action) else ""


def _parameters(route: Route, schema_of: dict[str, Any]) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": _EVENT if name == "seq" else {"type": "integer" if name in route.numbers else "string"},
        }
        for name in re.findall(r"\{(\w+)\}", route.path)
    ]
    if route.operation.parameters is not None:
        for name, field in shape.fields(route.operation.parameters).items():
            schema = schema_of[repr(field.type)]
            listed = shape.item_type(field.type) or shape.value_type(field.type)
            place = {"content": {"application/json": {"schema": schema}}} if listed else {"schema": schema}
            told.append({"name": name, "in": "query", "required": field.required, **place})
    if route.method not in SAFE_METHODS and route.operation.access is not Open.ANYBODY:
        told.append({"name": "Idempotency-Key", "in": "header", "required": False, "schema": {"type": "string"}})
    return told


def _success(operation: Operation, schema_of: dict[str, Any]) -> dict[str, Any]:
    content: dict[str, Any] = {}
    if operation.answer is not None:
        content["application/json"] = {"schema": schema_of[repr(operation.answer)]}
    content |= {media: {} for media in operation.media}
    return {"description": "Done", **({"content": content} if content else {})}


def _failures(route: Route) -> dict[str, Any]:
    """Return an answer for each status, with every code that comes with it."""
    codes: dict[int, list[str]] = {}
    for error in errors_of(route):
        codes.setdefault(kind_of(error).status, []).append(error.code)
    problem = {"schema": {"$ref": _SCHEMAS.format(name=ProblemDetails.__name__)}}
    return {
        str(status): {
            "description": "; ".join(f"`{code}` {KINDS[code].title}" for code in sorted(set(found))),
            "content": {MEDIA_TYPE: problem},
            **({"headers": _RETRY_AFTER} if status in (429, 503) else {}),
        }
        for status, found in sorted(codes.items())
    }


_RETRY_AFTER: Final = {"Retry-After": {"description": "Seconds", "schema": {"type": "integer"}}}


def errors_of(route: Route) -> list[type[DashError]]:
    """Return what a route may raise: what it declares, and what follows from what it is."""
    operation, write = route.operation, route.method not in SAFE_METHODS
    found: list[type[DashError]] = [DashError, FatalError, TransientError, *operation.errors]
    if operation.access is not Open.ANYBODY:
        found += [Unauthenticated]
    if isinstance(operation.access, Action) or write:
        found += [Forbidden]
    if operation.access in CHANGES:
        found += [UnderMaintenance]
    if operation.body is not None:
        found += _BODY_ERRORS
    if write and operation.access is not Open.ANYBODY:
        found += [Conflict]  # Idempotency-Key
    return found
