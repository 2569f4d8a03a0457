"""The contracts of sources: webhook is pushed to, every other source is polled by the engine."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol, runtime_checkable

import msgspec


class InboundRequest(msgspec.Struct, frozen=True):
    """A request to ``POST /in/{pipeline_id}``, whole. ``headers``: names in lower case."""

    headers: Mapping[str, str]
    body: bytes  # as received, still compressed where ``content-encoding`` says so
    remote: str | None
    received_at: datetime


class Admission(msgspec.Struct, frozen=True):
    """What a push source let in: one buffer an event, verbatim, and the sender's delivery id where it has one."""

    payloads: Sequence[Any]
    delivery_id: str | None


class PushSource(Protocol):
    """Judges one request. Pure CPU, no I/O, quick: it runs on the event loop."""

    def admit(self, request: InboundRequest) -> Admission:
        """Check signature, age, encoding and that the body is JSON, and split it into events.

        The signature is checked before anything else is looked at; sizes before anything is inflated.

        Raises:
            Unauthenticated: signature missing, wrong or stale; the message says which, never the expected value.
            UnsupportedMedia: a content type or encoding this source does not read.
            TooLarge: the body (inflated) or the number of events exceeds the bound, which the message names.
            BadRequest: not JSON; the message names the line or byte.
        """
        ...


class Page(msgspec.Struct, frozen=True):
    """One answer of a polled source.

    ``checkpoint``: the source's place after this page (JSON object), made durable together with the events.
    ``delivery_id``: None, or a name for this very page, so that fetching it again after a crash has no second effect.
    """

    payloads: Sequence[Any]
    checkpoint: dict[str, Any] | None = None
    delivery_id: str | None = None
    remote: str | None = None


class PullSource(Protocol):
    """Asks for new events when the engine says so. The engine alone schedules, backs off and writes to Bronze."""

    @property
    def schedule(self) -> "Schedule":
        """When to poll next after a poll that worked."""
        ...

    def poll(self, checkpoint: dict[str, Any] | None) -> AsyncIterator[Page]:
        """Yield pages from ``checkpoint`` (None: the very first time) on; each is durable before the next is asked.

        Raises:
            TransientError: back off and poll again from the last durable checkpoint; ``retry_after_secs`` is honoured.
            ConfigError: polling again cannot help (401, 404 …): shown to the user, retried slowly.
        """
        ...


class Schedule(Protocol):
    """When something is due. Satisfied by ``appliance.domain.schedule.Every`` and ``Cron``."""

    def due(self, after: datetime) -> datetime:
        """Return the first instant strictly after ``after`` (aware); the answer is UTC."""
        ...


@runtime_checkable
class Resumable(Protocol):
    """A pull source that goes on where any node has left off, without fetching anything twice."""

    def resumed(self, own: dict[str, Any] | None, elsewhere: Sequence[dict[str, Any] | None]) -> dict[str, Any] | None:
        """Return the checkpoint to go on from, of this node's and those of others that have polled."""
        ...
