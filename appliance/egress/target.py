"""Targets: a URL read strictly, so that what was judged is what is connected to."""

import re
from ipaddress import IPv6Address
from urllib.parse import quote, urljoin, urlsplit

import msgspec

from appliance.errors import ConfigError, Problem

_MAX_CHARS = 8_192
_PORTS = {"http": 80, "https": 443}
_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,252})?")
_SAFE = "%/:=&?~+!$,;'@()*[]|"  # stands in paths and queries as it is


class Target(msgspec.Struct, frozen=True):
    """Where a request goes. ``host``: lower case, an IPv6 address without brackets; ``path``: with the query."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """``host`` or ``host:port`` where the port is not the scheme's own: as in the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.authority}{self.path}"

    @property
    def origin(self) -> tuple[str, str, int]:
        return self.scheme, self.host, self.port


def parse_target(url: str) -> Target:
    """Return the target that ``url`` names.

    Raises:
        ConfigError: not an absolute http or https URL, or one whose spelling browsers and resolvers read differently.
    """
    if len(url) > _MAX_CHARS or re.search(r"[\x00-\x20\x7f\\]", url.strip(" ")):
        raise _wrong(url, "it is too long or contains a space, a backslash or a control character", "percent-encode it")
    try:
        parts = urlsplit(url.strip(" "))
        port = parts.port
        host = parts.hostname or ""
    except ValueError as error:
        raise _wrong(url, str(error), "write it as https://host:port/path") from error
    if parts.scheme not in _PORTS:
        raise _wrong(url, "only http and https are spoken", "write it as https://host/path")
    if "@" in parts.netloc:
        raise _wrong(f"{parts.scheme}://{host}", "it contains a user or password", "put them into the source's auth")
    if not (_is_ipv6(host) if "[" in parts.netloc else _NAME.fullmatch(host)):
        raise _wrong(url, "its host is not a name or address in ASCII", "write an international name as xn--…")
    if port == 0:
        raise _wrong(url, "its port is 0", "name the port that the server listens on")
    path = quote(parts.path or "/", _SAFE) + ("?" + quote(parts.query, _SAFE) if parts.query else "")
    return Target(parts.scheme, host.lower(), port or _PORTS[parts.scheme], path)


def parse_redirect(target: Target, location: str) -> Target:
    """Return where an answer of ``target`` with that ``Location`` points.

    Raises:
        ConfigError: not a URL as ``parse_target`` reads it, or one that leaves TLS.
    """
    try:
        joined = urljoin(target.url, location)
    except ValueError as error:
        raise _wrong(target.authority, f"it redirects to no URL: {error}", "ask its operator") from error
    following = parse_target(joined)
    if target.scheme == "https" and following.scheme == "http":
        raise _wrong(target.authority, "it redirects from https to http", "ask its operator for an address with TLS")
    return following


def _is_ipv6(host: str) -> bool:
    try:
        return "%" not in host and bool(IPv6Address(host).packed)
    except ValueError:
        return False


def _wrong(url: str, what: str, remedy: str) -> ConfigError:
    return ConfigError([Problem("", f"cannot send a request to {url.partition('?')[0][:200]!r}: {what}", remedy)])
