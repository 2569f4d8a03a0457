"""Keeps secrets out of what is shown: by the name of the key, and by the look of the text."""

import re
from collections.abc import Mapping
from typing import Any, Final

MASK: Final = "********"

_SECRET_KEY: Final = re.compile(
    r"(secret|secrets|passw(or)?d|token|bearer|authorization|cookie|credentials?|api_?key|private_?key|secret_?(access_?)?key|signature|dsn)$",
    re.IGNORECASE,
)
_SECRET_TEXT: Final = re.compile(
    r"whsec_[A-Za-z0-9+/=_-]+"  # the secret of a webhook
    r"|\bdash_[0-9A-Za-z]{24,}"  # an API token
    r"|(?<=Bearer )[^\s\"',]+|(?<=Basic )[A-Za-z0-9+/=]+"
    r"|(?<=://)[^/\s@:]*:[^/\s@]+(?=@)"  # user:password in an address
)


def mask(key: str, value: Any) -> Any:
    """Return ``value`` as it may be shown under the name ``key``; numbers and the like are never secret."""
    if isinstance(value, str):
        if _SECRET_KEY.search(key):
            return MASK
        return _SECRET_TEXT.sub(MASK, value)
    if isinstance(value, bytes):
        return mask(key, value.decode("utf-8", "replace"))
    if isinstance(value, Mapping):
        return {name: mask(str(name), inner) for name, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [mask(key, inner) for inner in value]
    return value
