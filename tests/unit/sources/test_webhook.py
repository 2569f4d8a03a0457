import gzip
import json
import re
import zlib
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.components.lint import lint, map_secrets
from appliance.components.source import Admission, InboundRequest
from appliance.errors import BadRequest, DashError, TooLarge, Unauthenticated, UnsupportedMedia
from appliance.sources.signatures import Signature, generate_secret, scheme
from appliance.sources.webhook import Webhook, WebhookConfig
from tests.fakes.resources import NOW, resources

zipped = partial(gzip.compress, mtime=0)  # the same in every process: bodies are a part of the names of tests
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def webhook(**config: Any) -> Webhook:
    return Webhook(WebhookConfig(secrets=[SECRET], **config), resources())


def post(body: bytes, content_type: str | None = "application/json", **headers: str) -> InboundRequest:
    signed = scheme(Signature.STANDARD_WEBHOOKS, [SECRET]).sign(body, NOW.timestamp(), "d1")
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    kind = {} if content_type is None else {"content-type": content_type}
    return InboundRequest({**signed, **kind, **named}, body, "203.0.113.9", NOW)


def told(admission: Admission) -> list[bytes]:
    return [bytes(payload) for payload in admission.payloads]


NDJSON = "application/x-ndjson"


@pytest.mark.parametrize(
    ("body", "content_type", "events"),
    [
        (b'{"a":1}', "application/json", [b'{"a":1}']),
        (b' \r\n{"a" : 1.0}\n', "application/json; charset=utf-8", [b'{"a" : 1.0}']),
        (b'{"a":1}', None, [b'{"a":1}']),
        (b'[{"a":1}, 2 ,"x",null,[3]]', "application/json", [b'{"a":1}', b"2", b'"x"', b"null", b"[3]"]),
        (b"\n [1]", "application/cloudevents+json", [b"1"]),
        (b"42", "application/json", [b"42"]),
        (b'{"a":1}\r\n{"a":2}\r\n', NDJSON, [b'{"a":1}', b'{"a":2}']),
        (b'\n\n{"a":1}\n\n  \n{"a":2}', "application/jsonl", [b'{"a":1}', b'{"a":2}']),
        ('{"a":"x\u2028y\u0085z"}\n2'.encode(), NDJSON, ['{"a":"x\u2028y\u0085z"}'.encode(), b"2"]),
        (b"[1,2]\n[3]", NDJSON, [b"[1,2]", b"[3]"]),
        (b'{"a":1,"a":2}', "application/json", [b'{"a":1,"a":2}']),
        (b'{"n":123456789012345678901234567890}', "APPLICATION/JSON", [b'{"n":123456789012345678901234567890}']),
        (b'{\n"a":\n1}', "application/json", [b'{\n"a":\n1}']),
    ],
)
def test_events_are_let_in_verbatim(body: bytes, content_type: str | None, events: list[bytes]) -> None:
    admission = webhook().admit(post(body, content_type))
    assert told(admission) == events
    assert admission.delivery_id == "d1"


DEEP = b"[" * 100_000


@pytest.mark.parametrize(
    ("body", "content_type", "message"),
    [
        (b"", "application/json", "the body is empty"),
        (b" \n ", "application/json", "the body is empty"),
        (b"", NDJSON, "no events"),
        (b"\r\n\r\n", NDJSON, "no events"),
        (b"[]", "application/json", "no events"),
        (b"hello", "application/json", "not JSON: invalid character, byte 0, line 1"),
        (b'{"a":1', "application/json", "ends too early, at byte 6, line 1"),
        (b'{"a":1}}', "application/json", "trailing characters, byte 8, line 1"),
        (b'{"a":\nNaN}', "application/json", "invalid character, byte 6, line 2"),
        (b'{"a":Infinity}', "application/json", "invalid character, byte 5"),
        (b'{"a":"\\ud800"}', "application/json", "not JSON"),
        (b'{"a":"\xff"}', "application/json", "not UTF-8: byte 6, line 1"),
        (b'["\xed\xa0\x80"]', "application/json", "not UTF-8: byte 2, line 1"),
        (b'\xef\xbb\xbf{"a":1}', "application/json", "byte 0"),
        (b'{"a":"\x00"}', "application/json", "invalid character, byte 6"),
        (DEEP, "application/json", "nested too deeply"),
        (DEEP + b"]" * 100_000, "application/json", "nested too deeply"),
        (b'{"a":1}\n{"a":\n', NDJSON, "ends too early"),
        (b'{"a":1}\n{"a":x}\n', NDJSON, "invalid character, byte 13, line 2"),
        (b'{"a":1} {"a":2}\n', NDJSON, "line 1 is not JSON: trailing characters"),
        (b'{"a":1}\n\n{"a":\n2}\n', NDJSON, "line 3 is not JSON: it ends too early"),
        (b"[]" * 600_000, NDJSON, "line 1 is not JSON: trailing characters"),
    ],
)
def test_what_is_not_json_is_refused_with_the_place(body: bytes, content_type: str, message: str) -> None:
    with pytest.raises(BadRequest, match=re.escape(message)):
        webhook().admit(post(body, content_type))


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "application/json; charset=latin-1",
        "json",
    ],
)
def test_other_content_types_are_refused(content_type: str) -> None:
    with pytest.raises(UnsupportedMedia):
        webhook().admit(post(b"{}", content_type))


def test_gzip_is_inflated_also_in_several_members() -> None:
    body = gzip.compress(b'{"a":') + gzip.compress(b"1}")
    assert told(webhook().admit(post(body, content_encoding="gzip"))) == [b'{"a":1}']
    assert told(webhook().admit(post(b"{}", content_encoding="identity"))) == [b"{}"]
    many = b"".join(gzip.compress(b"%d\n" % n) for n in range(900))
    assert len(told(webhook().admit(post(many, NDJSON, content_encoding="gzip")))) == 900
    long = gzip.compress(b'"' + b"x" * 5_000_000 + b'"')
    assert len(told(webhook().admit(post(long, content_encoding="gzip")))[0]) == 5_000_002


@pytest.mark.parametrize(
    ("body", "encoding", "error"),
    [
        (zipped(b" " * 30_000_000), "gzip", TooLarge),
        (zipped(b" " * 6_000_000) * 2, "gzip", TooLarge),
        (zipped(b"{}")[:-1], "gzip", BadRequest),
        (zipped(b"") * 400_000, "gzip", BadRequest),
        (zipped(b"{}") + b"rest", "gzip", BadRequest),
        (b"{}", "gzip", BadRequest),
        (b"", "gzip", BadRequest),
        (zlib.compress(b"{}"), "deflate", UnsupportedMedia),
        (b"{}", "br", UnsupportedMedia),
        (zipped(zipped(b"{}")), "gzip, gzip", UnsupportedMedia),
    ],
)
def test_other_encodings_and_bombs_are_refused(body: bytes, encoding: str, error: type[DashError]) -> None:
    with pytest.raises(error):
        webhook().admit(post(body, content_encoding=encoding))


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"[" + b",".join([b"1"] * 100_001) + b"]", "application/json"),
        (b"[" + b"1," * 4_000_000 + b"1]", "application/json"),
        (b"1\n" * 100_001, NDJSON),
        (b" " * (10 * 1024 * 1024) + b"1", "application/json"),
    ],
)
def test_too_much_is_refused(body: bytes, content_type: str) -> None:
    with pytest.raises(TooLarge, match=r"at most (100000 events|10485760 bytes)"):
        webhook().admit(post(body, content_type))


def test_exactly_as_much_as_allowed_is_let_in() -> None:
    many = b"[" + b",".join([b'{"a":1,"b":[1,2,3]}'] * 100_000) + b"]"
    assert len(webhook().admit(post(many)).payloads) == 100_000
    assert len(webhook().admit(post(b"1\n" * 100_000, NDJSON)).payloads) == 100_000
    wide = (b'{"a":"%b"}\r\n' % (b"x" * 100)) * 50_000  # more than is split at once
    assert len(webhook().admit(post(wide, NDJSON)).payloads) == 50_000
    with pytest.raises(TooLarge, match="at most 2 events"):
        webhook(max_events=2).admit(post(b"[1,2,3]"))


def test_the_signature_comes_before_all_else() -> None:
    request = post(b"not json", "text/plain", content_encoding="br", webhook_signature="v1,AAAA")
    with pytest.raises(Unauthenticated):
        webhook().admit(request)


def test_stale_by_the_configured_tolerance() -> None:
    late = InboundRequest(post(b"{}").headers, b"{}", None, NOW + timedelta(seconds=61))
    assert told(webhook().admit(late)) == [b"{}"]
    with pytest.raises(Unauthenticated, match="61 s old and 60 s are tolerated"):
        webhook(tolerance="1m").admit(late)


def test_secrets_kept_by_the_appliance_count_beside_those_of_the_document() -> None:
    kept = generate_secret()
    judge = Webhook(WebhookConfig(secrets=[generate_secret()]), resources(kept, SECRET))
    assert told(judge.admit(post(b"{}"))) == [b"{}"]


def test_a_delivery_id_has_a_bound() -> None:
    judge = Webhook(WebhookConfig(signature=Signature.NONE), resources())
    headers = {"idempotency-key": "k" * 255}
    assert judge.admit(InboundRequest(headers, b"1", None, NOW)).delivery_id == "k" * 255
    with pytest.raises(BadRequest, match="at most 255"):
        judge.admit(InboundRequest({"idempotency-key": "k" * 256}, b"1", None, NOW))


@given(st.binary(max_size=200), st.sampled_from(["application/json", NDJSON]))
def test_any_bytes_are_let_in_or_refused_with_our_error(body: bytes, content_type: str) -> None:
    try:
        admission = webhook().admit(post(body, content_type))
    except BadRequest:
        return
    for payload in admission.payloads:
        json.loads(bytes(payload))


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(VALUES, min_size=1, max_size=5), st.booleans(), st.sampled_from([None, 1]))
def test_all_json_comes_through_in_every_dress(values: list[Any], ascii_only: bool, indent: int | None) -> None:
    written = [json.dumps(value, ensure_ascii=ascii_only, indent=indent) for value in values]
    array = webhook().admit(post(f"[{','.join(written)}]".encode(errors="surrogatepass")))
    assert told(array) == [text.encode() for text in written]
    flat = [json.dumps(value, ensure_ascii=ascii_only) for value in values]
    assert told(webhook().admit(post("\r\n".join(flat).encode(), NDJSON))) == [text.encode() for text in flat]


@pytest.mark.parametrize(
    ("document", "pointer"),
    [
        ({"type": "webhook", "signature": "standard"}, "/signature"),
        ({"type": "webhook", "secrets": ["whsec_short"]}, ""),
        ({"type": "webhook", "secret": "x"}, "/secret"),
        ({"type": "webhook", "header": "X-Sig"}, ""),
        ({"type": "webhook", "signature": "hmac_sha256", "header": "X Sig"}, "/header"),
        ({"type": "webhook", "tolerance": "2d"}, "/tolerance"),
        ({"type": "webhook", "max_body": "1 GiB"}, "/max_body"),
        ({"type": "webhook", "signature": "github", "delivery_header": "X"}, ""),
    ],
)
def test_wrong_configuration_is_told(document: dict[str, Any], pointer: str) -> None:
    assert [problem.pointer for problem in lint(WebhookConfig, document)] == [pointer]


def test_configuration_as_people_write_it() -> None:
    assert lint(WebhookConfig, {"type": "webhook"}) == []
    assert lint(WebhookConfig, {"type": "webhook", "signature": "none"}) == []
    document = {
        "type": "webhook",
        "signature": "hmac_sha256",
        "header": "X-Sig",
        "encoding": "base64",
        "secrets": ["12345678"],
    }
    assert lint(WebhookConfig, document) == []
    assert map_secrets(WebhookConfig, document, lambda pointer, _: pointer)["secrets"] == ["/secrets/0"]
