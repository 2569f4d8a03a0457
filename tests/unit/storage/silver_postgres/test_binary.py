"""Rows as COPY takes them: parts of a long table are the same bytes as the rows one at a time."""

import struct

import pyarrow as pa
import pytest

from appliance.components.arrow import INSTANT
from appliance.storage.silver_postgres.binary import ROWS_AT_ONCE, rows, values


def sent(table: pa.Table) -> bytes:
    return b"".join(bytes(part) for part in rows(table))


def test_a_row_is_how_many_values_it_has_and_each_with_its_length() -> None:
    table = pa.table({"n": pa.array([1, None], pa.int64()), "t": pa.array([None, "ä"], pa.string())})
    assert sent(table) == (
        b"\0\2" b"\0\0\0\x08" b"\0\0\0\0\0\0\0\1" b"\xff\xff\xff\xff"
        b"\0\2" b"\xff\xff\xff\xff" b"\0\0\0\2" b"\xc3\xa4"
    )  # fmt: skip


@pytest.mark.parametrize("place", [0, ROWS_AT_ONCE - 1, ROWS_AT_ONCE, ROWS_AT_ONCE + 5, 2 * ROWS_AT_ONCE])
def test_what_cannot_be_stored_is_found_in_every_part(place: int) -> None:
    texts = [f"text {number}" for number in range(2 * ROWS_AT_ONCE + 1)]
    texts[place] = "a\0b"
    told = sent(pa.table({"t": pa.array(texts)}))
    assert told.count(b"\0\0\0\5a\xef\xbf\xbdb") == 1
    stored = [text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode() for text in texts]
    assert told == b"".join(b"\0\1" + len(text).to_bytes(4, "big") + text for text in stored)


def test_of_a_slice_its_own_texts_are_sent() -> None:
    column = pa.array(["before\0", "a", None, "bc", "after\0"])
    assert values(column.slice(1, 3)).to_pylist() == [b"\0\0\0\1a", b"\xff\xff\xff\xff", b"\0\0\0\2bc"]
    assert values(column.slice(4)).to_pylist() == [b"\0\0\0\x08after\xef\xbf\xbd"]


@pytest.mark.parametrize("texts", [[None, None], ["", ""], []])
def test_a_column_without_any_text_is_sent_too(texts: list[str | None]) -> None:
    nothing = b"\xff\xff\xff\xff" if texts[:1] == [None] else b"\0\0\0\0"
    assert values(pa.array(texts, pa.string())).to_pylist() == [nothing] * len(texts)


def test_columns_of_one_width_are_sent_side_by_side_whatever_stands_between_them_and_however_long_they_are() -> None:
    count = ROWS_AT_ONCE + 3
    numbers = list(range(-5, count - 5))
    table = pa.table(
        {
            "time": pa.array([946_684_800_000_000 + one for one in numbers], pa.int64()).cast(INSTANT),
            "item": pa.array(numbers, pa.int32()),
            "note": pa.array([None, *["x"] * (count - 1)]),
            "key": pa.array([struct.pack(">qq", one, -one) for one in numbers], pa.binary(16)),
            "real": pa.array([one / 8 for one in numbers], pa.float64()),
            "seq": pa.array(numbers, pa.int64()),
        }
    )
    notes = [b"\xff\xff\xff\xff", *[b"\0\0\0\1x"] * (count - 1)]
    told = [
        struct.pack(">hiqii", 6, 8, one, 4, one) + note + struct.pack(">iqqidiq", 16, one, -one, 8, one / 8, 8, one)
        for one, note in zip(numbers, notes, strict=True)
    ]
    assert sent(table) == b"".join(told)
    assert sent(table.slice(7, 2)) == b"".join(told[7:9])


def test_any_number_of_columns_of_one_width_is_sent() -> None:
    table = pa.table({f"n{place}": pa.array([place, -place], pa.int64()) for place in range(50)})
    line = b"\0\x32" + b"".join(struct.pack(">iq", 8, place) for place in range(50))
    other = b"\0\x32" + b"".join(struct.pack(">iq", 8, -place) for place in range(50))
    assert sent(table) == line + other
