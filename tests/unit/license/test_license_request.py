"""The request code survives a telephone, and errors on it are noticed."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from license.errors import Damaged
from license.request import code, parse

INSTALLATIONS = st.binary(min_size=8, max_size=8)
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def test_it_is_as_documented() -> None:
    assert code(bytes(range(8))) == "000G-40R4-0M30-FMK7"
    assert len(code(bytes(8))) == 19


@given(INSTALLATIONS)
def test_it_is_read_however_it_was_heard(installation: bytes) -> None:
    written = code(installation)
    heard = written.lower().replace("-", " ").replace("0", "o").replace("1", "l")
    assert parse(written) == parse(f"  {heard} ") == parse(written.replace("-", "")) == written


@given(INSTALLATIONS, st.integers(0, 15), st.sampled_from(ALPHABET))
def test_one_wrong_character_is_noticed(installation: bytes, at: int, wrong: str) -> None:
    plain = code(installation).replace("-", "")
    assume(plain[at] != wrong)
    try:
        found = parse(plain[:at] + wrong + plain[at + 1 :])
    except Damaged:
        return
    # 16 bits of check: one in 65,536 slips through, and then it is another installation's, which its licence tells
    assert found != code(installation)


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("000G-40R4-0M30-FMK8", "a character of the request code is wrong"),
        ("000G-40R4-0M30-MFK7", "two are swapped"),
        ("000G-40R4-0M3!-FMK7", "group 3 of the request code has a '!'"),
        ("000G-40R4-0M30", "16 characters, and this has 12"),
        ("", "16 characters, and this has 0"),
        ("000G-40R4-0M30-FMK7-0", "this has 17"),
        ("000G-40R4-0M30-FMKÜ", "group 4"),
    ],
)
def test_what_is_wrong_is_told(typed: str, told: str) -> None:
    with pytest.raises(Damaged, match=told):
        parse(typed)
