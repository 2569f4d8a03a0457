"""The only table from errors to answers: RFC 9457 ``application/problem+json`` with a stable ``code``."""

import math
from http import HTTPStatus
from typing import Any, Final, NamedTuple

import msgspec
import structlog

from appliance import errors
from appliance.domain import handbook
from appliance.errors import DashError, Problem

MEDIA_TYPE: Final = "application/problem+json"

log = structlog.get_logger("api")


class Kind(NamedTuple):
    status: int
    title: str


KINDS: Final[dict[str, Kind]] = {
    "E_MALFORMED": Kind(400, "The request cannot be read"),
    "E_REQUEST": Kind(400, "The request cannot be done"),
    "E_UNAUTHENTICATED": Kind(401, "Not signed in"),
    "E_FORBIDDEN": Kind(403, "Not allowed"),
    "E_UNLICENSED": Kind(403, "Not licensed"),
    "E_NOT_FOUND": Kind(404, "Not found"),
    "E_METHOD": Kind(405, "Method not allowed"),
    "E_CONFLICT": Kind(409, "The present state does not permit it"),
    "E_TOO_LARGE": Kind(413, "Too large"),
    "E_MEDIA_TYPE": Kind(415, "Media type not supported"),
    "E_INVALID": Kind(422, "The request has mistakes"),
    "E_CONFIG": Kind(422, "The configuration has mistakes"),
    "E_RECORD": Kind(422, "A record has mistakes"),
    "E_RATE_LIMITED": Kind(429, "Too many requests"),
    "E_INTERNAL": Kind(500, "Dash made a mistake"),
    "E_FATAL": Kind(500, "State cannot be trusted"),
    "E_UNAVAILABLE": Kind(503, "Not possible right now"),
    "E_MAINTENANCE": Kind(503, "Under maintenance"),
}
_BY_STATUS: Final = {
    400: "E_MALFORMED",
    401: "E_UNAUTHENTICATED",
    403: "E_FORBIDDEN",
    404: "E_NOT_FOUND",
    405: "E_METHOD",
    413: "E_TOO_LARGE",
    415: "E_MEDIA_TYPE",
    429: "E_RATE_LIMITED",
    503: "E_UNAVAILABLE",
}  # what the framework raises on its own
_TOLD: Final = {
    404: "there is nothing at this address: /api/docs lists what there is",
    405: "this address knows other methods: the header Allow names them",
    413: "the body is too large: send less at once",
}


class ProblemDetails(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The body of every answer that is not a success. ``problems``: all mistakes, by JSON pointer into the body."""

    type: str  # where the handbook explains the code
    title: str
    status: int
    detail: str
    instance: str
    code: str
    problems: list[Problem] = []


def problem_of(error: Exception, path: str) -> tuple[int, dict[str, str], bytes]:
    """Return status, headers and body that tell ``error`` to whoever asked for ``path``. Bugs are logged, not shown."""
    if isinstance(error, DashError) and error.code in KINDS:
        told = f"{error} ({error.hint})" if isinstance(error, errors.FatalError) else str(error)
        return _answer(error.code, told, path, error)
    if isinstance(error, RecursionError):  # the only thing that recurses here is what somebody sent
        return _answer("E_MALFORMED", "the request is nested too deeply: flatten it", path, error)
    status = getattr(error, "status_code", None)  # the framework's own
    if isinstance(status, int) and status in _BY_STATUS:
        return _answer(_BY_STATUS[status], _told(status, error), path, error)
    return _answer(
        "E_INTERNAL", "the request failed for a reason that is in the log: report it with the log", path, error
    )


def _told(status: int, error: Exception) -> str:
    return _TOLD.get(status) or str(getattr(error, "detail", "") or HTTPStatus(status).phrase)


def _answer(code: str, detail: str, path: str, error: Exception) -> tuple[int, dict[str, str], bytes]:
    kind = KINDS[code]
    if kind.status >= HTTPStatus.INTERNAL_SERVER_ERROR and code not in ("E_UNAVAILABLE", "E_MAINTENANCE"):
        log.error("request.failed", path=path, code=code, exc_info=error)
    details = ProblemDetails(
        type=handbook.of_error(code),
        title=kind.title,
        status=kind.status,
        detail=detail,
        instance=path,
        code=code,
        problems=list(getattr(error, "problems", ())),
    )
    return kind.status, _headers(kind.status, error), msgspec.json.encode(details)


def _headers(status: int, error: Any) -> dict[str, str]:
    headers = {"content-type": MEDIA_TYPE, "cache-control": "no-store"}
    wait = getattr(error, "retry_after_secs", None)
    if wait is not None:
        headers["retry-after"] = str(max(1, math.ceil(wait)))
    if status == HTTPStatus.UNAUTHORIZED:
        headers["www-authenticate"] = 'Bearer realm="dash"'
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        headers |= {name.lower(): value for name, value in (getattr(error, "headers", None) or {}).items()}
    return headers


def codes() -> set[str]:
    """Return every code that may appear in an answer: those of the error tree and the framework's."""
    tree = [one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, DashError)]
    return {one.code for one in tree} | set(_BY_STATUS.values())


def kind_of(error: type[errors.DashError]) -> Kind:
    """Return the status and title that errors of this class are told with."""
    return KINDS[error.code]
