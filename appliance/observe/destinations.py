"""Where what a node tells of itself goes, as the settings say it. Light: every command imports it."""

import re
from typing import Final
from urllib.parse import urlsplit

import msgspec

CLIENT: Final = "dash-appliance"
CONTENT_TYPE: Final = "application/x-sentry-envelope"
_WANTED: Final = "expected a DSN such as 'https://key@sentry.example.org/42'"  # never what was given: it has a key
_TOKEN: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


class SentryDsn(msgspec.Struct, frozen=True):
    """Where envelopes go, and the public key that lets them in."""

    url: str
    key: str

    @property
    def headers(self) -> dict[str, str]:
        told = f"Sentry sentry_version=7, sentry_client={CLIENT}/1, sentry_key={self.key}"
        return {"content-type": CONTENT_TYPE, "x-sentry-auth": told}


def parse_sentry_dsn(text: str) -> SentryDsn:
    """Return what ``scheme://key[:secret]@host[:port][/path]/project`` names; the old secret is not needed.

    Raises:
        ValueError: not such a text; the message does not quote it.
    """
    try:
        parts = urlsplit(text)
        host, key, _ = parts.netloc.rpartition("@")[2], parts.username, parts.port
    except ValueError:
        raise ValueError(_WANTED) from None
    path, _, project = parts.path.rstrip("/").rpartition("/")
    usable = parts.scheme in ("http", "https") and parts.hostname and key and re.fullmatch(r"[\w-]+", key)
    if not usable or not re.fullmatch(r"[\w-]+", project) or parts.query or parts.fragment:
        raise ValueError(_WANTED)
    return SentryDsn(f"{parts.scheme}://{host}{path}/api/{project}/envelope/", str(key))


def parse_headers(text: str) -> dict[str, str]:
    """Return the headers that ``name=value,name=value`` says, names in lower case.

    Raises:
        ValueError: not such a text; the message does not quote it: it may hold a token.
    """
    found: dict[str, str] = {}
    for part in text.split(",") if text else ():
        name, equals, value = (one.strip() for one in part.partition("="))
        if not equals or not _TOKEN.fullmatch(name) or not value.isascii() or not value.isprintable():
            raise ValueError("expected headers such as 'authorization=Bearer abc, x-tenant=7'")
        found[name.lower()] = value
    return found
