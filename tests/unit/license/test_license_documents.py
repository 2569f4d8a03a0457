"""Documents: what was changed in any way is not accepted, and nothing but a LicenseError comes of it."""

import base64
import hmac
import json
from datetime import date
from hashlib import sha512

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from hypothesis import given
from hypothesis import strategies as st

from license.document import License, Revocations, encoded
from license.envelope import Kind
from license.errors import Damaged, Expired, Foreign, Forged, LicenseError, Revoked, TooEarly, UnknownKey
from license.keys import KeyRing
from license.verify import Here, accept, held, read, revocations
from tests.unit.license.making import KEY, LAST, PUBLIC, RING, issued, license, listed, signed

HERE = Here(installation="7KQ2-M8XD-0T3W-E9HP", today=date(2027, 6, 1))
TEXT = issued()
PACKED = "".join(TEXT.splitlines()[1:-1])
BYTES = base64.b64decode(PACKED)
CONTENT = encoded(license())


def text_of(document: bytes) -> str:
    return f"-----BEGIN DASH LICENSE-----\n{base64.b64encode(document).decode()}\n-----END DASH LICENSE-----\n"


def test_the_bytes_are_as_documented() -> None:
    length = len(CONTENT)
    assert BYTES[:6] == b"DASHL\x01"
    assert BYTES[6:14].hex() == "56475aa75463474c"  # SHA-256 of the public key of the seed 00 01 … 1f
    assert BYTES[14:18] == length.to_bytes(4, "big")
    assert BYTES[18 : 18 + length] == CONTENT
    assert BYTES[18 + length :] == KEY.sign(BYTES[: 18 + length])
    assert len(BYTES) == 18 + length + 64


def test_the_content_is_as_documented() -> None:
    assert CONTENT.decode() == (
        '{"customer":"Wärme & Söhne","edition":"Team","features":["white_label"],"id":"lic_00112233",'
        '"installation":"any","issued_on":"2026-12-01","limits":{"events_per_day":null,"nodes":2,"organisations":3,'
        '"pipelines":null,"users":50},"maintenance_to":"2027-12-31","valid_from":"2027-01-01","valid_to":"2027-12-31"}'
    )


@pytest.mark.parametrize("around", ["{}", "Dear Sir,\n\n{}\nRegards\n", "\ufeff{}", "> {}"])
def test_it_is_found_in_a_mail(around: str) -> None:
    assert accept(around.format(TEXT), RING, HERE) == license()
    assert accept(around.format(TEXT.replace("\n", "\r\n")), RING, HERE) == license()


def test_every_bit_counts() -> None:
    for at in range(len(BYTES) * 8):
        changed = bytearray(BYTES)
        changed[at // 8] ^= 1 << at % 8
        with pytest.raises((Damaged, UnknownKey, Forged)):
            accept(text_of(bytes(changed)), RING, HERE)


def test_every_character_counts() -> None:
    for at, character in enumerate(PACKED):
        changed = PACKED[:at] + ("B" if character == "A" else "A") + PACKED[at + 1 :]
        with pytest.raises((Damaged, UnknownKey, Forged)):
            accept(TEXT.replace("\n", "").replace(PACKED, changed), RING, HERE)


def by_other_means(signed: bytes) -> dict[str, bytes]:
    """Signatures of 64 bytes, each right in its own way; the format names no algorithm that one could choose."""
    curve = ec.generate_private_key(ec.SECP256R1())
    r, s = decode_dss_signature(curve.sign(signed, ec.ECDSA(hashes.SHA256())))
    right = KEY.sign(signed)
    order = 2**252 + 27742317777372353535851937790883648493
    return {
        "HMAC with the public key": hmac.digest(PUBLIC, signed, "sha512"),
        "ECDSA": r.to_bytes(32, "big") + s.to_bytes(32, "big"),
        "of a digest, as Ed25519ph": KEY.sign(sha512(signed).digest()),
        "of the content alone": KEY.sign(CONTENT),
        "none": bytes(64),
        "another, as valid to a lax reader": right[:32]
        + (int.from_bytes(right[32:], "little") + order).to_bytes(32, "little"),
    }


def test_no_other_algorithm_counts() -> None:
    head = BYTES[:-64]
    assert accept(text_of(head + KEY.sign(head)), RING, HERE) == license()
    others = by_other_means(head)
    assert {len(one) for one in others.values()} == {64}
    for signature in others.values():
        with pytest.raises(Forged):
            accept(text_of(head + signature), RING, HERE)


@pytest.mark.parametrize("years", [-50, -10, -1, 1, 10, 7000])
def test_clocks_that_are_years_off_refuse_what_is_new_and_take_nothing_that_is_there(years: int) -> None:
    today = date(2027 + years, 6, 1)
    there = Here(installation=HERE.installation, today=today)
    with pytest.raises(TooEarly if years < 0 else Expired):
        accept(TEXT, RING, there)
    assert held(TEXT, RING, there) == license()


@pytest.mark.parametrize("customer", ["W", "Wä", "Wär"])
def test_bits_that_base64_does_not_need_count_too(customer: str) -> None:
    text = issued(customer=customer)
    packed = "".join(text.splitlines()[1:-1])
    body = packed.rstrip("=")
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    for bit in range(2 * (len(packed) - len(body))):
        other = alphabet[alphabet.index(body[-1]) ^ 1 << bit]
        changed = text.replace("\n", "").replace(packed, body[:-1] + other + "=" * (len(packed) - len(body)))
        with pytest.raises(Damaged, match="its last characters were changed"):
            accept(changed, RING, HERE)


def test_what_is_none_of_ours_is_told_so() -> None:
    with pytest.raises(Damaged, match="does not begin as documents of Dash do"):
        accept(text_of(b"CASH" + BYTES[4:]), RING, HERE)


@pytest.mark.parametrize("kept", [*range(96), len(BYTES) - 64, len(BYTES) - 1])
def test_a_part_of_it_is_none(kept: int) -> None:
    with pytest.raises(Damaged):
        accept(text_of(BYTES[:kept]), RING, HERE)


def test_more_than_it_is_none() -> None:
    with pytest.raises(Damaged, match="should have"):
        accept(text_of(BYTES + b"\0"), RING, HERE)
    with pytest.raises(Damaged, match="more than one"):
        accept(TEXT + TEXT, RING, HERE)
    with pytest.raises(Damaged, match="characters long"):
        accept(TEXT + " " * (1 << 20), RING, HERE)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (CONTENT.replace(b'"edition":"Team",', b'"edition":"Team","edition":"Team",'), "twice"),
        (CONTENT.replace(b'{"customer"', b'{ "customer"'), "another order"),
        (json.dumps(json.loads(CONTENT), sort_keys=False, ensure_ascii=True).encode(), "another order"),
        (b'{"z":1,' + CONTENT[1:], "unknown field"),
        (CONTENT.replace(b'"nodes":2', b'"nodes":-1'), "limits.nodes"),
        (CONTENT.replace(b'"nodes":2', b'"nodes":2.0'), "limits.nodes|another order"),
        (CONTENT.replace(b'"nodes":2', b'"nodes":true'), "limits.nodes"),
        (CONTENT.replace(b"2027-12-31", b"2027-13-31"), "date"),
        (CONTENT.replace(b'"valid_to":"2027-12-31"', b'"valid_to":"2026-12-31"'), "before valid_from"),
        (CONTENT.replace(b'["white_label"]', b'["white_label","sso"]'), "not sorted"),
        (CONTENT.replace("ä".encode(), b"\xff"), "cannot be read"),
        (b"", "cannot be read"),
        (b"null", "cannot be read"),
    ],
)
def test_a_signed_document_that_says_it_otherwise_is_none(content: bytes, told: str) -> None:
    assert content != CONTENT
    with pytest.raises(Damaged, match=told):
        accept(signed(content), RING, HERE)


def test_a_list_is_no_licence_and_a_licence_no_list() -> None:
    with pytest.raises(Damaged, match="no licence in it"):
        accept(listed(1), RING, HERE)
    with pytest.raises(Damaged, match="another document"):
        accept(listed(1).replace("REVOCATIONS", "LICENSE"), RING, HERE)
    with pytest.raises(Damaged, match="no revocation list in it"):
        revocations(TEXT, RING)


def test_a_later_layout_is_told_apart_from_damage() -> None:
    with pytest.raises(Damaged, match="layout 2") as caught:
        accept(text_of(b"DASHL\x02" + BYTES[6:]), RING, HERE)
    assert "install the version of Dash" in caught.value.remedy


def test_somebody_elses_key_is_no_key() -> None:
    with pytest.raises(UnknownKey, match="56475aa75463474c"):
        accept(TEXT, KeyRing([]), HERE)


@pytest.mark.parametrize(
    ("changed", "here", "error", "told"),
    [
        ({"installation": "0000-0000-0000-0000"}, {}, Foreign, "this one is 7KQ2-M8XD-0T3W-E9HP"),
        ({}, {"today": date(2026, 12, 31)}, TooEarly, "from 2027-01-01 on"),
        ({}, {"today": date(2028, 1, 1)}, Expired, "until 2027-12-31"),
        ({}, {"revoked": frozenset({"lic_00112233"})}, Revoked, "taken back"),
    ],
)
def test_why_a_good_licence_is_not_accepted(
    changed: dict[str, str], here: dict[str, object], error: type[LicenseError], told: str
) -> None:
    where = Here(**{"installation": HERE.installation, "today": HERE.today, **here})  # type: ignore[arg-type]
    with pytest.raises(error, match=told) as caught:
        accept(issued(**changed), RING, where)
    assert caught.value.remedy
    assert read(issued(**changed), RING) == license(**changed)  # what is installed stays readable


def test_the_first_and_the_last_day_count() -> None:
    for day in (date(2027, 1, 1), LAST):
        assert accept(TEXT, RING, Here(installation="x", today=day)) == license()


def test_a_newer_list_replaces_an_older_one_and_never_the_other_way() -> None:
    first = revocations(listed(4, "lic_1"), RING)
    assert revocations(listed(4, "lic_1"), RING, first) == first
    assert revocations(listed(5), RING, first).licenses == ()
    with pytest.raises(Damaged, match="list 4 is in force"):
        revocations(listed(3, "lic_1", "lic_2"), RING, first)


@given(st.text())
def test_nothing_else_comes_of_any_text(text: str) -> None:
    for one in (text, f"-----BEGIN DASH LICENSE-----{text}-----END DASH LICENSE-----"):
        with pytest.raises(LicenseError):
            accept(one, RING, HERE)


@given(st.binary(max_size=200))
def test_nothing_else_comes_of_any_signed_content(content: bytes) -> None:
    with pytest.raises(Damaged):
        accept(signed(content), RING, HERE)


@given(
    st.builds(
        Revocations, number=st.integers(0, 2**31), issued_on=st.dates(), licenses=st.tuples(st.text("ab", min_size=1))
    )
)
def test_what_is_encoded_is_decoded(document: Revocations) -> None:
    assert revocations(signed(encoded(document), Kind.REVOCATIONS), RING) == document


def test_features_of_a_later_version_are_kept() -> None:
    found: License = accept(issued(features=("time_travel", "white_label")), RING, HERE)
    assert found.features == ("time_travel", "white_label")
