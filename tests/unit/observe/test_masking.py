"""What must never be shown."""

import pytest

from appliance.observe.masking import mask


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
    ],
)
def test_masks_by_key_and_by_look(key: str, value: object, expected: object) -> None:
    assert mask(key, value) == expected
