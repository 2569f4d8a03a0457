"""Signing in by a provider: sent there with something only this browser has, believed when it comes back with it."""

import hmac
import secrets
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import msgspec
import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from appliance.domain.clock import Clock, utc_now
from appliance.domain.ids import ProviderId
from appliance.domain.sign_in import Person, ProviderDocument, Refused, Why, claim, person_of
from appliance.errors import DashError, FatalError, NotFound, TransientError
from appliance.services.provider_arrivals import Arrival
from appliance.services.provider_documents import unsealed
from appliance.services.sessions import SESSION, Came, Sessions
from appliance.services.sign_in_limit import SignInLimit
from appliance.services.sign_in_providers import Reception
from appliance.services.views import SignedIn
from appliance.storage.control.audit import Deed, record
from appliance.storage.control.plane import ControlPlane
from appliance.storage.control.provider_tables import ProviderRow

if TYPE_CHECKING:
    from appliance.openid.client import Attempt, Client

WITHIN: Final = timedelta(minutes=10)  # from being sent to the provider to coming back
NOBODY: Final = "nobody"  # in the audit trail: an address that somebody claims is no name
_CLOCKS_DIFFER_SECS: Final = 60  # of nodes
_MOST_NEXT: Final = 1000
_MOST_REMEMBERED: Final = 10_000
_GROUPS_ELSEWHERE: Final = "_claim_names"  # where a provider says what it has left out for being too long

log = structlog.get_logger("sign_in")


class Offer(msgspec.Struct, frozen=True):
    """A button of the sign-in page. ``host``: where it leads, told where not all are one organisation's: a name says
    whatever whoever chose it wanted to."""

    id: ProviderId
    name: str
    host: str | None


class Visitor(msgspec.Struct, frozen=True, kw_only=True):
    """From where somebody comes. ``origin``: how they reach this appliance."""

    origin: str
    remote: str | None


class Ticket(msgspec.Struct, frozen=True, kw_only=True):
    """What the browser keeps, sealed, while it is at the provider."""

    provider_id: str
    state: str
    nonce: str
    verifier: str
    redirect_uri: str
    next: str
    at: float
    kind: str = "sign-in"


class Begun(msgspec.Struct, frozen=True):
    """``url``: where the browser goes now. ``ticket``: what it brings back, as a cookie."""

    url: str
    ticket: str


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What the provider sent the browser back with."""

    state: str = ""
    code: str | None = None
    error: str | None = None
    iss: str | None = None


class Arrived(msgspec.Struct, frozen=True):
    signed_in: SignedIn
    next: str


class ProviderSignIn:
    """The way in and out by a provider. Reasons go to the audit trail, sentences to the person."""

    def __init__(self, plane: ControlPlane, sessions: Sessions, reception: Reception, clock: Clock = utc_now) -> None:
        self._plane, self._sessions, self._reception, self._clock = plane, sessions, reception, clock
        self._limit = SignInLimit()  # not that of passwords: they are the other way in when a provider fails
        self._used: dict[str, float] = {}  # states that came back, for as long as their tickets would be good

    async def offers(self) -> list[Offer]:
        """Return what the sign-in page offers; nothing while the database does not answer."""
        wanted = select(ProviderRow).order_by(ProviderRow.name)
        with suppress(TransientError):
            rows = await self._plane.read(lambda tx: tx.scalars(wanted).all())
            offered = [row for row in rows if row.document["enabled"]]
            several = len({row.organisation_id for row in offered}) > 1
            hosts = [urlsplit(row.document["issuer"]).hostname if several else None for row in offered]
            return [Offer(ProviderId(row.id), row.name, host) for row, host in zip(offered, hosts, strict=True)]
        return []

    async def begin(self, provider_id: str, next_path: str, visitor: Visitor) -> Begun:
        """Return where to go, and what to come back with.

        Raises:
            Refused: it cannot be asked at the moment, or there is no such provider.
            RateLimited: too many sign-ins from there have failed.
        """
        self._limit.check(None, visitor.remote)
        row, document = await self._provider(provider_id)
        ticket = Ticket(
            provider_id=row.id, state=secrets.token_urlsafe(32), nonce=secrets.token_urlsafe(32),
            verifier=secrets.token_urlsafe(48), redirect_uri=self._reception.callback(row.id, visitor.origin),
            next=next_path if len(next_path) <= _MOST_NEXT else "/", at=self._clock().timestamp(),
        )  # fmt: skip
        try:
            openid = await self._reception.openid()
            url = await openid.address(_client(document), _attempt(ticket), document.scopes)
        except DashError as error:
            raise await self._refused(row, visitor, _why(error)) from error
        return Begun(url, self._reception.vault.seal(msgspec.json.encode(ticket).decode()))

    async def finish(self, provider_id: str, answer: Answer, ticket: str | None, visitor: Visitor) -> Arrived:
        """Open a session for whom the provider proved.

        Raises:
            Refused: nobody comes in; what it says is for the person, the reason is in the audit trail.
            RateLimited: too many sign-ins from there have failed.
        """
        self._limit.check(None, visitor.remote)
        row, document = await self._provider(provider_id)
        if ticket is None:  # what any page on the web can have a browser ask for: not counted, not told of
            raise Refused(Why.STALE, "the browser brought nothing back")
        try:
            read = self._read(ticket)
            self._check(read, row.id, answer)
            person, id_token = await self._asked(document, read, answer)
        except DashError as error:
            raise await self._refused(row, visitor, _why(error)) from error
        try:
            user_id = await self._plane.write(lambda tx: self._settled(tx, row, document, person))
        except Refused as error:
            raise await self._refused(row, visitor, error, person) from error
        self._plane.forget(SESSION)
        came = Came(provider_id=row.id, name=row.name, id_token=self._reception.vault.seal(id_token))
        return Arrived(await self._sessions.open(user_id, visitor.remote, came), read.next)

    async def farewell(self, cookie: str, visitor: Visitor) -> str | None:
        """End the session; return where the browser goes to be signed out at its provider too; None: nowhere."""
        came = await self._sessions.came(cookie)
        await self._sessions.sign_out(cookie)
        if came is None:
            return None
        try:
            _, document = await self._provider(came.provider_id)
            if not document.sign_out:
                return None
            back = f"{self._reception.base_url or visitor.origin}/sign-in"
            token = self._reception.vault.unseal(came.id_token)
            openid = await self._reception.openid()
            return await openid.farewell(_client(document), token, back)
        except DashError as error:  # it is gone, or does not answer: here the person is signed out already
            log.warning("signing out at a provider", provider=came.provider_id, error=str(error))
            return None

    async def _provider(self, provider_id: str) -> tuple[ProviderRow, ProviderDocument]:
        row = await self._plane.read(lambda tx: tx.get(ProviderRow, provider_id))
        if row is None or not row.document["enabled"]:
            raise _gone()
        return row, unsealed(row, self._reception.vault)

    def _read(self, ticket: str) -> Ticket:
        """Return what the browser kept. Raises Refused: nothing, too long ago, or not what was given to it."""
        try:
            read = msgspec.json.decode(self._reception.vault.unseal(ticket), type=Ticket)
        except (FatalError, msgspec.DecodeError, UnicodeError) as error:
            raise Refused(Why.STALE, "the browser did not bring back what it was sent away with") from error
        away = self._clock().timestamp() - read.at
        if not -_CLOCKS_DIFFER_SECS <= away <= WITHIN.total_seconds() or read.kind != "sign-in":
            raise Refused(Why.STALE, "the browser was away for more than ten minutes")
        return read

    def _check(self, ticket: Ticket, provider_id: str, answer: Answer) -> None:
        """Return if ``answer`` is to this very ticket, for the first time. Raises Refused."""
        if ticket.provider_id != provider_id:
            raise Refused(Why.STALE, "the browser was sent to another provider than it comes from")
        if not hmac.compare_digest(ticket.state.encode(), answer.state.encode("utf-8", "replace")):
            raise Refused(Why.STALE, "'state' is not what the browser was sent away with")
        now = self._clock().timestamp()
        if ticket.state in self._used:
            raise Refused(Why.STALE, "the same answer was brought before")
        if len(self._used) >= _MOST_REMEMBERED:
            self._used = {state: at for state, at in self._used.items() if now - at < WITHIN.total_seconds()}
        self._used[ticket.state] = now

    async def _asked(self, document: ProviderDocument, ticket: Ticket, answer: Answer) -> tuple[Person, str]:
        """Return whom the provider proves for the code, and by which ID token."""
        openid = await self._reception.openid()
        client = _client(document)
        await openid.check_sender(client, answer.iss)
        if answer.error is not None or not answer.code:
            raise Refused(Why.DENIED, f"the provider answered {(answer.error or 'no code')[:100]!r}")
        proved = await openid.redeem(client, _attempt(ticket), answer.code)
        claims = proved.claims
        if any(claim(claims, name) is None for name in _wanted(document)):
            claims = await openid.completed(client, proved)
        _check_whole(document, claims)
        return person_of(document, claims), proved.id_token

    def _settled(self, tx: Session, row: ProviderRow, document: ProviderDocument, person: Person) -> str:
        found = tx.get(ProviderRow, row.id)
        if found is None or found.document != row.document:  # what was proved, was proved to another
            raise _gone()
        arrival = Arrival(tx, found, person, self._clock())
        return arrival.settle(document, self._reception.allowance).id

    async def _refused(
        self, row: ProviderRow, visitor: Visitor, refused: Refused, person: Person | None = None
    ) -> Refused:  # fmt: skip
        """Count it, tell the audit trail why, and return what to raise. ``person``: whom the provider has proved."""
        self._limit.failed(None, visitor.remote)
        detail = {"provider": row.name, "why": refused.why.value, "reason": refused.reason, "remote": visitor.remote}
        detail |= {"subject": person.subject, "email": person.email} if person is not None else {}
        deed = Deed(
            organisation_id=row.organisation_id, who=NOBODY, action="session.refuse", target=row.id, detail=detail
        )  # fmt: skip
        log.warning(
            "a sign-in by a provider was refused", provider=row.id, why=refused.why.value, reason=refused.reason
        )
        with suppress(TransientError):  # the log has it
            await self._plane.write(lambda tx: record(tx, deed, self._clock()))
        return refused


def _gone() -> NotFound:
    return NotFound("this way of signing in is not there, or not any more: choose another")


def _attempt(ticket: Ticket) -> "Attempt":
    from appliance.openid.client import Attempt  # see ``sign_in_providers.speaker``

    return Attempt(
        state=ticket.state, nonce=ticket.nonce, verifier=ticket.verifier, redirect_uri=ticket.redirect_uri
    )  # fmt: skip


def _client(document: ProviderDocument) -> "Client":
    from appliance.openid.client import Client  # see ``sign_in_providers.speaker``

    return Client(issuer=document.issuer, client_id=document.client_id, secret=document.client_secret)


def _why(error: DashError) -> Refused:
    """Return what somebody is told of ``error``, and what an administrator is."""
    if isinstance(error, Refused):
        return error
    return Refused(Why.UNAVAILABLE if isinstance(error, TransientError) else Why.UNTRUSTED, str(error))


def _wanted(document: ProviderDocument) -> list[str]:
    """Return the claims without which the provider is asked a second time."""
    verified = [] if document.trust_email else ["email_verified"]
    return [document.email_claim, *verified, *([document.groups_claim] if document.roles else [])]


def _check_whole(document: ProviderDocument, claims: dict[str, Any]) -> None:
    """Refuse somebody whose groups were left out for being too many, rather than take them for somebody without."""
    named = claims.get(_GROUPS_ELSEWHERE)
    if document.roles and isinstance(named, dict) and document.groups_claim in named:
        told = f"{document.groups_claim!r} has too many groups for a token: have only those assigned to the client told"
        raise Refused(Why.ROLE, told)
