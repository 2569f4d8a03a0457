"""API tokens: made, shown once, recognised by their hash, revoked."""

import hashlib
import secrets
import zlib
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from appliance.domain.access import Action, Principal, Role, require
from appliance.domain.clock import Clock, utc_now
from appliance.domain.ids import OrganisationId, TokenId, new_id
from appliance.errors import Invalid, NotFound, Problem, TransientError
from appliance.services.acting import check_acts
from appliance.services.paging import bounded, cursor_of, place_of
from appliance.services.sessions import KNOWN_WITHIN_SECS, Judge, as_is
from appliance.services.views import CreatedToken, Page, TokenInfo
from appliance.storage.control.audit import Deed, record
from appliance.storage.control.plane import ControlPlane
from appliance.storage.control.tables import OrganisationRow, TokenRow

LAST_YEAR: Final = 9998  # later instants leave the calendar in some time zone
PREFIX: Final = "dash_"
TOKEN: Final = "token"  # noqa: S105 - what questions about one begin with
_RANDOM: Final = 32
_CHECKSUM: Final = 6
_BASE62: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_NOTE_EVERY: Final = timedelta(minutes=5)


class Tokens:
    """Tokens of one organisation each; a token has a role of its own and outlives the person who made it."""

    def __init__(self, plane: ControlPlane, clock: Clock = utc_now) -> None:
        self._plane, self._clock = plane, clock
        self.judge: Judge = as_is

    async def create(self, who: Principal, name: str, role: Role, expires_at: datetime | None = None) -> CreatedToken:
        """Make a token; its clear text is in the answer and nowhere else.

        Raises:
            Invalid: no name, or it would have expired already.
        """
        require(who, Action.TOKEN_MANAGE)
        now, clear = self._clock(), make_token()
        if problems := _problems(name, expires_at, now):
            raise Invalid(problems)

        def work(tx: Session) -> CreatedToken:
            check_acts(tx, who)
            row = TokenRow(
                id=new_id("tok"),
                organisation_id=who.organisation_id,
                name=name,
                role=role.value,
                hint=clear[: len(PREFIX) + 4],
                digest=_digest(clear),
                created_by=who.name,
                created_at=now,
                expires_at=expires_at,
            )
            tx.add(row)
            record(tx, _deed(who, "token.create", row), now)
            return CreatedToken(token=clear, info=_info(row))

        return await self._plane.write(work)

    async def revoke(self, who: Principal, token_id: TokenId) -> None:
        """Make the token worthless at once; a second time: nothing happens. Raises NotFound."""
        require(who, Action.TOKEN_MANAGE)
        now = self._clock()

        def work(tx: Session) -> str:
            row = tx.get(TokenRow, token_id)
            if row is None or row.organisation_id != who.organisation_id:
                raise NotFound(f"there is no token {token_id!r}")
            if row.revoked_at is None:
                row.revoked_at = now
                record(tx, _deed(who, "token.revoke", row), now)
            return row.digest

        self._plane.forget(TOKEN, await self._plane.write(work))

    async def resolve(self, bearer: str) -> Principal | None:
        """Return who the token stands for; None: malformed, unknown, expired or revoked.

        While the database does not answer, a token in use when it was lost is known until it expires.
        """
        if not well_formed(bearer):
            return None
        now, digest = self._clock(), _digest(bearer)
        found = await self._plane.recall((TOKEN, digest), lambda tx: _find(tx, digest, now), KNOWN_WITHIN_SECS)
        if found is None or (found[0].expires_at is not None and found[0].expires_at <= now):
            return None
        row, operates = found
        if row.used_at is None or now - row.used_at >= _NOTE_EVERY:
            with suppress(TransientError):  # the next use tells of itself
                await self._plane.write(lambda tx: _note_use(tx, row.id, now))
        who = Principal(
            organisation_id=OrganisationId(row.organisation_id),
            role=Role(row.role),
            name=f"token {row.name}",
            token_id=TokenId(row.id),
            operates=operates,
        )
        return self.judge(who)

    async def list(self, who: Principal, cursor: str | None = None, limit: int = 50) -> Page[TokenInfo]:
        """Return the organisation's tokens, oldest first, revoked ones too."""
        require(who, Action.TOKEN_MANAGE)
        wanted = select(TokenRow).where(TokenRow.organisation_id == who.organisation_id).order_by(TokenRow.id)
        if cursor is not None:
            wanted = wanted.where(TokenRow.id > place_of(cursor)[0])
        wanted = wanted.limit(bounded(limit) + 1)
        rows = await self._plane.read(lambda tx: tx.scalars(wanted).all())
        more = cursor_of([rows[limit - 1].id]) if len(rows) > limit else None
        return Page([_info(row) for row in rows[:limit]], more)


def make_token() -> str:
    """Return ``dash_``, 32 random characters of base 62 (190 bits) and 6 of their CRC-32, which finds typing errors."""
    body = "".join(secrets.choice(_BASE62) for _ in range(_RANDOM))
    return PREFIX + body + _checksum(body)


def well_formed(token: str) -> bool:
    """Return whether the checksum is right: worth a look into the database."""
    body = token[len(PREFIX) : len(PREFIX) + _RANDOM]
    return token.isascii() and token.startswith(PREFIX) and token == PREFIX + body + _checksum(body)


def _checksum(body: str) -> str:
    number, digits = zlib.crc32(body.encode()), ""
    for _ in range(_CHECKSUM):
        number, digit = divmod(number, 62)
        digits = _BASE62[digit] + digits
    return digits


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _problems(name: str, expires_at: datetime | None, now: datetime) -> list[Problem]:
    problems = []
    if not 1 <= len(name.strip()) <= 100:
        problems.append(Problem("/name", "expected a name of 1 to 100 characters"))
    if expires_at is not None and expires_at.tzinfo is None:
        problems.append(Problem("/expires_at", "expected a time with a zone, such as 2027-01-31T00:00:00Z"))
    elif expires_at is not None and expires_at <= now:
        problems.append(Problem("/expires_at", "expected a time in the future"))
    elif expires_at is not None and expires_at.year > LAST_YEAR:
        problems.append(Problem("/expires_at", f"expected a time before the end of {LAST_YEAR}, or none at all"))
    return problems


def _find(tx: Session, digest: str, now: datetime) -> tuple[TokenRow, bool] | None:
    """Return the token, and whether its organisation operates the appliance."""
    wanted = select(TokenRow, OrganisationRow.operates)
    wanted = wanted.join(OrganisationRow, OrganisationRow.id == TokenRow.organisation_id)
    valid = or_(TokenRow.expires_at.is_(None), TokenRow.expires_at > now)
    found = tx.execute(wanted.where(TokenRow.digest == digest, TokenRow.revoked_at.is_(None), valid)).one_or_none()
    return (found[0], found[1]) if found is not None else None


def _note_use(tx: Session, token_id: str, now: datetime) -> None:
    row = tx.get(TokenRow, token_id)
    if row is not None:
        row.used_at = now


def _deed(who: Principal, action: str, row: TokenRow) -> Deed:
    detail = {"name": row.name, "role": row.role}
    return Deed(organisation_id=who.organisation_id, who=who.name, action=action, target=row.id, detail=detail)


def _info(row: TokenRow) -> TokenInfo:
    return TokenInfo(
        id=TokenId(row.id),
        name=row.name,
        role=Role(row.role),
        hint=row.hint,
        created_by=row.created_by,
        created_at=row.created_at,
        expires_at=row.expires_at,
        last_used_at=row.used_at,
        revoked=row.revoked_at is not None,
    )
