"""Webhook signatures: how each scheme is checked, and how it is made (for curl commands, tests and benchmarks).

A check looks at the bytes as they were sent (compressed where the sender compressed), compares in constant time, and
raises nothing but ``Unauthenticated``. Any of several secrets may match, so that one can be rotated.
"""

import base64
import binascii
import hmac
import secrets as randomness
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Protocol

import msgspec

from appliance.errors import Unauthenticated

_PREFIX = "whsec_"
_MAX_CANDIDATES = 32  # signatures in one header: enough for any rotation, too few to make checking costly


class Signature(Enum):
    """The scheme a sender signs by."""

    STANDARD_WEBHOOKS = "standard_webhooks"
    GITHUB = "github"
    STRIPE = "stripe"
    SLACK = "slack"
    HMAC_SHA256 = "hmac_sha256"
    NONE = "none"


class Encoding(Enum):
    """How the bytes of a plain HMAC are written."""

    HEX = "hex"
    BASE64 = "base64"


class HmacHeader(msgspec.Struct, frozen=True):
    """Where a plain HMAC stands: ``prefix`` and the encoded digest of the body, in ``header`` (any case)."""

    header: str = "X-Signature"
    encoding: Encoding = Encoding.HEX
    prefix: str = ""
    delivery_header: str | None = None


class Scheme(Protocol):
    """One way of signing, with its secrets. ``headers``: names in lower case; ``now``: seconds since 1970."""

    def check(self, headers: Mapping[str, str], body: bytes, now: float) -> None:
        """Return if ``body`` is signed with one of the secrets, in time.

        Raises:
            Unauthenticated: missing, malformed, wrong or stale; the message says which.
        """
        ...

    def delivery_id(self, headers: Mapping[str, str]) -> str | None:
        """Return the sender's name for this delivery, constant over its retries; None where the scheme has none."""
        ...

    def sign(self, body: bytes, now: float, delivery_id: str) -> dict[str, str]:
        """Return the headers that ``check`` accepts for ``body``, made with the first secret."""
        ...


def generate_secret() -> str:
    """Return a new secret: ``whsec_`` and 32 random bytes in base64. Good for every scheme."""
    return _PREFIX + base64.b64encode(randomness.token_bytes(32)).decode()


def scheme(
    signature: Signature, secrets: Sequence[str], tolerance_secs: float = 300, plain: HmacHeader | None = None
) -> Scheme:
    """Return the scheme ``signature`` with ``secrets``, newest first. ``plain``: for ``hmac_sha256`` and ``none``.

    Raises:
        ValueError: a secret that the scheme cannot use; the message does not show it.
    """
    match signature:
        case Signature.STANDARD_WEBHOOKS:
            return StandardWebhooks([standard_key(secret) for secret in secrets], tolerance_secs)
        case Signature.NONE:
            return Unsigned(plain or HmacHeader())
    keys = [secret.encode() for secret in secrets]
    match signature:
        case Signature.GITHUB:
            return GitHub(keys)
        case Signature.STRIPE:
            return Stripe(keys, tolerance_secs)
        case Signature.SLACK:
            return Slack(keys, tolerance_secs)
        case Signature.HMAC_SHA256:
            return PlainHmac(keys, plain or HmacHeader())


def standard_key(secret: str) -> bytes:
    """Return the key bytes of a Standard Webhooks secret.

    Raises:
        ValueError: not base64 of 24 to 64 bytes; the message does not show it.
    """
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not 24 <= len(key) <= 64:
        raise ValueError("a Standard Webhooks secret is 'whsec_' and 24 to 64 bytes in base64: generate a new one")
    return key


class StandardWebhooks:
    """``webhook-id``, ``webhook-timestamp``, ``webhook-signature: v1,<base64>``…, over ``id.timestamp.body``.

    Source: Standard Webhooks 1.0.0. Only its symmetric signatures (``v1``) are read; others are passed over.
    """

    def __init__(self, keys: Sequence[bytes], tolerance_secs: float) -> None:
        self._keys, self._tolerance_secs = keys, tolerance_secs

    def check(self, headers: Mapping[str, str], body: bytes, now: float) -> None:
        delivery_id = _required(headers, "webhook-id")
        timestamp = _required(headers, "webhook-timestamp")
        signatures = _required(headers, "webhook-signature")
        _check_age(timestamp, now, self._tolerance_secs)
        given = [entry[3:] for entry in signatures.split(" ", _MAX_CANDIDATES) if entry.startswith("v1,")]
        signed = b"%b.%b.%b" % (_wire(delivery_id), _wire(timestamp), body)
        _compare(self._keys, signed, given, _base64)

    def delivery_id(self, headers: Mapping[str, str]) -> str | None:
        return headers.get("webhook-id") or None

    def sign(self, body: bytes, now: float, delivery_id: str) -> dict[str, str]:
        signed = b"%b.%d.%b" % (_wire(delivery_id), int(now), body)
        return {
            "webhook-id": delivery_id,
            "webhook-timestamp": str(int(now)),
            "webhook-signature": "v1," + _base64(_digest(self._keys[0], signed)),
        }


class GitHub:
    """``X-Hub-Signature-256: sha256=<hex>`` over the body. No time in it: what is replayed is told by its delivery id.

    Source: GitHub Docs, "Validating webhook deliveries".
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._keys = keys

    def check(self, headers: Mapping[str, str], body: bytes, now: float) -> None:
        given = _required(headers, "x-hub-signature-256")
        if not given.startswith("sha256="):
            raise Unauthenticated("the header X-Hub-Signature-256 must begin with 'sha256='")
        _compare(self._keys, body, [given[7:].lower()], bytes.hex)

    def delivery_id(self, headers: Mapping[str, str]) -> str | None:
        return headers.get("x-github-delivery") or None

    def sign(self, body: bytes, now: float, delivery_id: str) -> dict[str, str]:
        return {
            "X-Hub-Signature-256": "sha256=" + _digest(self._keys[0], body).hex(),
            "X-GitHub-Delivery": delivery_id,
        }


class Stripe:
    """``Stripe-Signature: t=<seconds>,v1=<hex>``…, over ``t.body``. The delivery has no id outside its body.

    Source: Stripe Docs, "Verify webhook signatures manually".
    """

    def __init__(self, keys: Sequence[bytes], tolerance_secs: float) -> None:
        self._keys, self._tolerance_secs = keys, tolerance_secs

    def check(self, headers: Mapping[str, str], body: bytes, now: float) -> None:
        pairs = [entry.strip().partition("=") for entry in _required(headers, "stripe-signature").split(",")]
        timestamp = next((value for name, _, value in pairs if name == "t"), "")
        _check_age(timestamp, now, self._tolerance_secs)
        given = [value for name, _, value in pairs if name == "v1"][:_MAX_CANDIDATES]
        _compare(self._keys, b"%b.%b" % (_wire(timestamp), body), given, bytes.hex)

    def delivery_id(self, headers: Mapping[str, str]) -> str | None:
        return None

    def sign(self, body: bytes, now: float, delivery_id: str) -> dict[str, str]:
        signed = _digest(self._keys[0], b"%d.%b" % (int(now), body)).hex()
        return {"Stripe-Signature": f"t={int(now)},v1={signed}"}


class Slack:
    """``X-Slack-Signature: v0=<hex>`` over ``v0:timestamp:body``. The delivery has no id outside its body.

    Source: Slack Docs, "Verifying requests from Slack".
    """

    def __init__(self, keys: Sequence[bytes], tolerance_secs: float) -> None:
        self._keys, self._tolerance_secs = keys, tolerance_secs

    def check(self, headers: Mapping[str, str], body: bytes, now: float) -> None:
        timestamp = _required(headers, "x-slack-request-timestamp")
        given = _required(headers, "x-slack-signature")
        _check_age(timestamp, now, self._tolerance_secs)
        if not given.startswith("v0="):
            raise Unauthenticated("the header X-Slack-Signature must begin with 'v0='")
        _compare(self._keys, b"v0:%b:%b" % (_wire(timestamp), body), [given[3:]], bytes.hex)

    def delivery_id(self, headers: Mapping[str, str]) -> str | None:
        return None

    def sign(self, body: bytes, now: float, delivery_id: str) -> dict[str, str]:
        signed = _digest(self._keys[0], b"v0:%d:%b" % (int(now), body)).hex()
        return {"X-Slack-Request-Timestamp": str(int(now)), "X-Slack-Signature": "v0=" + signed}


class Unsigned:
    """No signature: whoever knows the address may send. The delivery id stands in a header, where there is one."""

    def __init__(self, plain: HmacHeader) -> None:
        self._delivery_header = (plain.delivery_header or "idempotency-key").lower()

    def check(self, headers: Mapping[str, str], body: bytes, now: float) -> None:
        return None

    def delivery_id(self, headers: Mapping[str, str]) -> str | None:
        return headers.get(self._delivery_header) or None

    def sign(self, body: bytes, now: float, delivery_id: str) -> dict[str, str]:
        return {_title(self._delivery_header): delivery_id}


class PlainHmac(Unsigned):
    """An HMAC-SHA256 of the body in a header of the sender's choosing. No time in it, as with GitHub."""

    def __init__(self, keys: Sequence[bytes], plain: HmacHeader) -> None:
        super().__init__(plain)
        self._keys, self._plain, self._header = keys, plain, plain.header.lower()
        self._encode: Callable[[bytes], str] = bytes.hex if plain.encoding is Encoding.HEX else _base64

    def check(self, headers: Mapping[str, str], body: bytes, now: float) -> None:
        given = _required(headers, self._header)
        if not given.startswith(self._plain.prefix):
            raise Unauthenticated(f"the header {self._plain.header} must begin with {self._plain.prefix!r}")
        given = given[len(self._plain.prefix) :]
        _compare(self._keys, body, [given.lower() if self._plain.encoding is Encoding.HEX else given], self._encode)

    def sign(self, body: bytes, now: float, delivery_id: str) -> dict[str, str]:
        signed = self._plain.prefix + self._encode(_digest(self._keys[0], body))
        return {_title(self._header): signed, **super().sign(body, now, delivery_id)}


def _digest(key: bytes, signed: bytes) -> bytes:
    return hmac.digest(key, signed, "sha256")


def _base64(digest: bytes) -> str:
    return binascii.b2a_base64(digest, newline=False).decode()


def _title(header: str) -> str:
    return "-".join(word.capitalize() for word in header.split("-"))


def _wire(text: str) -> bytes:
    """Return header text as the bytes that were sent; what cannot have been sent cannot be signed either."""
    return text.encode("latin-1", "replace")


def _required(headers: Mapping[str, str], name: str) -> str:
    value = headers.get(name)
    if not value:
        raise Unauthenticated(f"the request is not signed: the header {name} is missing")
    return value


def _check_age(timestamp: str, now: float, tolerance_secs: float) -> None:
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
        raise Unauthenticated("the signature's timestamp must be whole seconds since 1970")
    age = now - int(timestamp)
    if abs(age) > tolerance_secs:
        told = f"{age:.0f} s old" if age > 0 else f"{-age:.0f} s in the future"
        raise Unauthenticated(
            f"the signature is stale: its timestamp is {told} and {tolerance_secs:.0f} s are tolerated; "
            "sign each attempt anew and check the clocks"
        )


def _compare(keys: Sequence[bytes], signed: bytes, given: Sequence[str], encode: Callable[[bytes], str]) -> None:
    """Return if one of the signatures ``given`` is right under one of ``keys``; every pair is compared."""
    if not keys:
        raise Unauthenticated("no signing secret is set for this pipeline: generate one on its page")
    candidates = [_wire(text) for text in given]
    right = False
    for key in keys:
        expected = encode(_digest(key, signed)).encode()
        for candidate in candidates:
            right |= hmac.compare_digest(expected, candidate)
    if not right:
        raise Unauthenticated(
            "the signature does not match: sign the very bytes of the body with a secret of this pipeline"
        )
