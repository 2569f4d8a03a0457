"""Who comes in on a provider's word, and as what: the table of the handbook, tried cell by cell."""

from typing import Any

import msgspec
import pytest

from appliance.domain.access import Role
from appliance.domain.sign_in import (
    Account,
    Decision,
    GroupRole,
    Known,
    Otherwise,
    Person,
    ProviderDocument,
    Refused,
    Why,
    decide,
    person_of,
    role_for,
    same_address,
)
from appliance.services.sessions import email_key

STRICT = ProviderDocument(name="Works", issuer="https://login.example.org", client_id="dash")
GRACE = Person(subject="u-1", email="grace@example.org", verified=True, groups=frozenset({"staff"}))
SOMEBODY, DISABLED = Account("user_1", disabled=False), Account("user_1", disabled=True)
STAFF = (GroupRole(group="staff", role=Role.EDITOR), GroupRole(group="bosses", role=Role.ADMIN))


def of(**changes: Any) -> ProviderDocument:
    return msgspec.structs.replace(STRICT, **changes)


def who(**changes: Any) -> Person:
    return msgspec.structs.replace(GRACE, **changes)


@pytest.mark.parametrize(
    ("document", "person", "known", "expected"),
    [
        (STRICT, GRACE, Known(linked=SOMEBODY), Decision("user_1", None)),
        (STRICT, who(email=None), Known(linked=SOMEBODY), Decision("user_1", None)),
        (STRICT, who(verified=False), Known(linked=SOMEBODY), Decision("user_1", None)),
        (of(roles=STAFF), GRACE, Known(linked=SOMEBODY), Decision("user_1", Role.EDITOR)),
        (of(roles=STAFF), who(groups=None), Known(linked=SOMEBODY), Decision("user_1", Role.VIEWER)),
        (of(link_users=True), GRACE, Known(namesake=SOMEBODY), Decision("user_1", None, link=True)),
        (of(create_users=True), GRACE, Known(), Decision(None, Role.VIEWER, link=True)),
        (of(create_users=True, domains=("Example.ORG",)), GRACE, Known(), Decision(None, Role.VIEWER, link=True)),
        (of(create_users=True, otherwise=Otherwise.EDITOR), GRACE, Known(), Decision(None, Role.EDITOR, link=True)),
    ],
)
def test_who_comes_in(document: ProviderDocument, person: Person, known: Known, expected: Decision) -> None:
    assert decide(document, person, known) == expected


EVERYTHING = of(create_users=True, link_users=True, roles=STAFF)


@pytest.mark.parametrize(
    ("document", "person", "known", "why"),
    [
        (STRICT, GRACE, Known(linked=DISABLED), Why.DISABLED),
        (EVERYTHING, GRACE, Known(namesake=DISABLED), Why.DISABLED),
        (EVERYTHING, who(email=None), Known(), Why.EMAIL),
        (EVERYTHING, who(verified=False), Known(), Why.EMAIL),
        (EVERYTHING, who(verified=False), Known(namesake=SOMEBODY), Why.EMAIL),
        (of(create_users=True), GRACE, Known(namesake=SOMEBODY), Why.TAKEN),
        (EVERYTHING, GRACE, Known(elsewhere=True), Why.TAKEN),
        (of(link_users=True), GRACE, Known(), Why.UNKNOWN),
        (of(domains=("example.net",)), GRACE, Known(linked=SOMEBODY), Why.DOMAIN),
        (of(domains=("org",)), GRACE, Known(linked=SOMEBODY), Why.DOMAIN),  # no domain below it
        (of(domains=("example.org",)), who(verified=False), Known(linked=SOMEBODY), Why.EMAIL),
        (of(domains=("example.org",)), who(email="x@example.org@evil.example"), Known(linked=SOMEBODY), Why.DOMAIN),
        (of(roles=STAFF, otherwise=Otherwise.REFUSE), who(groups=None), Known(linked=SOMEBODY), Why.ROLE),
        (of(create_users=True, roles=STAFF, otherwise=Otherwise.REFUSE), who(groups=frozenset()), Known(), Why.ROLE),
    ],
)
def test_who_does_not(document: ProviderDocument, person: Person, known: Known, why: Why) -> None:
    with pytest.raises(Refused) as caught:
        decide(document, person, known)
    assert (caught.value.why, bool(caught.value.reason)) == (why, True)


def test_the_highest_role_counts() -> None:
    assert role_for(of(roles=STAFF), frozenset({"staff", "bosses"})) is Role.ADMIN
    assert role_for(of(roles=STAFF), frozenset({"STAFF"})) is Role.VIEWER
    assert role_for(of(roles=STAFF, otherwise=Otherwise.REFUSE), None) is None


@pytest.mark.parametrize(
    ("claims", "verified"),
    [
        ({"email_verified": True}, True),
        ({"email_verified": "true"}, True),
        ({"email_verified": "false"}, False),
        ({"email_verified": False}, False),
        ({"email_verified": 1}, False),
        ({}, False),
    ],
)
def test_what_counts_as_verified(claims: dict[str, Any], verified: bool) -> None:
    told = {"sub": "u", "email": "a@example.org"} | claims
    assert person_of(STRICT, told).verified is verified
    assert person_of(of(trust_email=True), told).verified is (verified or claims == {})


def test_what_is_verified_is_the_claim_email_and_no_other() -> None:
    named = {"sub": "u", "upn": "ada@example.org", "email": "eve@example.org", "email_verified": True}
    other = of(email_claim="upn")
    assert person_of(other, named).verified is False
    assert person_of(other, named | {"email": "ada@example.org"}).verified is True
    assert person_of(of(email_claim="upn", trust_email=True), named).verified is True
    assert person_of(of(email_claim="upn", trust_email=True), named | {"email_verified": False}).verified is False


def test_claims_may_lie_inside_others() -> None:
    document = of(groups_claim="realm_access.roles", email_claim="upn")
    told = {"sub": "u", "upn": " ada@example.org ", "realm_access": {"roles": ["a", 7, "b"]}}
    person = person_of(document, told)
    assert (person.email, person.groups) == ("ada@example.org", frozenset({"a", "b"}))
    assert person_of(of(groups_claim="a.b"), {"sub": "u", "a.b": "c", "a": {"b": "d"}}).groups == frozenset({"c"})
    assert person_of(STRICT, {"sub": "u", "groups": 7, "email": ["x"]}) == Person(
        subject="u", email=None, verified=False, groups=None
    )


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("kim@example.org", "KIM@Example.org", True),
        ("kim@example.org", "\u212aim@example.org", False),  # the sign for kelvin
        ("strasse@example.org", "stra\u00dfe@example.org", False),
        ("stra\u00dfe@example.org", "stra\u00dfe@example.org", True),
    ],
)
def test_addresses_that_only_count_as_the_same_are_not(one: str, other: str, same: bool) -> None:
    assert same_address(one, other) is same
    assert email_key(one) == email_key(other)
