"""ID tokens: signature and claims, proved by joserfc and Authlib, with an allow-list of algorithms."""

import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import ECKey, GuestProtocol, JWKRegistry, Key, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from appliance.openid.metadata import Untrusted

LEEWAY_SECS: Final = 60  # how far clocks may differ
MOST_SUBJECT: Final = 255
_LEAST_RSA_BITS: Final = 2048
_MOST_KEYS: Final = 100
_CURVES: Final = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}
# Signatures by a key that the provider alone has. Not ``none``, and nothing that a client's secret or a public key,
# taken for a secret, could make.
ALGORITHMS: Final = (
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519",
)  # fmt: skip


class UnknownKey(Untrusted):
    """Signed by a key that is not among those known: perhaps they were exchanged."""


class Expected(msgspec.Struct, frozen=True, kw_only=True):
    """What a token has to say to count."""

    issuer: str
    client_id: str
    nonce: str
    access_token: str | None = None


class _Registry(JWSRegistry):
    """Some providers put whole certificates into the header."""

    max_header_length = 32_768


def read_keys(body: bytes, where: str) -> list[Key]:
    """Return the public keys of a key set that may sign tokens; what else is in it is passed over.

    Raises:
        Untrusted: no key set, or none of it is such a key.
    """
    try:
        listed = msgspec.json.decode(body, type=dict[str, Any])["keys"]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, KeyError) as error:
        raise Untrusted(f"{where} does not answer a set of keys") from error
    found = [_key(one) for one in listed[:_MOST_KEYS]] if isinstance(listed, list) else []
    if not (keys := [one for one in found if one is not None]):
        raise Untrusted(f"{where} has no key that an ID token could be signed with")
    return keys


def _key(data: Any) -> Key | None:
    if not isinstance(data, dict) or data.get("use", "sig") != "sig" or data.get("kty") not in ("RSA", "EC", "OKP"):
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SecurityWarning)  # of short keys: judged below
            key = JWKRegistry.import_key(data)
    except (JoseError, ValueError, TypeError, KeyError):  # what another key of the set is not to suffer from
        return None
    if isinstance(key, RSAKey) and key.public_key.key_size < _LEAST_RSA_BITS:
        return None
    return key


def claims_of(
    token: str, keys: Sequence[Key], expected: Expected, now: Callable[[], float] = time.time
) -> dict[str, Any]:
    """Return the claims of an ID token that was proved.

    Raises:
        UnknownKey: none of ``keys`` is the one it names.
        Untrusted: anything else about it is not as it has to be.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SecurityWarning)  # EdDSA is about to be named by its curve
            registry = _Registry(algorithms=ALGORITHMS, strict_check_header=False)
            read = jwt.decode(token, _chosen(keys), registry=registry)
        claims = CodeIDToken(read.claims, read.header, _options(expected), msgspec.structs.asdict(expected))
        claims.validate(int(now()), LEEWAY_SECS)
    except JoseError as error:
        raise Untrusted(f"the ID token is not accepted: {_told(error)}") from error
    except (ValueError, TypeError, RecursionError) as error:  # of claims that are no text, no number, no end
        raise Untrusted("the ID token is not accepted: it is malformed") from error
    if not 0 < len(claims["sub"]) <= MOST_SUBJECT or not claims["sub"].isprintable():
        raise Untrusted("the ID token is not accepted: 'sub' is empty, too long, or has a letter that cannot be seen")
    return dict(claims)


def _options(expected: Expected) -> dict[str, Any]:
    """Return what joserfc holds claims against; nonce, authorized party and hash are Authlib's to look at."""
    return {
        "iss": {"essential": True, "value": expected.issuer},
        "aud": {"essential": True, "value": expected.client_id},
        "sub": {"essential": True},
    }


def _chosen(keys: Sequence[Key]) -> Callable[[GuestProtocol], Key]:
    def choose(token: GuestProtocol) -> Key:
        header = token.headers()
        algorithm, kid = str(header.get("alg")), header.get("kid")
        fitting = [one for one in keys if _fits(one, algorithm)]
        if kid is not None:
            fitting = [one for one in fitting if one.kid == kid]
        if not fitting:
            raise UnknownKey(f"the ID token is signed {algorithm[:20]!r} by a key that the provider does not publish")
        if len(fitting) > 1 and kid is None:
            raise Untrusted("the ID token does not say which of the provider's keys signed it")
        return fitting[0]

    return choose


def _fits(key: Key, algorithm: str) -> bool:
    """Return whether ``algorithm`` is one of this very kind of key, and of what the key says it is for."""
    if (said := key.get("alg")) is not None and said != algorithm and not isinstance(key, OKPKey):
        return False
    match key:
        case RSAKey():
            return algorithm[:2] in ("RS", "PS")
        case ECKey():
            return _CURVES.get(algorithm) == key.curve_name
        case OKPKey():
            return algorithm in ("EdDSA", "Ed25519") and key.curve_name == "Ed25519"
    return False


def _told(error: JoseError) -> str:
    return str(error.description or error.error)[:200]
