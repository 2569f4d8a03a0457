"""A real OpenID provider on loopback, of Authlib's server side: it checks client, redirect address, code and PKCE.

What it says can be bent by a test: claims, signing key, algorithm, whole answers.
"""

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import flask
from authlib.integrations.flask_oauth2 import AuthorizationServer, ResourceProtector, current_token
from authlib.oauth2.rfc6749 import AuthorizationCodeMixin, ClientMixin, TokenMixin
from authlib.oauth2.rfc6749.grants import AuthorizationCodeGrant
from authlib.oauth2.rfc6750 import BearerTokenValidator
from authlib.oauth2.rfc7636 import CodeChallenge
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry
from werkzeug.serving import WSGIRequestHandler, make_server

CLIENT_ID, CLIENT_SECRET = "dash", "s3cret of the provider's making"
Key = RSAKey | ECKey | OKPKey | OctKey
FIRST = RSAKey.generate_key(2048, {"kid": "first", "use": "sig"})


@dataclass
class Client(ClientMixin):
    redirect_uris: list[str] = field(default_factory=list)
    secret: str = CLIENT_SECRET

    def get_client_id(self) -> str:
        return CLIENT_ID

    def get_default_redirect_uri(self) -> str:
        return self.redirect_uris[0]

    def get_allowed_scope(self, scope: str) -> str:
        return scope

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        return redirect_uri in self.redirect_uris

    def check_client_secret(self, client_secret: str) -> bool:
        return client_secret == self.secret

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return method in ("client_secret_basic", "client_secret_post")

    def check_response_type(self, response_type: str) -> bool:
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type == "authorization_code"


@dataclass
class Code(AuthorizationCodeMixin):
    code: str
    redirect_uri: str
    scope: str
    nonce: str
    code_challenge: str
    code_challenge_method: str

    def get_redirect_uri(self) -> str:
        return self.redirect_uri

    def get_scope(self) -> str:
        return self.scope


@dataclass
class Token(TokenMixin):
    text: str

    def get_scope(self) -> str:
        return "openid"

    def is_expired(self) -> bool:
        return False

    def is_revoked(self) -> bool:
        return False


class _Quiet(WSGIRequestHandler):
    def log(self, *_: Any, **__: Any) -> None:
        """Say nothing of requests."""


class Provider:
    """``person``: who is signed in there. ``bend``: changes the claims of the next ID tokens.

    ``metadata``: over what it says of itself. ``answers``: a path → what is answered instead (bytes, status).
    """

    def __init__(self) -> None:
        self.person: dict[str, Any] = {
            "sub": "u-1", "email": "grace@example.org", "email_verified": True, "groups": ["staff"],
        }  # fmt: skip
        self.userinfo: dict[str, Any] | None = None  # None: what person says
        self.bend: Callable[[dict[str, Any]], dict[str, Any]] = lambda claims: claims
        self.sign: Callable[[dict[str, Any]], str] = self.signed
        self.metadata: dict[str, Any] = {}
        self.answers: dict[str, tuple[bytes, int]] = {}
        self.asks = False  # whether a person has to press a button
        self.key: Key = FIRST
        self.algorithm = "RS256"
        self.published: list[Key] | None = None  # None: the key that signs
        self.client = Client()
        self.asked: list[str] = []
        self.codes: dict[str, Code] = {}
        self._app = _app(self)
        self._server = make_server("127.0.0.1", 0, self._app, threaded=True, request_handler=_Quiet)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> "Provider":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def issuer(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def told(self) -> dict[str, Any]:
        """Return what it says of itself."""
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "userinfo_endpoint": f"{self.issuer}/userinfo",
            "jwks_uri": f"{self.issuer}/keys",
            "end_session_endpoint": f"{self.issuer}/out",
            "id_token_signing_alg_values_supported": [self.algorithm],
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
            "authorization_response_iss_parameter_supported": True,
            **self.metadata,
        }

    def claims(self, nonce: str) -> dict[str, Any]:
        now = int(time.time())
        mine = {"iss": self.issuer, "aud": CLIENT_ID, "iat": now, "exp": now + 300, "nonce": nonce, **self.person}
        return self.bend(mine)

    def signed(self, claims: dict[str, Any], **header: Any) -> str:
        """Return an ID token; ``header`` over its own."""
        registry = JWSRegistry(algorithms=[self.algorithm])
        return jwt.encode({"alg": self.algorithm, "kid": self.key.kid, **header}, claims, self.key, registry=registry)


def _app(provider: Provider) -> flask.Flask:
    app = flask.Flask("provider")
    server = AuthorizationServer(
        app, query_client=lambda name: provider.client if name == CLIENT_ID else None, save_token=lambda *_: None
    )
    server.register_grant(_grant(provider), [CodeChallenge(required=True)])
    protector = ResourceProtector()
    protector.register_token_validator(_Validator())

    @app.before_request
    def instead() -> Any:
        provider.asked.append(flask.request.path)
        if (answer := provider.answers.get(flask.request.path)) is not None:
            return flask.Response(answer[0], answer[1], content_type="application/json")
        return None

    @app.get("/.well-known/openid-configuration")
    def discovery() -> Any:
        return provider.told()

    @app.get("/keys")
    def keys() -> Any:
        listed = provider.published if provider.published is not None else [provider.key]
        return {"keys": [one.as_dict(private=False) for one in listed]}

    @app.route("/authorize", methods=["GET", "POST"])
    def authorize() -> Any:
        if provider.asks and flask.request.method == "GET":
            return "<title>Provider</title><h1>Provider</h1><form method=post><button>Let me in</button></form>"
        grant = server.get_consent_grant(end_user=provider.person)
        answer = server.create_authorization_response(grant_user=provider.person, grant=grant)
        answer.headers["location"] += "&" + urlencode({"iss": provider.issuer})
        return answer

    @app.post("/token")
    def token() -> Any:
        return server.create_token_response()

    @app.get("/userinfo")
    @protector()
    def userinfo() -> Any:
        assert current_token
        return provider.person if provider.userinfo is None else provider.userinfo

    @app.get("/out")
    def out() -> Any:
        return flask.redirect(flask.request.args["post_logout_redirect_uri"])

    return app


class _Validator(BearerTokenValidator):
    def authenticate_token(self, token_string: str) -> Token:
        return Token(token_string)


def _grant(provider: Provider) -> type[AuthorizationCodeGrant]:
    class Grant(AuthorizationCodeGrant):
        TOKEN_ENDPOINT_AUTH_METHODS = ["client_secret_basic", "client_secret_post"]

        def save_authorization_code(self, code: str, request: Any) -> None:
            asked = request.payload.data
            provider.codes[code] = Code(
                code, request.payload.redirect_uri, request.payload.scope, asked.get("nonce", ""),
                asked["code_challenge"], asked["code_challenge_method"],
            )  # fmt: skip

        def query_authorization_code(self, code: str, client: Any) -> Code | None:
            return provider.codes.get(code)

        def delete_authorization_code(self, authorization_code: Code) -> None:
            del provider.codes[authorization_code.code]

        def authenticate_user(self, authorization_code: Code) -> Any:
            return provider.person

        def create_token_response(self) -> Any:
            nonce = self.request.authorization_code.nonce
            status, body, headers = super().create_token_response()
            if status == 200:
                body["id_token"] = provider.sign(provider.claims(nonce))
            return status, body, headers

    return Grant


def keys_json(*keys: Key) -> bytes:
    return json.dumps({"keys": [one.as_dict(private=False) for one in keys]}).encode()
