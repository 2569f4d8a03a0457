"""The conversation with a provider: what it says of itself, its keys, a code redeemed, a person looked up."""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

import msgspec
from authlib.oauth2.auth import ClientAuth
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri, prepare_token_request
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from joserfc.jwk import Key

from appliance.components.resources import Outbound, OutboundRequest, OutboundResponse
from appliance.errors import TransientError
from appliance.openid.metadata import Metadata, Untrusted, address_of, issuer_problems, read_metadata
from appliance.openid.tokens import Expected, UnknownKey, claims_of, read_keys

FRESH_SECS: Final = 3600.0
TIMEOUT_SECS: Final = 10.0
MOST_BYTES: Final = 512 << 10
_MOST_PROVIDERS: Final = 200
MOST_AT_ONCE: Final = 64  # of all, fewer than there are connections: what is polled goes on while providers are slow
MOST_OF_ONE: Final = 32
_FORM: Final = "application/x-www-form-urlencoded"
_JSON: Final = {"accept": "application/json"}
T = TypeVar("T")


class Client(msgspec.Struct, frozen=True, kw_only=True):
    """How a provider knows this appliance. ``secret`` empty: by its name and PKCE alone."""

    issuer: str
    client_id: str
    secret: str


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """What one sign-in is recognised by, when its code comes."""

    state: str
    nonce: str
    verifier: str
    redirect_uri: str


class Proved(msgspec.Struct, frozen=True, kw_only=True):
    """Claims that were proved; ``id_token``: the hint for signing out; ``access_token``: for what it does not say."""

    claims: dict[str, Any]
    id_token: str
    access_token: str | None


class OpenId:
    """One for a process; remembers for an hour what providers say of themselves, and their keys.

    Every method raises TransientError: the provider does not answer, or not now; ``Untrusted``: what it answered
    proves nothing; ConfigError: its address may not be connected to.
    """

    def __init__(self, outbound: Outbound, now: Callable[[], float] = time.monotonic) -> None:
        self._outbound, self._now = outbound, now
        self.timeout_secs = TIMEOUT_SECS
        self._metadata: dict[str, tuple[float, Metadata]] = {}
        self._keys: dict[str, tuple[float, list[Key]]] = {}
        self._under_way: Counter[str] = Counter()  # requests by host

    async def metadata(self, issuer: str, *, fresh: bool = False) -> Metadata:
        """Return what the provider says of itself; ``fresh``: now."""
        if not fresh and (known := self._known(self._metadata, issuer)) is not None:
            return known
        for trouble in issuer_problems(issuer):
            raise Untrusted(f"the issuer {issuer!r} {trouble}")
        answer = await self._ask(OutboundRequest(url=address_of(issuer), headers=_JSON))
        return self._keep(self._metadata, issuer, read_metadata(issuer, _body(answer)))

    async def keys(self, metadata: Metadata, *, fresh: bool = False) -> list[Key]:
        """Return the provider's keys; ``fresh``: now."""
        where = metadata.jwks_uri
        if not fresh and (known := self._known(self._keys, where)) is not None:
            return known
        answer = await self._ask(OutboundRequest(url=where, headers=_JSON))
        return self._keep(self._keys, where, read_keys(_body(answer), where))

    async def address(self, client: Client, attempt: Attempt, scopes: tuple[str, ...]) -> str:
        """Return where to send a browser to begin."""
        metadata = await self.metadata(client.issuer)
        return str(
            prepare_grant_uri(
                metadata.authorization_endpoint,
                client.client_id,
                "code",
                attempt.redirect_uri,
                " ".join(dict.fromkeys(("openid", *scopes))),
                attempt.state,
                nonce=attempt.nonce,
                code_challenge=create_s256_code_challenge(attempt.verifier),
                code_challenge_method="S256",
            )
        )

    async def check_sender(self, client: Client, issuer: str | None) -> None:
        """Return if an answer that names ``issuer`` (RFC 9207), or nobody, can be the provider's."""
        if issuer is None and not (await self.metadata(client.issuer)).authorization_response_iss_parameter_supported:
            return
        if issuer != client.issuer:
            raise Untrusted(f"the answer says that it is of {str(issuer)[:300]!r}: expected {client.issuer!r}")

    async def redeem(self, client: Client, attempt: Attempt, code: str) -> Proved:
        """Exchange ``code`` for an ID token, and prove it. An unknown key is looked for once more."""
        metadata = await self.metadata(client.issuer)
        answer = await self.token_request(client, metadata, attempt, code)
        said = answered(answer)
        if answer.status != 200 or "error" in said:
            raise Untrusted(f"the provider did not take the code: {refusal(said) or f'status {answer.status}'}")
        token, access = said.get("id_token"), said.get("access_token")
        if not isinstance(token, str):
            raise Untrusted("the provider answered no ID token: is 'openid' among its client's scopes?")
        access = access if isinstance(access, str) else None
        expected = Expected(
            issuer=client.issuer, client_id=client.client_id, nonce=attempt.nonce, access_token=access
        )  # fmt: skip
        try:
            claims = claims_of(token, await self.keys(metadata), expected)
        except UnknownKey:
            claims = claims_of(token, await self.keys(metadata, fresh=True), expected)
        return Proved(claims=claims, id_token=token, access_token=access)

    async def token_request(self, client: Client, metadata: Metadata, attempt: Attempt, code: str) -> OutboundResponse:
        """Send ``code``, whatever is answered to it."""
        body = prepare_token_request(
            "authorization_code", "", attempt.redirect_uri, code=code, code_verifier=attempt.verifier
        )
        where, headers, body = _authenticated(client, metadata).prepare(
            "POST", metadata.token_endpoint, _JSON | {"content-type": _FORM}, body
        )
        request = OutboundRequest(url=where, method="POST", headers=headers, body=body.encode())
        return await self._ask(request)

    async def completed(self, client: Client, proved: Proved) -> dict[str, Any]:
        """Return the claims with those that only the provider's userinfo address tells, where it has one."""
        metadata = await self.metadata(client.issuer)
        if metadata.userinfo_endpoint is None or proved.access_token is None:
            return proved.claims
        headers = _JSON | {"authorization": f"Bearer {proved.access_token}"}
        said = answered(await self._ask(OutboundRequest(url=metadata.userinfo_endpoint, headers=headers)))
        if said.get("sub") != proved.claims["sub"]:
            raise Untrusted("the provider's userinfo is not about whom the ID token is about")
        if said.get("email") != proved.claims.get("email", said.get("email")):
            said.pop("email_verified", None)  # it is said of another address
        return said | proved.claims

    async def farewell(self, client: Client, id_token: str, back: str) -> str | None:
        """Return where to send a browser that is signed out here, to be signed out there; None: there is no such."""
        endpoint = (await self.metadata(client.issuer)).end_session_endpoint
        if endpoint is None:
            return None
        more = {"id_token_hint": id_token, "post_logout_redirect_uri": back, "client_id": client.client_id}
        parts = urlsplit(endpoint)
        query = urlencode([*parse_qsl(parts.query), *more.items()])
        return urlunsplit(parts._replace(query=query))

    def _known(self, kept: dict[str, tuple[float, T]], key: str) -> T | None:
        found = kept.get(key)
        return found[1] if found is not None and self._now() - found[0] < FRESH_SECS else None

    def _keep(self, kept: dict[str, tuple[float, T]], key: str, value: T) -> T:
        if len(kept) >= _MOST_PROVIDERS:
            kept.clear()
        kept[key] = (self._now(), value)
        return value

    async def _ask(self, request: OutboundRequest) -> OutboundResponse:
        host = urlsplit(request.url).netloc
        if self._under_way[host] >= MOST_OF_ONE or self._under_way.total() >= MOST_AT_ONCE:
            raise TransientError(f"{host} is not asked now: too many sign-ins wait for their providers already")
        self._under_way[host] += 1
        try:
            answer = await self._outbound.send(
                msgspec.structs.replace(request, timeout_secs=self.timeout_secs, max_bytes=MOST_BYTES)
            )
        finally:
            self._under_way[host] -= 1
            self._under_way += Counter()  # drops those that are at zero
        if answer.status >= 500 or answer.status == 429:
            raise TransientError(f"{request.url.partition('?')[0]} answered {answer.status}")
        return answer


def refusal(said: Mapping[str, Any]) -> str:
    """Return what an OAuth 2 error says, fit for an audit trail."""
    words = [said.get("error"), said.get("error_description")]
    text = ": ".join(word for word in words if isinstance(word, str))
    return "".join(letter if letter.isprintable() else " " for letter in text)[:300]


def _authenticated(client: Client, metadata: Metadata) -> Any:
    """Return how to prove at the token address who asks: in the body where that is offered, for it needs no quoting."""
    if not client.secret:
        return ClientAuth(client.client_id, None, "none")
    if "client_secret_post" in (metadata.token_endpoint_auth_methods_supported or ()):
        return ClientAuth(client.client_id, client.secret, "client_secret_post")
    return ClientAuth(quote(client.client_id, ""), quote(client.secret, ""), "client_secret_basic")


def _body(answer: OutboundResponse) -> bytes:
    if answer.status != 200:
        raise Untrusted(f"{answer.url.partition('?')[0]} answered {answer.status}")
    return answer.body


def answered(answer: OutboundResponse) -> dict[str, Any]:
    """Return the JSON object that was answered. Raises Untrusted: it was something else."""
    try:
        return msgspec.json.decode(answer.body, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        where = answer.url.partition("?")[0]
        raise Untrusted(f"{where} answered {answer.status} and no JSON object") from error
