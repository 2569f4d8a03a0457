"""An event on its way into Bronze, and as it is read back."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from appliance.domain.ids import PipelineId


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """What is known about a delivery beside its payloads. One envelope serves all events of one request or page."""

    received_at: datetime  # aware, UTC
    source: str  # the source's type: webhook, http_poll, host_metrics
    delivery_id: str | None = None  # the sender's id, constant over its retries
    remote: str | None = None  # address of the sender, or host of the poll target
    headers: dict[str, str] = {}  # the few request headers worth keeping; never credentials
    checkpoint: dict[str, Any] | None = None  # a pull source's place after this delivery, durable with it


class Delivery(msgspec.Struct, frozen=True):
    """Events that arrive together and become durable together.

    ``payloads``: one buffer an event, each exactly one JSON value, verbatim (it may contain line breaks between
    tokens). May be empty when only ``envelope.checkpoint`` moves.
    """

    envelope: Envelope
    payloads: Sequence[Any]  # bytes or msgspec.Raw: anything bytes.join accepts


class Receipt(msgspec.Struct, frozen=True):
    """Bronze's answer: these sequence numbers are durable. ``duplicate``: they already were, nothing was written."""

    first_seq: int
    last_seq: int
    duplicate: bool = False

    @property
    def count(self) -> int:
        return self.last_seq - self.first_seq + 1


class Frame(msgspec.Struct, frozen=True):
    """One delivery (or the tail of one) as Bronze stores it.

    ``lines``: the payloads, each on a line of its own, joined by ``\\n`` without a trailing one; ``count`` of them,
    numbered from ``first_seq`` without a gap. A payload that holds line breaks comes back as it was only through
    ``BronzeLog.event``; here its breaks (white space between tokens) have become spaces.

    ``withdrawn``: sequence numbers, ascending, of events that shall not be refined: dropped by hand or erased; they
    count as filtered, and their lines are ``null``. ``damaged``: why none of these events can be read; all lines are
    ``null``, and ``received_us`` is only about right.

    ``delivery_id``: as in the envelope, unless the frame is damaged; with one, ``delivery_seq`` is the first event of
    the delivery, which this may be the tail of.
    """

    first_seq: int
    count: int
    received_us: int  # microseconds since 1970-01-01 UTC
    lines: bytes
    withdrawn: tuple[int, ...] = ()
    damaged: str | None = None
    delivery_id: str | None = None
    delivery_seq: int = 0

    @property
    def last_seq(self) -> int:
        return self.first_seq + self.count - 1


class StoredEvent(msgspec.Struct, frozen=True):
    """One event with its place in Bronze: what lineage shows."""

    pipeline_id: PipelineId
    seq: int
    envelope: Envelope
    payload: bytes  # verbatim
    segment: str  # file name
    line: int  # 1-based line in the (uncompressed) segment
