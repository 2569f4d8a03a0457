"""Requests read, answers written: JSON in and out, parameters of the query string, all mistakes at once."""

import asyncio
import re
from typing import Any, Final, NamedTuple, TypeVar

import msgspec
from litestar import Request, Response

from appliance.components import shape
from appliance.components.lint import decode, lint, suggest
from appliance.domain.access import Principal
from appliance.domain.partition import understood
from appliance.errors import BadRequest, Invalid, NotFound, Problem, UnsupportedMedia
from appliance.services import Services

T = TypeVar("T")
AnyRequest = Request[Any, Any, Any]

JSON: Final = "application/json"
MAX_BODY_BYTES: Final = 8 << 20
_ENCODER: Final = msgspec.json.Encoder(decimal_format="number")
_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,19}")


class Asked(NamedTuple):
    services: Services
    who: Principal


def asked(request: AnyRequest) -> Asked:
    """Return the services and who asks them; the guard has seen to it that it is somebody."""
    return Asked(services_of(request), request.scope["state"]["who"])


def services_of(request: AnyRequest) -> Services:
    services: Services = request.app.state["services"]
    return services


async def json_body(request: AnyRequest) -> Any:
    """Return the body as decoded JSON.

    Raises:
        UnsupportedMedia: the content type is something else.
        BadRequest: not JSON.
    """
    media, _, _ = request.headers.get("content-type", JSON).partition(";")
    if media.strip().lower() != JSON and not media.strip().lower().endswith("+json"):
        raise UnsupportedMedia(f"the body must be {JSON}, got {media[:100]!r}")
    body = await request.body()
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(f"the body is not JSON: {error}") from None


async def read_body(request: AnyRequest, type_: type[T]) -> T:
    """Return the body as a ``type_``. Raises as ``json_body``, and Invalid with every problem."""
    return decode(type_, await json_body(request))


async def json_object(request: AnyRequest) -> dict[str, Any]:
    """Return the body, a JSON object. Raises as ``json_body``, and Invalid: something else."""
    body = await json_body(request)
    if not isinstance(body, dict):
        raise Invalid([Problem("", f"expected an object, got {_kind(body)}")])
    return body


def _kind(value: Any) -> str:
    kinds = {list: "a list", str: "a string", bool: "true or false", type(None): "null"}
    return kinds.get(type(value), "a number")


def event_number(text: str) -> int:
    """Return the number of an event in a path, as people write it or whole. Raises NotFound: no event has it."""
    try:
        return understood(text)
    except ValueError as error:
        raise NotFound(str(error)) from error


def read_parameters(request: AnyRequest, type_: type[T]) -> T:
    """Return the query string as a ``type_``; lists and objects in it are JSON.

    Raises:
        Invalid: with every problem, ``/name`` being the place of a parameter.
    """
    fields = shape.fields(type_)  # type: ignore[arg-type]  # a Struct: what has parameters declares them so
    values: dict[str, Any] = {}
    problems: list[Problem] = []
    for name, text in request.query_params.multi_items():
        if name in values:
            problems.append(Problem(f"/{name}", f"the parameter {name!r} is given twice"))
        elif name not in fields:
            problems.append(Problem(f"/{name}", f"unknown parameter {name!r}", suggest(name, list(fields))))
        else:
            try:
                values[name] = _value(fields[name].type, text)
            except ValueError as error:
                problems.append(Problem(f"/{name}", str(error)))
    if problems := problems + lint(type_, values):
        raise Invalid(problems)
    return msgspec.convert(values, type_)


def _value(type_: Any, text: str) -> Any:
    kinds = [shape.peel(member)[0] for member in shape.members(type_)]
    if int in kinds and _INTEGER.fullmatch(text):
        return int(text)
    if bool in kinds and text in ("true", "false"):
        return text == "true"
    if str in kinds or (shape.item_type(type_) is None and shape.value_type(type_) is None):
        return text
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise ValueError(f"expected JSON: {error}") from None


def answered(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response[bytes]:
    """Return ``value`` as JSON: instants in RFC 3339, decimals as numbers."""
    return Response(_ENCODER.encode(value), status_code=status, media_type=JSON, headers=headers)


async def answered_at_length(value: Any) -> Response[bytes]:
    """Return ``value``, which may have thousands of rows, as JSON: encoded in a thread, others are not kept waiting."""
    return Response(await asyncio.to_thread(_ENCODER.encode, value), media_type=JSON)


def nothing(headers: dict[str, str] | None = None) -> Response[None]:
    """Return the answer that says: done."""
    return Response(None, status_code=204, headers=headers)


class PageParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where in a list, and how much of it."""

    cursor: str | None = None
    limit: int = 50
