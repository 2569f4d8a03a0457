"""Who asks: a bearer token or the browser's session cookie. The same answer for API, feed and screens."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from appliance.domain.access import Principal
from appliance.services import Services
from appliance.services.sessions import COOKIE

SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_BEARER: Final = "bearer "


async def principal_of(scope: Mapping[str, Any], services: Services) -> Principal | None:
    """Return who sent the request of an ASGI ``scope`` (http or websocket); None: nobody we know.

    A request that brings a token is judged by the token alone. Whoever only reads is held by nothing.
    """
    who = await _found(scope, services)
    reads = scope.get("method", "GET") in SAFE_METHODS
    return msgspec.structs.replace(who, held=None) if who is not None and who.held is not None and reads else who


async def _found(scope: Mapping[str, Any], services: Services) -> Principal | None:
    headers = headers_of(scope)
    authorization = headers.get("authorization")
    if authorization is not None:
        if not authorization.lower().startswith(_BEARER):
            return None
        return await services.tokens.resolve(authorization[len(_BEARER) :].strip())
    cookie = cookie_of(headers)
    return await services.sessions.resolve(cookie) if cookie else None


def headers_of(scope: Mapping[str, Any]) -> dict[str, str]:
    """Return the headers, names in lower case; the last of a repeated one."""
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}


def cookie_of(headers: Mapping[str, str]) -> str | None:
    """Return the value of the session cookie."""
    for pair in headers.get("cookie", "").split(";"):
        name, _, value = pair.strip().partition("=")
        if name == COOKIE:
            return value
    return None


def from_own_page(scope: Mapping[str, Any]) -> bool:
    """Return whether a browser sent the request from one of our own pages, or something other than a browser did.

    Browsers tell ``Sec-Fetch-Site``, older ones ``Origin``; a program that tells neither cannot be tricked into
    sending somebody's cookie.
    """
    headers = headers_of(scope)
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    return from_own_origin(scope)


def from_own_origin(scope: Mapping[str, Any]) -> bool:
    """Return whether ``Origin`` is this very host; a program sends none, and one that cannot be read is foreign."""
    headers = headers_of(scope)
    origin = headers.get("origin")
    try:
        return origin is None or urlsplit(origin).netloc == headers.get("host")
    except ValueError:
        return False


def set_cookie(value: str, scope: Mapping[str, Any], at_most: timedelta) -> str:
    """Return the header that gives the cookie to the browser, for ``at_most``."""
    return f"{COOKIE}={value}; Max-Age={round(at_most.total_seconds())}; {_attributes(scope)}"


def clear_cookie(scope: Mapping[str, Any]) -> str:
    """Return the header that takes the cookie away from the browser."""
    return f"{COOKIE}=; Max-Age=0; {_attributes(scope)}"


def _attributes(scope: Mapping[str, Any]) -> str:
    encrypted = scope.get("scheme") == "https" or headers_of(scope).get("x-forwarded-proto") == "https"
    return "Path=/; HttpOnly; SameSite=Lax" + ("; Secure" if encrypted else "")
