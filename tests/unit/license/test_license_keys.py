"""Signatures: Wycheproof's vectors, and the keys for which anybody can sign."""

import json
from pathlib import Path
from typing import Any

import pytest

from license.errors import Forged, UnknownKey
from license.keys import KeyRing, key_id

VECTORS = json.loads((Path(__file__).parent / "wycheproof" / "ed25519_test.json").read_text())["testGroups"]
EVERY = [
    pytest.param(group["publicKey"]["pk"], vector, id=str(vector["tcId"]))
    for group in VECTORS
    for vector in group["tests"]
]
P = 2**255 - 19
D = -121665 * pow(121666, -1, P) % P


def test_all_vectors_are_there() -> None:
    assert len(EVERY) == 151


@pytest.mark.parametrize(("public", "vector"), EVERY)
def test_wycheproof(public: str, vector: dict[str, Any]) -> None:
    key = bytes.fromhex(public)
    check = (key_id(key), bytes.fromhex(vector["sig"]), bytes.fromhex(vector["msg"]))
    if vector["result"] == "valid":
        KeyRing([key]).verify(*check)
    else:
        with pytest.raises(Forged):
            KeyRing([key]).verify(*check)


def points_of_small_order() -> list[tuple[int, int]]:
    """Return all eight points whose order divides 8, by the curve's own formulas."""

    def doubled(x: int, y: int) -> tuple[int, int]:
        k = D * x * x * y * y % P
        return 2 * x * y * pow(1 + k, -1, P) % P, (y * y + x * x) * pow(1 - k, -1, P) % P

    y8 = 2707385501144840649318225287225658788936804267575313519463743609750303402022
    square = (y8 * y8 - 1) * pow(D * y8 * y8 + 1, -1, P) % P
    root = pow(square, (P + 3) // 8, P)
    x8 = root if root * root % P == square else root * pow(2, (P - 1) // 4, P) % P
    assert x8 * x8 % P == square
    assert doubled(*doubled(*doubled(x8, y8))) == (0, 1)
    x4, y4 = doubled(x8, y8)
    eighths = [(x, y) for x in (x8, P - x8) for y in (y8, P - y8)]
    return [*eighths, (x4, y4), (P - x4, y4), (0, 1), (0, P - 1)]


def test_keys_of_small_order_are_refused_however_they_are_written() -> None:
    found = points_of_small_order()
    assert len(set(found)) == 8
    written = {y | (x & 1) << 255 for x, y in found}
    written |= {y + P | sign << 255 for _, y in found if y + P < 2**255 for sign in (0, 1)}  # not reduced
    for encoded in written:
        with pytest.raises(ValueError, match="small order"):
            KeyRing([encoded.to_bytes(32, "little")])


def test_a_key_has_32_bytes() -> None:
    with pytest.raises(ValueError, match="32 bytes, not 31"):
        KeyRing([bytes(31)])


def test_a_key_that_is_not_pinned_is_named() -> None:
    with pytest.raises(UnknownKey, match="key 0102030405060708"):
        KeyRing([]).verify(bytes(range(1, 9)), bytes(64), b"")
