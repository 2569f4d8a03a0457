"""Keeps secrets out of what is shown: those that this process knows, by the name of the key, by the look of the text.

Whoever opens or is given a secret says so by ``conceal``: what is known is found wherever it stands, in whatever a
library puts into a message. The looks are for what nobody here was given, such as what a sender sent.
"""

import json
import re
import threading
from bisect import insort
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

MASK: Final = "********"
SOMEBODY: Final = "somebody@redacted.invalid"

_SHORTEST: Final = 8  # characters: a shorter one may be any word, and text would not be readable any more
_LONG: Final = 16  # from here on it is masked also within a word
_MOST: Final = 5_000
_WHSEC: Final = "whsec_"

_NAMES: Final = (
    "secret|secrets|passw(?:or)?d|token|bearer|authorization|cookie|credentials?|api_?key|private_?key"
    "|secret_?(?:access_?)?key"
)
_SECRET_KEY: Final = re.compile(rf"(?:{_NAMES}|signature|dsn)$", re.IGNORECASE)
_SECRET_TEXT: Final = re.compile(
    r"whsec_[A-Za-z0-9+/=_-]+"  # the secret of a webhook
    r"|\bdash_[0-9A-Za-z]{24,}"  # an API token
    r"|(?<=Bearer )[^\s\"',]+|(?<=Basic )[A-Za-z0-9+/=]+"
    r"|(?<=://)[^/\s@:]*:[^/\s@]+(?=@)"  # user:password in an address
    r"|(?<=://)[^/\s@:]{20,}(?=@)"  # a token in the place of a user
    r"|\beyJ[A-Za-z0-9_-]{8,4096}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"  # a JSON web token
    r"|\bv1a?,[A-Za-z0-9+/]{40,}=*|\b(?:sha1|sha256|sha512|v0|v1)=[0-9a-fA-F]{40,}"  # signatures of webhooks
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
    re.DOTALL,
)
# password=…, ?key=…, "token": "…": the name stays. Prose has colons and equals signs too, so keys and codes count only
# in addresses, and a colon only behind a quoted name. Nothing here is tried from each place of a long word again.
_ASSIGNED: Final = re.compile(rf"((?:[?&](?:key|sig|signature|code)|{_NAMES})=)(?![\s\"'])[^\s\"'&;,#]+", re.IGNORECASE)
_QUOTED: Final = re.compile(rf"((?:{_NAMES})(?:[\"']:\s?|=)([\"']))(?:(?!\2).)+", re.IGNORECASE)
_PERSON: Final = re.compile(r"[\w.%+'-]{1,64}(?:@|%40)[\w-]{1,63}(?:\.[\w-]{1,63})+")

_lock: Final = threading.Lock()
_seen: Final[set[str]] = set()
_known: Final[list[tuple[int, str]]] = []  # the longest first: one may be the beginning of another


def conceal(*secrets: str) -> None:
    """Never show these from now on, nor as they stand in an address or in JSON. Short ones are not looked for."""
    for secret in secrets:
        bare = secret.removeprefix(_WHSEC)
        for form in (bare, quote(bare, safe=""), json.dumps(bare)[1:-1], json.dumps(bare, ensure_ascii=False)[1:-1]):
            with _lock:
                if len(form) >= _SHORTEST and form not in _seen and len(_seen) < _MOST:
                    _seen.add(form)
                    insort(_known, (-len(form), form))


def cleaned(text: str) -> str:
    """Return ``text`` without what is secret in it."""
    for length, secret in tuple(_known):
        if secret not in text:
            continue
        if -length >= _LONG:
            text = text.replace(secret, MASK)
        else:
            text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", MASK, text)
    text = _ASSIGNED.sub(rf"\1{MASK}", _SECRET_TEXT.sub(MASK, text))
    return _QUOTED.sub(rf"\1{MASK}", text)


def unpeopled(text: str) -> str:
    """Return ``text`` without addresses of people, for what leaves the house."""
    return _PERSON.sub(SOMEBODY, text)


def mask(key: str, value: Any) -> Any:
    """Return ``value`` as it may be shown under the name ``key``; numbers and the like are never secret."""
    if isinstance(value, str):
        return MASK if _SECRET_KEY.search(key) else cleaned(value)
    if isinstance(value, bytes):
        return mask(key, value.decode("utf-8", "replace"))
    if isinstance(value, Mapping):
        return {name: mask(str(name), inner) for name, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [mask(key, inner) for inner in value]
    return value
