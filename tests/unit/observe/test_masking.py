"""What must never be shown."""

import time

import pytest

from appliance.observe.masking import MASK, SOMEBODY, cleaned, conceal, mask, unpeopled


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("password", "hunter2", "********"),
        ("admin_password", "hunter2", "********"),
        ("client_secret", b"x", "********"),
        ("secret_key", "hunter2", "********"),
        ("aws_secret_access_key", "hunter2", "********"),
        ("access_key", "AKIA", "AKIA"),
        ("Authorization", "Bearer abc", "********"),
        ("headers", {"cookie": "a=b", "accept": "text/html"}, {"cookie": "********", "accept": "text/html"}),
        ("secrets", ["a", "b"], ["********", "********"]),
        ("error", "the secret whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw is wrong", "the secret ******** is wrong"),
        ("note", "dash_" + "a1B2" * 9 + "zz", "********"),
        ("url", "https://user:pass@db.example.org/x", "https://********@db.example.org/x"),
        ("header", "Bearer abc.def", "Bearer ********"),
        ("tokens", 17, 17),
        ("token_id", "tok_01", "tok_01"),
        ("metric", "dash_refine_batch_seconds", "dash_refine_batch_seconds"),
        ("url", "http://127.0.0.1:8080/in/pl_1", "http://127.0.0.1:8080/in/pl_1"),
        ("url", "https://ghp_0123456789abcdef0123@example.org/x", "https://********@example.org/x"),
        ("url", "postgresql://dash@db.example.org/dash", "postgresql://dash@db.example.org/dash"),
        ("url", "https://h/x?api_key=abc&n=1", "https://h/x?api_key=********&n=1"),
        ("url", "https://h/x?a=1&sig=abc#top", "https://h/x?a=1&sig=********#top"),
        ("error", "host=db password=hunter2 port=5", "host=db password=******** port=5"),
        ("error", "host=db password='two words' port=5", "host=db password='********' port=5"),
        ("body", '{"client_secret": "two words", "n": 1}', '{"client_secret": "********", "n": 1}'),
        ("error", "{'token': 'abc'}", "{'token': '********'}"),
        ("error", "t=17,v1=" + "0a" * 32, "t=17,********"),
        ("error", "sha256=" + "0a" * 32 + " is wrong", "******** is wrong"),
        ("error", "v1," + "A" * 43 + "= is wrong", "******** is wrong"),
        ("error", "eyJhbGciOiJI.eyJzdWIiOiIx.c2ln for x", "******** for x"),
        ("error", "-----BEGIN PRIVATE KEY-----\nMC4\n-----END PRIVATE KEY----- x", "******** x"),
        ("error", "the token: expired, exit code=3, key=device", "the token: expired, exit code=3, key=device"),
        ("error", "'secret.key' is missing", "'secret.key' is missing"),
    ],
)
def test_masks_by_key_and_by_look(key: str, value: object, expected: object) -> None:
    assert mask(key, value) == expected


def test_what_is_known_is_found_wherever_it_stands() -> None:
    conceal('a pass/phrase "7"', "whsec_c2VjcmV0LXNlY3JldC1zZWNyZXQ=", "kurz", "zitrone7")
    for told in (
        'tried a pass/phrase "7" in vain',
        "GET /x/a%20pass%2Fphrase%20%227%22 in vain",
        'log {"why": "a pass/phrase \\"7\\""} in vain',
        "without its head c2VjcmV0LXNlY3JldC1zZWNyZXQ= in vain",
        "within a word, xc2VjcmV0LXNlY3JldC1zZWNyZXQ=x in vain",
        "zitrone7 in vain",
    ):
        shown = cleaned(told)
        assert (MASK in shown, "in vain" in shown) == (True, True), told
        assert not any(part in shown for part in ("phrase", "c2VjcmV0", "zitrone")), shown
    assert cleaned("kurz, zitrone77") == "kurz, zitrone77"  # short ones would make any text unreadable


@pytest.mark.parametrize(
    "text", ["a-" * 50_000, "secret" * 16_000, "token='" * 15_000, "x.a@" * 25_000, "://a:" * 20_000]
)
def test_long_lines_of_strangers_take_no_time(text: str) -> None:
    began = time.process_time()
    unpeopled(cleaned(text))
    assert time.process_time() - began < 3  # some hundredths; each place tried anew would take minutes


def test_addresses_of_people_go() -> None:
    told = "Ada.L+x@example.org, jörg@exämple.de, to=eve%40mail.example.org; 1.5 @ 3.2, a@b"
    assert unpeopled(told) == f"{SOMEBODY}, {SOMEBODY}, to={SOMEBODY}; 1.5 @ 3.2, a@b"
