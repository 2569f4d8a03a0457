import base64
from collections.abc import Mapping
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook as Reference

from appliance.errors import Unauthenticated
from appliance.sources.signatures import Encoding, HmacHeader, Scheme, Signature, generate_secret, scheme, standard_key

SIGNED = [signature for signature in Signature if signature is not Signature.NONE]
NOW = 1_700_000_000.0


def made(signature: Signature, *secrets: str) -> Scheme:
    return scheme(signature, secrets or (generate_secret(),))


def sent(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def test_the_vector_of_standard_webhooks() -> None:
    """The example of the specification's reference libraries."""
    judge = made(Signature.STANDARD_WEBHOOKS, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    judge.check(headers, b'{"test": 2432232314}', 1614265330.0)
    assert judge.delivery_id(headers) == "msg_p5jXN8AQM9LWM0D4loKWxJek"
    assert judge.sign(b'{"test": 2432232314}', 1614265330.0, "msg_p5jXN8AQM9LWM0D4loKWxJek") == headers


def test_the_vector_of_github() -> None:
    """From "Validating webhook deliveries"."""
    judge = made(Signature.GITHUB, "It's a Secret to Everybody")
    headers = {
        "x-hub-signature-256": "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
        "x-github-delivery": "72d3162e-cc78-11e3-81ab-4c9367dc0958",
    }
    judge.check(headers, b"Hello, World!", NOW)
    assert judge.delivery_id(headers) == "72d3162e-cc78-11e3-81ab-4c9367dc0958"


def test_the_vector_of_slack() -> None:
    """From "Verifying requests from Slack"."""
    body = (
        b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V"
        b"&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text="
        b"&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
        b"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
    )
    headers = {
        "x-slack-request-timestamp": "1531420618",
        "x-slack-signature": "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
    }
    made(Signature.SLACK, "8f742231b10e8888abcd99yyyzzz85a5").check(headers, body, 1531420618.0)


def test_a_vector_of_stripe() -> None:
    """printf '1700000000.{"id":"evt_1"}' | openssl dgst -sha256 -hmac whsec_stripe_test"""
    signed = "3826e3088bee80f3dc0258d293c6e80aaa38f598f828286de1d92ca0fd2d1e44"
    judge = made(Signature.STRIPE, "whsec_stripe_test")
    for header in (f"t=1700000000,v1={signed}", f"t=1700000000,v1={'0' * 64},v1={signed},v0={'1' * 64}"):
        judge.check({"stripe-signature": header}, b'{"id":"evt_1"}', NOW)


@pytest.mark.parametrize(
    ("plain", "value"),
    [
        (HmacHeader("X-Sig"), "fe0dc69e826003b99352c3e993d70b256757c9bed2b19ca62f08b128d894bbf1"),
        (
            HmacHeader("X-Sig", prefix="sha256="),
            "sha256=fe0dc69e826003b99352c3e993d70b256757c9bed2b19ca62f08b128d894bbf1",
        ),
        (HmacHeader("X-Sig", Encoding.BASE64), "/g3GnoJgA7mTUsPpk9cLJWdXyb7SsZymLwixKNiUu/E="),
    ],
)
def test_a_plain_hmac(plain: HmacHeader, value: str) -> None:
    """printf '{"n":1}' | openssl dgst -sha256 -hmac plain-secret"""
    judge = scheme(Signature.HMAC_SHA256, ["plain-secret"], plain=plain)
    judge.check({"x-sig": value}, b'{"n":1}', NOW)
    assert judge.delivery_id({"idempotency-key": "k"}) == "k"
    assert judge.sign(b'{"n":1}', NOW, "k") == {"X-Sig": value, "Idempotency-Key": "k"}


def test_a_plain_hmac_reads_its_own_delivery_header() -> None:
    judge = scheme(Signature.HMAC_SHA256, ["plain-secret"], plain=HmacHeader(delivery_header="X-Request-Id"))
    assert judge.delivery_id({"x-request-id": "r", "idempotency-key": "k"}) == "r"


@given(st.binary(max_size=300), st.text("abcdefgh_-0123", min_size=1, max_size=30))
def test_the_reference_library_agrees(body: bytes, delivery_id: str) -> None:
    secret = generate_secret()
    now = datetime.now(UTC)
    text = base64.b64encode(body)  # the library wants text
    theirs = {
        "webhook-id": delivery_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Reference(secret).sign(delivery_id, now, text.decode()),
    }
    judge = made(Signature.STANDARD_WEBHOOKS, secret)
    judge.check(theirs, text, now.timestamp())
    ours = judge.sign(b'"%b"' % text, now.timestamp(), delivery_id)
    Reference(secret).verify(b'"%b"' % text, ours)


@pytest.mark.parametrize("signature", SIGNED)
def test_what_we_sign_we_accept_under_any_of_the_secrets(signature: Signature) -> None:
    new, old = generate_secret(), generate_secret()
    headers = sent(made(signature, old).sign(b"{}", NOW, "d1"))
    made(signature, new, old).check(headers, b"{}", NOW)
    with pytest.raises(Unauthenticated, match="does not match"):
        made(signature, new).check(headers, b"{}", NOW)


@pytest.mark.parametrize("signature", SIGNED)
def test_another_body_is_refused(signature: Signature) -> None:
    judge = made(signature)
    with pytest.raises(Unauthenticated, match="does not match"):
        judge.check(sent(judge.sign(b"{}", NOW, "d1")), b"{ }", NOW)


@pytest.mark.parametrize("signature", SIGNED)
def test_an_unsigned_request_is_refused(signature: Signature) -> None:
    with pytest.raises(Unauthenticated, match="is missing"):
        made(signature).check({}, b"{}", NOW)


@pytest.mark.parametrize("signature", SIGNED)
def test_without_a_secret_nothing_is_let_in(signature: Signature) -> None:
    headers = sent(made(signature).sign(b"{}", NOW, "d1"))
    with pytest.raises(Unauthenticated, match="no signing secret"):
        scheme(signature, []).check(headers, b"{}", NOW)


@pytest.mark.parametrize("signature", [Signature.STANDARD_WEBHOOKS, Signature.STRIPE, Signature.SLACK])
@pytest.mark.parametrize(("shift", "fresh"), [(300, True), (301, False), (-300, True), (-301, False), (1e9, False)])
def test_age_is_judged_in_both_directions(signature: Signature, shift: float, fresh: bool) -> None:
    judge = made(signature)
    headers = sent(judge.sign(b"{}", NOW, "d1"))
    if fresh:
        judge.check(headers, b"{}", NOW + shift)
        return
    with pytest.raises(Unauthenticated, match="stale"):
        judge.check(headers, b"{}", NOW + shift)


def test_the_id_is_part_of_what_is_signed() -> None:
    judge = made(Signature.STANDARD_WEBHOOKS)
    with pytest.raises(Unauthenticated, match="does not match"):
        judge.check({**judge.sign(b"{}", NOW, "d1"), "webhook-id": "d2"}, b"{}", NOW)


def test_several_signatures_in_one_header() -> None:
    new, old = generate_secret(), generate_secret()
    ours, theirs = (made(Signature.STANDARD_WEBHOOKS, s).sign(b"{}", NOW, "d1") for s in (new, old))
    both = f"v1a,AAAA {theirs['webhook-signature']} {ours['webhook-signature']}"
    made(Signature.STANDARD_WEBHOOKS, new).check({**ours, "webhook-signature": both}, b"{}", NOW)


RUBBISH = st.text(st.characters(max_codepoint=0xFF), max_size=60) | st.sampled_from(
    [
        "v1,",
        "v1,é",
        "v1",
        "sha256=",
        "v0=",
        "t=1700000000,v1=",
        "t=,v1=x",
        ",,,",
        "=",
        "t=1700000000,v1=\xff",
        "v1, v1,",
    ]
)


@pytest.mark.parametrize("signature", SIGNED)
@given(header=RUBBISH, timestamp=RUBBISH | st.just("1700000000"), name=RUBBISH)
def test_rubbish_in_headers_raises_only_our_error(signature: Signature, header: str, timestamp: str, name: str) -> None:
    judge = made(signature, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    headers = {
        "webhook-id": name, "webhook-timestamp": timestamp, "webhook-signature": header,
        "x-slack-request-timestamp": timestamp, "x-slack-signature": header,
        "x-hub-signature-256": header, "stripe-signature": header, "x-signature": header,
    }  # fmt: skip
    with pytest.raises(Unauthenticated):
        judge.check(headers, b"{}", NOW)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_!!!", "whsec_c2hvcnQ=", "x" * 500, "ä"])
def test_what_is_no_standard_secret(secret: str) -> None:
    with pytest.raises(ValueError, match="24 to 64 bytes") as caught:
        standard_key(secret)
    assert len(secret) < 7 or secret not in str(caught.value)


def test_generated_secrets_differ_and_serve() -> None:
    assert len({generate_secret() for _ in range(100)}) == 100
    assert len(standard_key(generate_secret())) == 32


def test_none_lets_everything_in() -> None:
    judge = scheme(Signature.NONE, [])
    judge.check({}, b"anything", NOW)
    assert judge.delivery_id({"idempotency-key": "k"}) == "k"
    assert judge.delivery_id({}) is None
