"""Headers of a source whose values would be credentials in the clear: refused when saved, masked where still stored."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from appliance.components.shape import child
from appliance.errors import Problem
from appliance.services.views import SECRET_MASK

_NAMES: Final = frozenset({"authorization", "cookie", "proxy-authorization"})
_PARTS: Final = ("token", "secret", "password", "signature", "api-key", "apikey")
_STANDARD: Final = 'put it under auth: {"type": "bearer", "token": …}, or "basic" with "username" and "password"'
_OWN: Final = 'put it under auth, where it is sealed: {{"type": "header", "name": "{}", "value": …}}'


def header_problems(source: Mapping[str, Any], pointer: str) -> Iterator[Problem]:
    """Yield a problem for each header by whose name its value is a credential, which every viewer could read."""
    for name in _telling(source):
        hint = _STANDARD if name.lower() == "authorization" else _OWN.format(name)
        told = f"the header {name!r} holds credentials in the clear"
        yield Problem(child(child(pointer, "headers"), name), told, hint)


def without_credentials(source: dict[str, Any]) -> dict[str, Any]:
    """Return ``source`` with such headers masked: it may have been stored before they were refused."""
    masked = dict.fromkeys(_telling(source), SECRET_MASK)
    return source | {"headers": source["headers"] | masked} if masked else source


def _telling(source: Mapping[str, Any]) -> list[str]:
    headers = source.get("headers")
    return [name for name in headers if _tells(name.lower())] if isinstance(headers, dict) else []


def _tells(name: str) -> bool:
    return name in _NAMES or any(part in name for part in _PARTS)
