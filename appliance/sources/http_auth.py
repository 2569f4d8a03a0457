"""How a polled server is told who asks. Secrets are marked, to be sealed at rest and masked on screen."""

import base64
from typing import Annotated

import msgspec
from msgspec import Meta

HEADER_NAME = r"^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$"  # a token of RFC 9110
Secret = Annotated[str, Meta(min_length=1, max_length=8_192, extra={"secret": True})]


class _Auth(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", kw_only=True):
    def headers(self) -> dict[str, str]:
        return {}

    def params(self) -> dict[str, str]:
        return {}


class BearerAuth(_Auth, frozen=True, tag="bearer"):
    """``Authorization: Bearer …``"""

    token: Annotated[Secret, Meta(title="Token")]

    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


class BasicAuth(_Auth, frozen=True, tag="basic"):
    """User and password. Source: RFC 7617, in UTF-8."""

    username: Annotated[str, Meta(title="User", max_length=256, pattern="^[^:]*$", examples=["a name without a colon"])]
    password: Annotated[str, Meta(title="Password", max_length=1_024, extra={"secret": True})] = ""

    def headers(self) -> dict[str, str]:
        pair = f"{self.username}:{self.password}".encode()
        return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}


class HeaderAuth(_Auth, frozen=True, tag="header"):
    """A header of the server's own, such as ``X-Api-Key``."""

    name: Annotated[str, Meta(title="Header", pattern=HEADER_NAME, examples=["X-Api-Key"])]
    value: Annotated[Secret, Meta(title="Value")]

    def headers(self) -> dict[str, str]:
        return {self.name: self.value}


class QueryAuth(_Auth, frozen=True, tag="query"):
    """A parameter of the URL. Servers tend to log URLs: prefer a header where there is a choice."""

    name: Annotated[str, Meta(title="Parameter", min_length=1, max_length=100, examples=["api_key"])]
    value: Annotated[Secret, Meta(title="Value")]

    def params(self) -> dict[str, str]:
        return {self.name: self.value}


Auth = BearerAuth | BasicAuth | HeaderAuth | QueryAuth
