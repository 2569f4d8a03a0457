import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.egress.target import Target, parse_redirect, parse_target
from appliance.errors import ConfigError


@pytest.mark.parametrize(
    ("url", "expected", "authority"),
    [
        ("https://API.example.com", Target("https", "api.example.com", 443, "/"), "api.example.com"),
        (
            "http://h:8080/a b?q=ü&r=%20#x".replace(" ", "%20"),
            Target("http", "h", 8080, "/a%20b?q=%C3%BC&r=%20"),
            "h:8080",
        ),
        ("http://[::1]:9/x", Target("http", "::1", 9, "/x"), "[::1]:9"),
        ("https://h:443/x?a=/../b", Target("https", "h", 443, "/x?a=/../b"), "h"),
        ("http://h.example./", Target("http", "h.example.", 80, "/"), "h.example."),
    ],
)
def test_targets_are_read(url: str, expected: Target, authority: str) -> None:
    assert parse_target(url) == expected
    assert parse_target(url).authority == authority
    assert parse_target(expected.url) == expected


@pytest.mark.parametrize(
    "url",
    [
        "", "example.com", "//example.com", "ftp://h/", "file:///etc/passwd", "gopher://h/", "http://", "http:///x",
        "http://user@h/", "http://user:pass@h/", "http://good.example\\@evil.example/", "http://h\\x/", "http://h\t/",
        "http://h\r\nX: y/", "http://h/a b", "http://h:0/", "http://h:99999/", "http://h:x/", "http://１２７.0.0.1/",
        "http://ｌocalhost/", "http://[fe80::1%25eth0]/", "http://[::1/", "http://h]/", "http://a" + "b" * 9000,
        "http://-h/", "http://h_ö/", "http://[v1.x]/",
    ],
)  # fmt: skip
def test_what_could_be_read_in_two_ways_is_refused(url: str) -> None:
    with pytest.raises(ConfigError):
        parse_target(url)


def test_no_credentials_are_told() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_target("http://me:hunter2@h/?token=hunter2")
    assert "hunter2" not in str(caught.value)


@given(st.text(max_size=60) | st.text(max_size=40).map("http://{}".format))
def test_any_text_is_read_or_refused(url: str) -> None:
    try:
        target = parse_target(url)
    except ConfigError:
        return
    assert target.url.isascii()
    assert parse_target(target.url) == target


def test_redirects() -> None:
    target = parse_target("https://h/a/b?x=1")
    assert parse_redirect(target, "../c").url == "https://h/c"
    assert parse_redirect(target, "//other/c").url == "https://other/c"
    for location in ("http://h/", "file:///etc/passwd", "https://u:p@h/", "https://[::1", "//[x]/"):
        with pytest.raises(ConfigError):
            parse_redirect(target, location)
