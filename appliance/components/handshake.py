"""How nodes prove to each other who they are: asks and answers signed with a key that only they have.

An ask is signed over its protocol, the node it is meant for, method, path, query, time, nonce and the SHA-256 of its
body; an answer over its protocol, the node that gives it, its status, the nonce of the ask and the SHA-256 of its body.
The key never leaves a node, and says nothing about ``secret.key``, which it is derived from.
"""

import hashlib
import hmac
import secrets
from collections.abc import Callable, Mapping
from time import monotonic
from typing import Final

import msgspec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

PROTOCOL: Final = "1"
MOST_APART_MS: Final = 30_000
NONCE_CHARACTERS: Final = 32
MOST_NONCES: Final = 200_000  # in a minute or two: 30 MB, and more calls than nodes ever make
_REMEMBERED_SECS: Final = 2 * MOST_APART_MS / 1000  # an ask may come 30 s before its time, and again 30 s after it

Headers = Mapping[str, str]


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """What is signed of a request. ``digest``: SHA-256 of the body, hex; ``time_ms``: since 1970, UTC."""

    node_id: str
    method: str
    path: str
    query: str
    time_ms: int
    nonce: str
    digest: str
    protocol: str = PROTOCOL


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What is signed of an answer; ``nonce`` is the one of the ask."""

    node_id: str
    status: int
    nonce: str
    digest: str
    protocol: str = PROTOCOL


def internal_key(secret: bytes) -> bytes:
    """Return the key of internal calls. ``secret``: what ``secret.key`` holds, without white space around it."""
    return HKDF(SHA256(), 32, salt=None, info=b"dash-appliance internal calls").derive(secret)


def digest_of(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def new_nonce() -> str:
    return secrets.token_hex(NONCE_CHARACTERS // 2)


class Seal:
    """Signs and verifies with one key."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def ask_headers(self, ask: Ask) -> dict[str, str]:
        return {
            "dash-protocol": ask.protocol,
            "dash-node": ask.node_id,
            "dash-time": str(ask.time_ms),
            "dash-nonce": ask.nonce,
            "dash-digest": ask.digest,
            "dash-signature": self._signature("ask", ask),
        }

    def answer_headers(self, answer: Answer) -> dict[str, str]:
        return {
            "dash-protocol": answer.protocol,
            "dash-node": answer.node_id,
            "dash-signature": self._signature("answer", answer),
        }

    def ask(self, headers: Headers, method: str, path: str, query: str) -> Ask | None:
        """Return what was asked, if it was signed with this key; whether it is of now and new is another question."""
        time_ms, nonce, digest = (headers.get(name, "") for name in ("dash-time", "dash-nonce", "dash-digest"))
        if len(nonce) != NONCE_CHARACTERS or not (time_ms.isascii() and time_ms.isdigit() and len(time_ms) < 16):
            return None
        ask = Ask(
            node_id=headers.get("dash-node", ""), method=method, path=path, query=query, time_ms=int(time_ms),
            nonce=nonce, digest=digest, protocol=headers.get("dash-protocol", ""),
        )  # fmt: skip
        return ask if self._right("ask", ask, headers) else None

    def answer(self, headers: Headers, status: int, nonce: str, body: bytes) -> Answer | None:
        """Return whose answer it is to the ask with ``nonce``; None: it is not signed with this key, or is another."""
        answer = Answer(
            node_id=headers.get("dash-node", ""), status=status, nonce=nonce, digest=digest_of(body),
            protocol=headers.get("dash-protocol", ""),
        )  # fmt: skip
        return answer if self._right("answer", answer, headers) else None

    def _right(self, kind: str, signed: Ask | Answer, headers: Headers) -> bool:
        given = headers.get("dash-signature", "").encode("utf-8", "replace")
        return hmac.compare_digest(given, self._signature(kind, signed).encode())

    def _signature(self, kind: str, signed: Ask | Answer) -> str:
        text = msgspec.json.encode([kind, *msgspec.structs.astuple(signed)])  # an array: no field runs into another
        return hmac.new(self._key, text, hashlib.sha256).hexdigest()


class Nonces:
    """Remembers what was asked, for as long as it could be asked again. One thread at a time."""

    def __init__(self, most: int = MOST_NONCES, clock: Callable[[], float] = monotonic) -> None:
        self._most, self._clock = most, clock
        self._now: set[str] = set()
        self._before: set[str] = set()
        self._since = clock()

    def fresh(self, nonce: str) -> bool:
        """Return whether ``nonce`` is new, and remember it; False too where there is no room to remember it."""
        age = self._clock() - self._since
        if age > _REMEMBERED_SECS:
            self._before = self._now if age <= 2 * _REMEMBERED_SECS else set()
            self._now, self._since = set(), self._clock()
        if nonce in self._now or nonce in self._before or len(self._now) >= self._most:
            return False
        self._now.add(nonce)
        return True
