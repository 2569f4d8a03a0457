from enum import Enum
from typing import Annotated, Any, Literal

import msgspec
import pytest
from msgspec import Meta

from appliance.components.lint import decode, lint, map_secrets, secret_fields
from appliance.domain.quantity import Duration
from appliance.errors import Invalid, Problem


class Colour(Enum):
    WARN = "warn"
    BAD = "bad"


class Bearer(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="bearer"):
    token: Annotated[str, Meta(min_length=1, extra={"secret": True})]


class Basic(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="basic"):
    user: str
    password: Annotated[str, Meta(extra={"secret": True})]


class Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    at: float
    colour: Colour = Colour.WARN


class Poll(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="poll", kw_only=True):
    url: str
    method: Literal["GET", "POST"] = "GET"
    tries: Annotated[int, Meta(ge=1, le=10)] = 3
    every: Annotated[Duration, Meta(extra={"min": "1s", "max": "1d"})] = "60s"
    auth: Bearer | Basic | None = None
    steps: Annotated[list[Step], Meta(max_length=2)] = []
    headers: dict[str, str] = {}
    keys: Annotated[list[str], Meta(extra={"secret": True})] = []
    body: Any = None

    def __post_init__(self) -> None:
        if self.method == "GET" and self.body is not None:
            raise ValueError("a GET has no body")


def told(data: object) -> list[tuple[str, str, str | None]]:
    return [(p.pointer, p.message, p.hint) for p in lint(Poll, data)]


def test_a_right_document_is_decoded() -> None:
    poll = decode(Poll, {"type": "poll", "url": "http://x", "auth": {"type": "bearer", "token": "t"}, "every": "5m"})
    assert poll.auth == Bearer("t")
    assert poll.every == "5m"


def test_every_problem_is_told_at_once() -> None:
    document = {
        "type": "poll",
        "urll": "http://x",
        "method": "GTE",
        "tries": 0,
        "auth": {"type": "bearer", "tokn": "secret"},
        "steps": [{"at": 1}, {"at": "high", "colour": "wran"}],
        "headers": {"a/b": 3},
    }
    assert told(document) == [
        ("/urll", "unknown key 'urll'", "did you mean 'url'?"),
        ("/method", "expected one of 'GET', 'POST', got 'GTE'", "did you mean 'GET'?"),
        ("/tries", "expected an integer >= 1, got 0", None),
        ("/auth/tokn", "unknown key 'tokn'", "did you mean 'token'?"),
        ("/auth/token", "required value is missing", None),
        ("/steps/1/at", "expected a number, got a string", None),
        ("/steps/1/colour", "expected one of 'warn', 'bad', got 'wran'", "did you mean 'warn'?"),
        ("/headers/a~1b", "expected a string, got an integer", None),
        ("/url", "required value is missing", None),
    ]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"type": "webhook"}, ("/type", "unknown type 'webhook'", "known: poll")),
        ({"auth": {"token": "t"}}, ("/auth/type", "required one of 'bearer', 'basic' is missing", None)),
        ({"auth": {"type": "baerer"}}, ("/auth/type", "unknown type 'baerer'", "did you mean 'bearer'?")),
        ({"auth": "bearer"}, ("/auth", "expected an object or null, got a string", None)),
        ({"steps": [{"at": 1}] * 3}, ("/steps", "expected a list of length <= 2", None)),
        ({"steps": {}}, ("/steps", "expected a list, got an object", None)),
        ({"body": 1}, ("", "a GET has no body", None)),
        ({"tries": True}, ("/tries", "expected an integer, got true or false", None)),
        ({"every": "5 minits"}, ("/every", None, None)),
        ({"every": "10ms"}, ("/every", "expected at least 1s, got '10ms'", None)),
        ({"every": "2d"}, ("/every", "expected at most 1d, got '2d'", None)),
    ],
)
def test_one_problem(change: dict[str, Any], expected: tuple[str, str | None, str | None]) -> None:
    [(pointer, message, hint)] = told({"type": "poll", "url": "http://x", **change})
    assert (pointer, message if expected[1] else None, hint) == expected


def test_what_is_no_object_at_all() -> None:
    assert told([]) == [("", "expected an object, got a list", None)]
    assert told(None) == [("", "expected an object, got null", None)]


def test_no_secret_is_told() -> None:
    document = {"type": "poll", "url": "u", "auth": {"type": "basic", "user": "u", "password": 1234567}, "keys": [9]}
    assert "1234567" not in str(lint(Poll, document))
    assert "secret" not in str(lint(Poll, {"type": "poll", "url": "u", "keys": ["secret", 9]}))


def test_decode_raises_with_all_problems_below_the_pointer_given() -> None:
    with pytest.raises(Invalid) as caught:
        decode(Poll, {"tries": 11}, "/source")
    assert caught.value.problems == (
        Problem("/source/tries", "expected an integer <= 10, got 11"),
        Problem("/source/url", "required value is missing"),
    )


def test_secret_fields_are_found() -> None:
    assert secret_fields(Poll) == ["/auth/token", "/auth/password", "/keys/*"]


def test_secrets_are_mapped_and_nothing_else() -> None:
    document = {"url": "u", "auth": {"type": "basic", "user": "me", "password": "p"}, "keys": ["a", "b"], "x": {"y": 1}}
    mapped = map_secrets(Poll, document, lambda pointer, text: f"{pointer}={text}")
    assert mapped == {
        "url": "u",
        "auth": {"type": "basic", "user": "me", "password": "/auth/password=p"},
        "keys": ["/keys/0=a", "/keys/1=b"],
        "x": {"y": 1},
    }
    assert document["keys"] == ["a", "b"]


def test_a_secret_under_an_unknown_type_is_still_mapped() -> None:
    mapped = map_secrets(Poll, {"auth": {"type": "?", "token": "t", "user": "me"}}, lambda _, __: "********")
    assert mapped == {"auth": {"type": "?", "token": "********", "user": "me"}}


def test_what_does_not_fit_a_pattern_is_shown_what_would() -> None:
    """Regular expressions are for programs, not for people."""
    path = Annotated[str, Meta(pattern=r"^\$[a-z.]*$", examples=["$.items"])]
    assert lint(path, "items") == [Problem("", "expected something like '$.items', got 'items'")]
    hidden = Annotated[path, Meta(extra={"secret": True})]
    assert lint(hidden, "items") == [Problem("", "expected something like '$.items'")]
    assert lint(Annotated[str, Meta(min_length=1)], "") == [Problem("", "expected some text, got none")]
