"""Webhook: other systems post signed events to ``/in/{pipeline_id}``."""

from typing import Annotated

import msgspec
from msgspec import Meta

from appliance.components.resources import Resources
from appliance.components.source import Admission, InboundRequest, PushSource
from appliance.domain.quantity import Duration, Size, parse_duration, parse_size
from appliance.errors import BadRequest
from appliance.sources.body import inflate, kind_of, split
from appliance.sources.signatures import Encoding, HmacHeader, Signature, scheme, standard_key

_MAX_DELIVERY_ID = 255
_HEADER = r"^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$"  # a token of RFC 9110


class WebhookConfig(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="webhook", kw_only=True
):
    """Events that other systems post, signed, to this pipeline's own address."""

    signature: Annotated[Signature, Meta(title="Signature", description="The scheme the sender signs by")] = (
        Signature.STANDARD_WEBHOOKS
    )
    secrets: Annotated[
        list[Annotated[str, Meta(min_length=8, max_length=512)]],
        Meta(
            title="Secrets",
            description="Signing secrets, newest first; any of them may match, so that one can be rotated",
            max_length=10,
            extra={"secret": True},
        ),
    ] = []
    tolerance: Annotated[
        Duration,
        Meta(
            title="Tolerance",
            description="How far a signature's timestamp may lie in the past or future",
            examples=["5m"],
            extra={"min": "1s", "max": "1d"},
        ),
    ] = "5m"
    header: Annotated[
        str,
        Meta(
            title="Signature header",
            description="hmac_sha256 only: the header with the digest",
            pattern=_HEADER,
            examples=["X-Signature"],
        ),
    ] = "X-Signature"
    encoding: Annotated[Encoding, Meta(title="Encoding", description="hmac_sha256 only: how the digest is written")] = (
        Encoding.HEX
    )
    prefix: Annotated[
        str,
        Meta(
            title="Prefix", description="hmac_sha256 only: what stands before it", examples=["sha256="], max_length=40
        ),
    ] = ""
    delivery_header: Annotated[
        str | None,
        Meta(
            title="Delivery id header",
            description="hmac_sha256 and none only: the header that names a delivery, constant over retries; "
            "Idempotency-Key if not set",
            examples=["X-Request-Id"],
        ),
    ] = None
    max_body: Annotated[
        Size,
        Meta(
            title="Largest body",
            description="Of one request, inflated",
            examples=["10 MiB"],
            extra={"min": "1 KiB", "max": "64 MiB"},
        ),
    ] = "10 MiB"
    max_events: Annotated[int, Meta(title="Most events", description="Of one request", ge=1, le=100_000)] = 100_000

    def __post_init__(self) -> None:
        if self.signature is Signature.STANDARD_WEBHOOKS:
            for secret in self.secrets:
                standard_key(secret)
        named = (self.header, self.encoding, self.prefix) != ("X-Signature", Encoding.HEX, "")
        if named and self.signature is not Signature.HMAC_SHA256:
            raise ValueError("header, encoding and prefix belong to the signature 'hmac_sha256': leave them out")
        if self.delivery_header is not None and self.signature not in (Signature.HMAC_SHA256, Signature.NONE):
            raise ValueError("delivery_header belongs to the signatures 'hmac_sha256' and 'none': leave it out")


class Webhook:
    """Judges posted requests: signature, size, encoding, type, JSON; in that order, without I/O."""

    def __init__(self, config: WebhookConfig, resources: Resources) -> None:
        self._scheme = scheme(
            config.signature,
            [*resources.secrets, *config.secrets],
            parse_duration(config.tolerance).total_seconds(),
            HmacHeader(config.header, config.encoding, config.prefix, config.delivery_header),
        )
        self._max_body = parse_size(config.max_body)
        self._max_events = config.max_events

    def admit(self, request: InboundRequest) -> Admission:
        """See ``PushSource.admit``."""
        headers = request.headers
        self._scheme.check(headers, request.body, request.received_at.timestamp())
        body = inflate(request.body, headers.get("content-encoding"), self._max_body)
        events = split(body, kind_of(headers.get("content-type")), self._max_events)
        delivery_id = self._scheme.delivery_id(headers)
        if delivery_id is not None and len(delivery_id) > _MAX_DELIVERY_ID:
            raise BadRequest(f"a delivery id may have at most {_MAX_DELIVERY_ID} characters, got {len(delivery_id)}")
        return Admission(events, delivery_id)


_: type[PushSource] = Webhook
