"""What a component is handed beside its configuration. Nothing here is looked up: it is given, or it is not had."""

from collections.abc import Mapping
from typing import Any, Protocol

import msgspec

from appliance.domain.clock import Clock
from appliance.domain.ids import PipelineId


class OutboundRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One HTTP request to somebody else's server. ``url``: http or https, absolute, without user and password."""

    url: str
    method: str = "GET"
    headers: Mapping[str, str] = {}
    body: bytes | None = None
    timeout_secs: float = 30.0  # for all of it, from resolving the name to the last byte
    max_bytes: int = 10 << 20  # of the answer, inflated
    max_redirects: int = 0  # followed for GET and HEAD only; each hop is judged like the first


class OutboundResponse(msgspec.Struct, frozen=True, kw_only=True):
    """An answer, whole. ``headers``: names in lower case, repeated ones joined by ``, ``; ``body`` inflated."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str  # what answered in the end


class Outbound(Protocol):
    """The only way out of the appliance. Satisfied by ``appliance.egress``; safe to call from many tasks at once."""

    async def send(self, request: OutboundRequest) -> OutboundResponse:
        """Send ``request`` and return the answer, whatever its status; nothing is tried twice.

        Raises:
            ConfigError: the target is malformed or not allowed, or redirects too often; the message names the remedy.
            TransientError: name not resolved, connection refused or broken, too slow.
            TooLarge: the answer exceeds ``max_bytes``.
            UnsupportedMedia: the answer is encoded in a way nobody asked for, or its encoding is broken.
        """
        ...


class Log(Protocol):
    """A structured log, bound to the component by whoever hands it over. ``event``: a constant sentence, no values."""

    def info(self, event: str, **fields: Any) -> Any: ...

    def warning(self, event: str, **fields: Any) -> Any: ...

    def error(self, event: str, **fields: Any) -> Any: ...


class Resources(msgspec.Struct, frozen=True, kw_only=True):
    """The five things a component may use.

    ``secrets``: signing secrets that the appliance keeps for this pipeline, newest first, in clear; they count
    beside those in the configuration, so that rotating one does not touch the document.
    """

    pipeline_id: PipelineId
    outbound: Outbound
    clock: Clock
    log: Log
    secrets: tuple[str, ...] = ()
