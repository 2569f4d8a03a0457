"""Answers to writes that carried an ``Idempotency-Key``: sent again instead of doing the write again."""

import hashlib
from datetime import datetime, timedelta
from typing import Final

import msgspec
from sqlalchemy.orm import Session

from appliance.domain.access import Principal
from appliance.domain.clock import Clock, utc_now
from appliance.errors import Conflict, Invalid, Problem
from appliance.storage.control.plane import ControlPlane
from appliance.storage.control.tables import IdempotencyRow
from appliance.storage.control.vault import Vault

KEPT: Final = timedelta(hours=24)
_ABANDONED: Final = timedelta(minutes=5)  # a request that was interrupted by a crash blocks its key no longer
_MOST_CHARACTERS: Final = 255


class Answer(msgspec.Struct, frozen=True):
    """A remembered answer. ``headers``: name and value, lower case."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


class Answers:
    """Keys belong to a principal: two people may use the same one. Answers are sealed, they may hold a secret."""

    def __init__(self, plane: ControlPlane, vault: Vault, clock: Clock = utc_now) -> None:
        self._plane, self._vault, self._clock = plane, vault, clock

    async def begin(self, who: Principal, key: str, request: bytes) -> Answer | None:
        """Return the answer to this request if there is one; None: do it, then call ``keep`` or ``forget``.

        Raises:
            Invalid: not a key.
            Conflict: the first request is still under way, or was another one.
        """
        if not 1 <= len(key) <= _MOST_CHARACTERS:
            raise Invalid([Problem("Idempotency-Key", f"expected 1 to {_MOST_CHARACTERS} characters, got {len(key)}")])
        digest = hashlib.sha256(request).hexdigest()
        sealed = await self._plane.write(lambda tx: _begin(tx, (_name(who), key), digest, self._clock()))
        return msgspec.json.decode(self._vault.unseal(sealed), type=Answer) if sealed else None

    async def keep(self, who: Principal, key: str, answer: Answer) -> None:
        """Remember the answer for 24 hours."""
        sealed = self._vault.seal(msgspec.json.encode(answer).decode())

        def work(tx: Session) -> None:
            tx.get_one(IdempotencyRow, (_name(who), key)).answer = sealed

        await self._plane.write(work)

    async def forget(self, who: Principal, key: str) -> None:
        """Let the key be used again: nothing was done."""

        def work(tx: Session) -> None:
            row = tx.get(IdempotencyRow, (_name(who), key))
            if row is not None:
                tx.delete(row)

        await self._plane.write(work)


def _name(who: Principal) -> str:
    return who.user_id or who.token_id or who.name


def _begin(tx: Session, place: tuple[str, str], digest: str, now: datetime) -> str | None:
    row = tx.get(IdempotencyRow, place)
    if row is not None and _over(row, now):
        tx.delete(row)
        tx.flush()
        row = None
    if row is None:
        tx.add(IdempotencyRow(principal=place[0], key=place[1], request_digest=digest, created_at=now))
        return None
    if row.request_digest != digest:
        raise Conflict(f"the Idempotency-Key {place[1]!r} was used for another request: use a new one")
    if row.answer is None:
        raise Conflict(f"the first request with the Idempotency-Key {place[1]!r} is under way: try again shortly")
    return row.answer


def _over(row: IdempotencyRow, now: datetime) -> bool:
    return row.created_at <= now - (KEPT if row.answer is not None else _ABANDONED)
