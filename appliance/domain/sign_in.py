"""Signing in on the word of a provider: what is said about one, what it says of a person, what follows. Pure."""

from collections.abc import Mapping
from enum import Enum
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from appliance.domain.access import Role
from appliance.errors import Forbidden

_RANK: Final = {Role.VIEWER: 1, Role.EDITOR: 2, Role.ADMIN: 3}
_MOST_GROUPS: Final = 10_000
_MOST_ADDRESS: Final = 254
Text = Annotated[str, Meta(max_length=200)]


class Otherwise(Enum):
    """What somebody becomes whose groups name no role."""

    VIEWER = "viewer"
    EDITOR = "editor"
    ADMIN = "admin"
    REFUSE = "refuse"

    @property
    def role(self) -> Role | None:
        return None if self is Otherwise.REFUSE else Role(self.value)


class GroupRole(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Members of ``group`` have at least ``role``."""

    group: Annotated[str, Meta(min_length=1, max_length=200, examples=["dash-administrators"])]
    role: Role


class ProviderDocument(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One OpenID provider by which people of an organisation sign in."""

    name: Annotated[
        str,
        Meta(min_length=1, max_length=60, description="What the button says after *Sign in with*", examples=["Okta"]),
    ]
    issuer: Annotated[
        str,
        Meta(
            min_length=1, max_length=500, description="Its issuer, character by character as it calls itself",
            examples=["https://login.example.org/realms/staff"],
        ),
    ]  # fmt: skip
    client_id: Annotated[str, Meta(max_length=300, description="How it knows this appliance")] = ""
    client_secret: Annotated[
        str,
        Meta(max_length=2000, description="Empty: a public client, proved by PKCE alone", extra={"secret": True}),
    ] = ""
    scopes: Annotated[tuple[Text, ...], Meta(max_length=30)] = ("openid", "email", "profile")
    email_claim: Annotated[str, Meta(min_length=1, max_length=200)] = "email"
    trust_email: Annotated[
        bool, Meta(description="Count an address as verified where the provider says neither yes nor no")
    ] = False
    domains: Annotated[
        tuple[Text, ...], Meta(max_length=200, description="Only addresses of these domains; none: of any")
    ] = ()
    groups_claim: Annotated[str, Meta(min_length=1, max_length=200)] = "groups"
    roles: Annotated[
        tuple[GroupRole, ...],
        Meta(
            max_length=200, description="The highest role of all groups counts, anew at each sign-in; none: no mapping"
        ),
    ] = ()
    otherwise: Annotated[Otherwise, Meta(description="Who is in none of these groups")] = Otherwise.VIEWER
    create_users: Annotated[bool, Meta(description="Whoever comes for the first time becomes a user")] = False
    link_users: Annotated[
        bool, Meta(description="Who comes with the verified address of a user of the organisation is that user")
    ] = False
    passwords: Annotated[bool, Meta(description="People who come by it may sign in by password too")] = True
    sign_out: Annotated[bool, Meta(description="Signing out here signs out there too")] = False
    enabled: bool = True


class Tried(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that trying a provider found. ``remedy`` says what to do where it is not fine."""

    about: str
    state: Literal["fine", "warning", "bad"]
    message: str
    remedy: str | None = None


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider says of somebody. ``groups`` None: it says nothing."""

    subject: str
    email: str | None
    verified: bool
    groups: frozenset[str] | None


class Account(msgspec.Struct, frozen=True):
    user_id: str
    disabled: bool


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """``linked``: who came as this subject before. ``namesake``: whose address it is in this organisation.

    ``elsewhere``: it is somebody's of another one, or counts as somebody's and is written with other letters.
    """

    linked: Account | None = None
    namesake: Account | None = None
    elsewhere: bool = False


class Decision(msgspec.Struct, frozen=True):
    """``user_id`` None: a new user. ``role`` None: it stays. ``link``: they are known by this subject from now on."""

    user_id: str | None
    role: Role | None
    link: bool = False


class Why(Enum):
    """Why somebody was not let in; the value stands in an address, never a reason of somebody else's making."""

    STALE = "stale"
    DENIED = "denied"
    UNTRUSTED = "untrusted"
    UNAVAILABLE = "unavailable"
    EMAIL = "email"
    DOMAIN = "domain"
    UNKNOWN = "unknown"
    TAKEN = "taken"
    DISABLED = "disabled"
    ROLE = "role"
    FULL = "full"


_ASK: Final = "Ask an administrator: the audit trail has the reason."
SENTENCES: Final = {
    Why.STALE: "This sign-in was begun too long ago, in another browser, or was ended already. Begin again.",
    Why.DENIED: "The provider did not let you in, or you said no there.",
    Why.UNTRUSTED: f"What the provider answered did not pass the checks. {_ASK}",
    Why.UNAVAILABLE: "The provider does not answer as it should right now. Try again in a minute, or use a password.",
    Why.EMAIL: f"The provider told no e-mail address of yours that it has verified. {_ASK}",
    Why.DOMAIN: "Addresses of your e-mail domain are not admitted here.",
    Why.UNKNOWN: "You have no account here yet, and none is made by itself. Ask an administrator for one.",
    Why.TAKEN: "There is an account with your e-mail address that is not yours by this way in. Ask an administrator.",
    Why.DISABLED: "Your account is disabled. Ask an administrator.",
    Why.ROLE: "None of your groups has a role here. Ask an administrator.",
    Why.FULL: "There are as many users as the licence allows, so you could not be added. Tell an administrator.",
}


class Refused(Forbidden):
    """Somebody is not let in: the message is for them, ``reason`` for the administrator alone."""

    def __init__(self, why: Why, reason: str) -> None:
        self.why, self.reason = why, reason
        super().__init__(SENTENCES[why])


def person_of(document: ProviderDocument, claims: Mapping[str, Any]) -> Person:
    """Return what ``claims``, which were proved, say of a person."""
    email = claim(claims, document.email_claim)
    email = email.strip() if isinstance(email, str) and email.isprintable() else ""
    email = email if len(email) <= _MOST_ADDRESS else ""
    said = claims.get("email_verified")
    if isinstance(said, str):  # some write it as text
        said = {"true": True, "false": False}.get(said.lower())
    denied = said is not None and said is not True
    about_it = document.email_claim == "email" or email == claims.get("email")  # it is said of that claim alone
    verified = not denied and ((said is True and about_it) or document.trust_email)
    return Person(
        subject=str(claims["sub"]),
        email=email or None,
        verified=verified,
        groups=_groups(claim(claims, document.groups_claim)),
    )


def claim(claims: Mapping[str, Any], name: str) -> Any:
    """Return the claim ``name``, or what lies at ``a.b`` inside others; None: there is none."""
    if name in claims:
        return claims[name]
    found: Any = claims
    for part in name.split("."):
        if not isinstance(found, Mapping) or part not in found:
            return None
        found = found[part]
    return found


def _groups(said: Any) -> frozenset[str] | None:
    if isinstance(said, str):
        return frozenset((said,))
    if isinstance(said, list):
        return frozenset(one for one in said[:_MOST_GROUPS] if isinstance(one, str))
    return None


def role_for(document: ProviderDocument, groups: frozenset[str] | None) -> Role | None:
    """Return the highest role that ``groups`` have, or what others become; None: they are refused."""
    found = [one.role for one in document.roles if groups and one.group in groups]
    return max(found, key=_RANK.__getitem__) if found else document.otherwise.role


def decide(document: ProviderDocument, person: Person, known: Known) -> Decision:
    """Return who comes in, and as what.

    Raises:
        Refused: nobody does.
    """
    _check_domain(document, person)
    if known.linked is not None:
        return _admitted(document, person, known.linked, link=False)
    if person.email is None or not person.verified:
        said = "no e-mail address" if person.email is None else f"the address {person.email!r} without verifying it"
        told = f"{document.email_claim!r}: the provider told {said}, so it says nothing about who this is"
        raise Refused(Why.EMAIL, told)
    if known.namesake is not None and document.link_users:
        return _admitted(document, person, known.namesake, link=True)
    if known.namesake is not None:
        raise Refused(Why.TAKEN, f"{person.email!r} is a user already and 'link_users' is off")
    if known.elsewhere:
        told = "is the address of somebody outside this organisation, or is like one in letters that look the same"
        raise Refused(Why.TAKEN, f"{person.email!r} {told}")
    if not document.create_users:
        raise Refused(Why.UNKNOWN, f"{person.email!r} is no user and 'create_users' is off")
    return Decision(None, _needed(document, person), link=True)


def _admitted(document: ProviderDocument, person: Person, account: Account, *, link: bool) -> Decision:
    if account.disabled:
        raise Refused(Why.DISABLED, f"the user {account.user_id} is disabled")
    return Decision(account.user_id, _needed(document, person) if document.roles else None, link)


def _needed(document: ProviderDocument, person: Person) -> Role:
    role = role_for(document, person.groups)
    if role is None:
        told = "tells no groups" if person.groups is None else f"tells {len(person.groups)} groups, none with a role"
        raise Refused(Why.ROLE, f"{document.groups_claim!r}: the provider {told}, and 'otherwise' says refuse")
    return role


def _check_domain(document: ProviderDocument, person: Person) -> None:
    if not document.domains:
        return
    if person.email is None or not person.verified:
        raise Refused(Why.EMAIL, "'domains' is set, and the provider told no verified address to hold against it")
    domain = person.email.rpartition("@")[2].casefold()
    if domain not in {one.strip().lstrip("@").casefold() for one in document.domains}:
        raise Refused(Why.DOMAIN, f"the domain {domain!r} is none of 'domains'")


def same_address(one: str, other: str) -> bool:
    """Return whether two addresses are one mailbox's beyond doubt: but for the case of ASCII letters they are equal.

    ``K`` and the sign for kelvin, or ``ss`` and ``ß``, are told apart by mail servers and not by ``casefold``.
    """
    return one == other or (one.isascii() and other.isascii() and one.lower() == other.lower())
