"""What is said about a provider on its way in and out of the control plane: judged whole, its secret sealed, masked."""

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

import msgspec

from appliance.components.lint import lint
from appliance.domain.ids import IdentityId, ProviderId, UserId
from appliance.domain.sign_in import Otherwise, ProviderDocument
from appliance.errors import Invalid, Problem
from appliance.openid.metadata import issuer_problems
from appliance.services.views import SECRET_MASK
from appliance.storage.control.provider_tables import ProviderRow
from appliance.storage.control.vault import Vault

CALLBACK: Final = "/sign-in/callback"
_SECRET: Final = "client_secret"  # noqa: S105 - the name of a field
_SCOPE: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")  # RFC 6749, 3.3
_DOMAIN: Final = re.compile(r"[^@\s.]+(\.[^@\s.]+)*")


class ProviderView(ProviderDocument, frozen=True, kw_only=True):
    """A provider as people see it; a secret reads ``********``. ``people``: who are known by it."""

    id: ProviderId
    callback_url: str  # to be entered at the provider; without server.base_url a path below this appliance's address
    people: int
    created_at: datetime
    updated_at: datetime

    def at(self, origin: str) -> "ProviderView":
        """Return the view for somebody who reaches this appliance at ``origin``: the address is whole."""
        return msgspec.structs.replace(self, callback_url=whole(self.callback_url, origin))


class IdentityView(msgspec.Struct, frozen=True, kw_only=True):
    """Who a user is to a provider. ``email``: as it told when they came last."""

    id: IdentityId
    user_id: UserId
    user: str  # the address of the user
    subject: str
    email: str | None
    created_at: datetime
    used_at: datetime


def whole(address: str, origin: str) -> str:
    """Return ``address``, completed where it is only a path."""
    return origin.rstrip("/") + address if address.startswith("/") else address


def callback_of(provider_id: str, base_url: str = "") -> str:
    """Return where a provider sends people back to: an address of its own, so that none takes another's codes."""
    return f"{base_url}{CALLBACK}/{provider_id}"


def decoded(document: Any, former: ProviderDocument | None = None) -> ProviderDocument:
    """Return ``document``. A masked secret is that of ``former``, unless it would be sent to somebody else now.

    Raises:
        Invalid: with every problem.
    """
    problems = lint(ProviderDocument, document)
    if isinstance(document, dict) and document.get(_SECRET) == SECRET_MASK:
        if former is None or former.issuer != document.get("issuer"):
            told = "the secret is not sent to another issuer than it was entered for"
            problems.append(Problem(f"/{_SECRET}", told, "enter it again"))
        else:
            document = document | {_SECRET: former.client_secret}
    if not problems:
        problems = list(_problems(msgspec.convert(document, ProviderDocument)))
    if problems:
        raise Invalid(problems)
    return msgspec.convert(document, ProviderDocument)


def _problems(document: ProviderDocument) -> Iterator[Problem]:
    for field in ("name", "client_id", _SECRET, "email_claim", "groups_claim"):
        text = getattr(document, field)
        if text != text.strip() or not text.isprintable():
            yield Problem(f"/{field}", "it begins or ends with a space, or has a letter that cannot be seen")
    for trouble in issuer_problems(document.issuer):
        yield Problem("/issuer", f"it {trouble}")
    if document.enabled and not document.client_id:
        yield Problem("/client_id", "people can come by it only when it knows this appliance", "or leave 'enabled' off")
    for place, scope in enumerate(document.scopes):
        if not _SCOPE.fullmatch(scope):
            yield Problem(f"/scopes/{place}", f"expected one word, got {scope!r}")
    for place, domain in enumerate(document.domains):
        if not _DOMAIN.fullmatch(domain):
            yield Problem(f"/domains/{place}", f"expected a domain such as example.org, got {domain!r}")
    if document.create_users and not document.roles and document.otherwise is Otherwise.REFUSE:
        yield Problem("/otherwise", "nobody new would have a role", "name groups in 'roles', or a role here")


def sealed(document: ProviderDocument, vault: Vault) -> dict[str, Any]:
    """Return ``document`` as it is stored."""
    found: dict[str, Any] = msgspec.to_builtins(document)
    return found | {_SECRET: vault.seal(document.client_secret) if document.client_secret else ""}


def unsealed(row: ProviderRow, vault: Vault) -> ProviderDocument:
    """Return what is stored, its secret in clear. Raises FatalError: it was sealed with another key."""
    secret = row.document[_SECRET]
    return msgspec.convert(row.document | {_SECRET: vault.unseal(secret) if secret else ""}, ProviderDocument)


def view_of(row: ProviderRow, people: int, base_url: str) -> ProviderView:
    """Return what people see of it."""
    masked = row.document | {_SECRET: SECRET_MASK if row.document[_SECRET] else ""}
    more = {
        "id": row.id, "callback_url": callback_of(row.id, base_url), "people": people,
        "created_at": row.created_at, "updated_at": row.updated_at,
    }  # fmt: skip
    return msgspec.convert(masked | more, ProviderView)
