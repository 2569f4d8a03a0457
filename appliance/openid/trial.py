"""A provider tried before people are sent there: what it says of itself, its keys, and whether it knows the client."""

import secrets
from collections.abc import AsyncIterator, Iterator

from appliance.domain.sign_in import Tried
from appliance.errors import DashError
from appliance.openid.client import Attempt, Client, OpenId, answered, refusal
from appliance.openid.metadata import Metadata
from appliance.openid.tokens import ALGORITHMS

_FOR_NOTHING = "dash-appliance-tries-whether-it-is-known"  # a code that nobody was given


async def tried(openid: OpenId, client: Client, scopes: tuple[str, ...], redirect_uri: str) -> AsyncIterator[Tried]:
    """Yield what was found, asking the provider now; what depends on something that failed is not tried."""
    try:
        metadata = await openid.metadata(client.issuer, fresh=True)
    except DashError as error:
        yield Tried("discovery", "bad", str(error), "see that the issuer is right and can be reached from here")
        return
    yield Tried("discovery", "fine", f"{metadata.issuer} describes itself")
    try:
        keys = await openid.keys(metadata, fresh=True)
        named = " and ".join(sorted({str(key.key_type) for key in keys}))
        told = f"ID tokens may be signed by {len(keys)} of {named}: {', '.join(str(key.kid) for key in keys)[:200]}"
        yield Tried("keys", "fine", told)
    except DashError as error:
        yield Tried("keys", "bad", str(error), "see that its keys can be reached from here")
    for found in _said(metadata, scopes):
        yield found
    if client.client_id:
        yield await _known(openid, client, metadata, redirect_uri)


def _said(metadata: Metadata, scopes: tuple[str, ...]) -> Iterator[Tried]:
    signs = metadata.id_token_signing_alg_values_supported or ("RS256",)
    if fitting := [one for one in signs if one in ALGORITHMS]:
        yield Tried("signatures", "fine", f"ID tokens by {', '.join(fitting)}")
    else:
        told = f"ID tokens only by {', '.join(signs)[:200]}, none of which is accepted"
        yield Tried("signatures", "bad", told, "have it sign by RS256 or ES256")
    if "S256" not in (metadata.code_challenge_methods_supported or ()):
        told = "it does not say that it checks PKCE (S256); it is sent all the same"
        yield Tried("PKCE", "warning", told, "switch it on at the provider, if it has a switch for it")
    else:
        yield Tried("PKCE", "fine", "S256")
    if missing := set(scopes) - set(metadata.scopes_supported or scopes):
        told = f"it does not list {', '.join(sorted(missing))[:200]}"
        yield Tried("scopes", "warning", told, "see at the provider what gives e-mail address and groups")
    if metadata.end_session_endpoint is None:
        yield Tried("sign-out", "warning", "signing out there too is not offered", "leave 'sign_out' off")
    else:
        yield Tried("sign-out", "fine", "signing out there too is offered")


async def _known(openid: OpenId, client: Client, metadata: Metadata, redirect_uri: str) -> Tried:
    """Send a code that is none: whoever refuses the code has accepted the client."""
    nothing = secrets.token_urlsafe(32)
    attempt = Attempt(state=nothing, nonce=nothing, verifier=nothing, redirect_uri=redirect_uri)
    try:
        said = answered(await openid.token_request(client, metadata, attempt, _FOR_NOTHING))
    except DashError as error:
        return Tried("client", "bad", str(error), "see that its token address can be reached from here")
    match said.get("error"):
        case "invalid_grant":
            return Tried("client", "fine", "client ID and secret are accepted")
        case "invalid_client" | "unauthorized_client":
            told = f"client ID or secret is not accepted: {refusal(said)}"
            return Tried("client", "bad", told, "copy both again from the provider, and see that it allows codes")
        case _:
            told = f"asked with a code that is none it answered: {refusal(said) or 'nothing that is understood'}"
            return Tried("client", "warning", told, "sign in once to see whether client ID and secret are right")
