"""Cookies and origins."""

from datetime import timedelta
from typing import Any

import pytest

from appliance.api.authentication import clear_cookie, cookie_of, from_own_page, set_cookie


def scope(scheme: str = "http", **headers: str) -> dict[str, Any]:
    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return {"type": "http", "scheme": scheme, "headers": pairs}


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, True),  # a program
        ({"sec_fetch_site": "same-origin"}, True),
        ({"sec_fetch_site": "none"}, True),  # typed into the address bar
        ({"sec_fetch_site": "same-site"}, False),
        ({"sec_fetch_site": "cross-site", "origin": "http://dash.test"}, False),
        ({"origin": "http://dash.test"}, True),
        ({"origin": "https://evil.example"}, False),
        ({"origin": "http://dash.test:8081"}, False),
        ({"origin": "null"}, False),
    ],
)
def test_requests_from_our_own_pages(headers: dict[str, str], expected: bool) -> None:
    assert from_own_page(scope(host="dash.test", **headers)) is expected


def test_the_cookie_among_others() -> None:
    assert cookie_of({"cookie": "a=b; dash_session=xyz; c=d"}) == "xyz"
    assert cookie_of({"cookie": "not_dash_session=xyz"}) is None
    assert cookie_of({}) is None


def test_secure_where_the_connection_is() -> None:
    plain = "dash_session=x; Max-Age=60; Path=/; HttpOnly; SameSite=Lax"
    assert set_cookie("x", scope(), timedelta(minutes=1)) == plain
    assert set_cookie("x", scope("https"), timedelta(minutes=1)) == plain + "; Secure"
    assert set_cookie("x", scope(x_forwarded_proto="https"), timedelta(minutes=1)) == plain + "; Secure"
    assert clear_cookie(scope()) == "dash_session=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax"
