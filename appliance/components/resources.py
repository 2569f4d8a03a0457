"""What a component is handed beside its configuration. Nothing here is looked up: it is given, or it is not had."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from appliance.domain.clock import Clock
from appliance.domain.ids import PipelineId

if TYPE_CHECKING:
    import pyarrow as pa

    from appliance.components.feed import FeedPlace
    from appliance.components.silver import Table


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


class UpstreamRows(msgspec.Struct, frozen=True):
    """What ``Upstream.read`` answers: rows as ``Feed.read`` does, of ``table``, and the place after them."""

    table: "Table"
    rows: "pa.Table"
    place: "FeedPlace"


class Upstream(Protocol):
    """The committed rows of the other pipelines of the same organisation; those of others do not exist."""

    def find(self, named: str) -> PipelineId:
        """Return the pipeline with this id or name. What is asked for once is heard of: its commits poke the reader.

        Raises:
            ConfigError: no such pipeline runs here.
        """
        ...

    async def end(self, pipeline_id: PipelineId) -> "FeedPlace":
        """Return the place after everything committed so far. Raises as ``read``."""
        ...

    async def read(self, pipeline_id: PipelineId, after: "FeedPlace", limit: int) -> UpstreamRows:
        """Return the rows after that place, about ``limit`` of them. Raises TransientError, ConfigError (gone)."""
        ...

    def trouble(self, pipeline_id: PipelineId) -> str | None:
        """Return why no new rows are to be expected (paused, failed, gone), in words; None: all is well."""
        ...


class Log(Protocol):
    """A structured log, bound to the component by whoever hands it over. ``event``: a constant sentence, no values."""

    def info(self, event: str, **fields: Any) -> Any: ...

    def warning(self, event: str, **fields: Any) -> Any: ...

    def error(self, event: str, **fields: Any) -> Any: ...


class Resources(msgspec.Struct, frozen=True, kw_only=True):
    """The six things a component may use.

    ``upstream``: None where there are no other pipelines to read.
    ``secrets``: signing secrets that the appliance keeps for this pipeline, newest first, in clear; they count
    beside those in the configuration, so that rotating one does not touch the document.
    """

    pipeline_id: PipelineId
    outbound: Outbound
    clock: Clock
    log: Log
    upstream: Upstream | None = None
    secrets: tuple[str, ...] = ()
