"""What a GraphQL server says beside the data: errors inside a 200, what a query costs, when to come back."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
from msgspec import Raw

from appliance.components.resources import OutboundResponse
from appliance.domain.retry import retry_after_secs
from appliance.errors import BadRequest, ConfigError, Problem, TransientError

MOST_SAID: Final = 300  # characters of a server's own words in a message
_THROTTLED: Final = frozenset({"THROTTLED", "RATE_LIMITED", "RATE_LIMIT_EXCEEDED", "TOO_MANY_REQUESTS"})
_OURS: Final = frozenset(  # codes of what only another query, variable or credential mends
    {
        "GRAPHQL_PARSE_FAILED", "GRAPHQL_VALIDATION_FAILED", "BAD_USER_INPUT", "UNAUTHENTICATED", "FORBIDDEN",
        "OPERATION_RESOLUTION_FAILURE", "PERSISTED_QUERY_NOT_FOUND", "PERSISTED_QUERY_NOT_SUPPORTED",
        "UNDEFINEDFIELD", "ARGUMENTNOTACCEPTED", "MISSINGREQUIREDARGUMENTS", "ACCESS_DENIED", "NOT_FOUND",
        "MAX_COMPLEXITY_EXCEEDED", "MAX_NODE_LIMIT_EXCEEDED", "INSUFFICIENT_SCOPES",
    }
)  # fmt: skip
_THEIRS: Final = frozenset(
    {"INTERNAL_SERVER_ERROR", "INTERNAL_ERROR", "SERVICE_UNAVAILABLE", "TIMEOUT", "GATEWAY_TIMEOUT", "SERVICE_ERROR"}
)
_EPOCH_FROM: Final = 1_000_000_000  # a reset of so many seconds is a moment, a smaller one a distance


class GraphqlAnswer(msgspec.Struct, frozen=True):
    """The body; ``data`` is empty where it is absent. Source: the GraphQL specification, October 2021, section 7.1."""

    data: Raw = Raw()
    errors: list[Any] | None = None
    extensions: Any = None

    @property
    def codes(self) -> set[str]:
        """What the errors are classed by, in capitals: ``extensions.code`` of most servers, ``type`` of GitHub's."""
        found = set()
        for error in self.errors or []:
            if isinstance(error, Mapping):
                extensions = error.get("extensions")
                code = extensions.get("code") if isinstance(extensions, Mapping) else None
                found.add(str(code or error.get("type") or "").upper())
        return found - {""}

    @property
    def has_data(self) -> bool:
        return bytes(self.data) not in (b"", b"null")

    @property
    def refused(self) -> bool:
        """Return whether nothing was executed, which is the request's fault: no data, and no error has a path.

        Such answers should have no data at all; many servers write null, as for a field that failed.
        """
        placed = any(isinstance(error, Mapping) and error.get("path") for error in self.errors or [])
        return not self.has_data and not placed


def read_answer(body: bytes) -> GraphqlAnswer:
    """Return the parts of an answer. Raises BadRequest: not one of a GraphQL server."""
    try:
        answer = msgspec.json.decode(body, type=GraphqlAnswer)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(f"the answer is not one of a GraphQL server: {error}") from error
    if not bytes(answer.data) and not answer.errors:
        raise BadRequest("the answer is not one of a GraphQL server: it has neither data nor errors")
    return answer


def said(errors: Sequence[Any] | None) -> str:
    """Return the first messages, on one line and bounded."""
    told = []
    for error in errors or []:
        message = error.get("message") if isinstance(error, Mapping) else error
        told.append(" ".join(str(message).split())[:MOST_SAID])
    more = f" (and {len(told) - 3} more)" if len(told) > 3 else ""
    return ("; ".join(told[:3])[:MOST_SAID] or "no message") + more


def failure(doing: str, answer: GraphqlAnswer, response: OutboundResponse, now: datetime) -> Exception:
    """Return what an answer without data, or with data that is not wanted in part, comes to."""
    told = f"{doing} failed: {said(answer.errors)}"
    if answer.codes & _THROTTLED:
        if over := _never_enough(answer.extensions):
            return ConfigError([Problem("/source/query", f"{told}: {over}", "ask for smaller pages or fewer fields")])
        return TransientError(told, rest_secs(answer.extensions, response.headers, now) or 1.0)
    if answer.codes & _OURS or (answer.refused and not answer.codes & _THEIRS):
        return ConfigError([Problem("/source/query", told, "check the query, its variables and the credentials")])
    return TransientError(told, retry_after_secs(response.headers.get("retry-after"), now) or 1.0)


def rest_secs(extensions: Any, headers: Mapping[str, str], now: datetime) -> float:
    """Return how long to leave the server alone, by what it says of its limits; 0: ask on.

    Read are ``extensions.cost.throttleStatus`` (Shopify's leaky bucket), ``x-ratelimit-remaining`` with
    ``x-ratelimit-reset`` (GitHub; also without the x-), and ``Retry-After``.
    """
    waits = [_bucket_secs(extensions), _window_secs(headers, now), retry_after_secs(headers.get("retry-after"), now)]
    return max(0.0, *(wait for wait in waits if wait is not None), 0.0)


def _bucket_secs(extensions: Any) -> float | None:
    needed, status = _cost(extensions)
    available, rate = _number(status.get("currentlyAvailable")), _number(status.get("restoreRate"))
    if needed is None or available is None or not rate or rate < 0:
        return None
    return max(0.0, (needed - available) / rate)


def _never_enough(extensions: Any) -> str | None:
    needed, status = _cost(extensions)
    most = _number(status.get("maximumAvailable"))
    if needed is None or most is None or needed <= most:
        return None
    return f"the query costs {needed:g} and the server allows {most:g} at most"


def _cost(extensions: Any) -> tuple[float | None, Mapping[str, Any]]:
    """Return what the query costs and the state of the bucket that pays for it."""
    cost = extensions.get("cost") if isinstance(extensions, Mapping) else None
    if not isinstance(cost, Mapping):
        return None, {}
    status = cost.get("throttleStatus")
    needed = _number(cost.get("requestedQueryCost"))
    return needed if needed is not None else _number(cost.get("actualQueryCost")), (
        status if isinstance(status, Mapping) else {}
    )


def _window_secs(headers: Mapping[str, str], now: datetime) -> float | None:
    remaining = _header(headers, "ratelimit-remaining")
    reset = _header(headers, "ratelimit-reset")
    if remaining is None or remaining > 0 or reset is None:
        return None
    return max(0.0, reset - now.timestamp() if reset >= _EPOCH_FROM else reset)


def _header(headers: Mapping[str, str], name: str) -> float | None:
    text = headers.get(f"x-{name}", headers.get(name, "")).strip()
    return float(text[:15]) if text.isascii() and text.isdigit() else None


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
