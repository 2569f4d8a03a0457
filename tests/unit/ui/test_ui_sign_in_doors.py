"""What comes from an address stays an address of this origin, and words on the sign-in page are ours."""

import pytest

from ui.provider_doors import leaving, words_of
from ui.provider_draft import document_of
from ui.session import local_path


@pytest.mark.parametrize("wanted", ["/", "/storage", "/records?x=1&y=//z", "/a%2F%2Fb"])
def test_a_local_path_is_gone_on_to(wanted: str) -> None:
    assert local_path(wanted) == wanted


@pytest.mark.parametrize(
    "wanted",
    ["", "x", "//evil.example", "https://evil.example", "/\\evil.example", "/\t/evil.example", "/\n/evil.example",
     "\t//evil.example", "javascript:alert(1)", "/\x00"],
)  # fmt: skip
def test_nothing_else_is(wanted: str) -> None:
    assert local_path(wanted) == "/"


def test_an_address_chooses_among_our_words_only() -> None:
    assert words_of("disabled") == "Your account is disabled. Ask an administrator."
    assert words_of("<b>you won</b>") is None


def test_the_page_that_leads_away_quotes_where() -> None:
    body = bytes(leaving('https://login.example.org/out?a="><script>&b').body).decode()
    assert "<script>" not in body
    assert 'url=https://login.example.org/out?a=&quot;&gt;&lt;script&gt;&amp;b"' in body


def test_lines_of_roles_become_a_document() -> None:
    texts = dict.fromkeys(("name", "issuer", "client_id", "email_claim", "groups_claim", "otherwise"), " x ")
    switches = dict.fromkeys(("trust_email", "create_users", "link_users", "passwords", "sign_out", "enabled"), True)
    values = texts | switches | {"client_secret": " s ", "scopes": "openid, email", "domains": "a.org  b.org"}
    made = document_of(values | {"roles": "cn=a,dc=b = Admin\n\nnobody\n"})
    assert (made["name"], made["client_secret"], made["scopes"]) == ("x", " s ", ["openid", "email"])
    assert made["roles"] == [{"group": "cn=a,dc=b", "role": "admin"}, {"group": "", "role": "nobody"}]
