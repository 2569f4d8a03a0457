"""What a provider says of itself (OpenID Connect Discovery 1.0), read strictly."""

from collections.abc import Iterator
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

import msgspec

from appliance.errors import DashError

PATH: Final = "/.well-known/openid-configuration"


class Untrusted(DashError):
    """A provider answered something that proves nothing; the message says what, for the administrator."""

    code = "E_FORBIDDEN"


class Metadata(msgspec.Struct, frozen=True):
    """What is used of it. Absent lists are None: the standards give each a meaning of its own."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None = None
    end_session_endpoint: str | None = None
    id_token_signing_alg_values_supported: tuple[str, ...] | None = None
    token_endpoint_auth_methods_supported: tuple[str, ...] | None = None
    code_challenge_methods_supported: tuple[str, ...] | None = None
    scopes_supported: tuple[str, ...] | None = None
    authorization_response_iss_parameter_supported: bool | None = None


def address_of(issuer: str) -> str:
    """Return where a provider tells about itself."""
    return issuer.rstrip("/") + PATH


def read_metadata(issuer: str, body: bytes) -> Metadata:
    """Return what the provider ``issuer`` says of itself.

    Raises:
        Untrusted: it is no such document, of another issuer, or names an address that is not safe.
    """
    try:
        found = msgspec.json.decode(body, type=Metadata)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Untrusted(f"{address_of(issuer)} does not answer a provider's description: {error}") from error
    if found.issuer != issuer:
        raise Untrusted(
            f"the provider calls itself {found.issuer[:300]!r} and {issuer!r} was entered: enter it as it calls itself"
        )
    for name in ("authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint", "end_session_endpoint"):
        address = getattr(found, name)
        for trouble in address_problems(address) if address is not None else ():
            raise Untrusted(f"its {name} {address[:300]!r} {trouble}")
    return found


def issuer_problems(issuer: str) -> Iterator[str]:
    """Yield why ``issuer`` is none: what is asked is a path below it."""
    yield from address_problems(issuer)
    if "?" in issuer:
        yield "has a query, and issuers have none"


def address_problems(address: str) -> Iterator[str]:
    """Yield why nothing about people may be sent to ``address``. Without TLS only to this very machine."""
    try:
        parts = urlsplit(address)
        host = parts.hostname or ""
    except ValueError:
        yield "is no address"
        return
    if not host or parts.username is not None or parts.fragment or not address.isprintable() or " " in address:
        yield "is no plain address such as https://login.example.org"
    elif parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(host)):
        yield "does not begin with https://"


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
