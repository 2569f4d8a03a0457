"""The bytes of a frame, literally."""

from datetime import UTC, datetime
from zlib import crc32

import msgspec
import pytest

from appliance.domain.event import Delivery, Envelope
from appliance.storage.bronze.frame import (
    BRIEF,
    FULL,
    Damaged,
    header_line,
    literal_bytes,
    pack,
    parse,
    without_breaks,
)

AT = datetime(2026, 11, 22, 3, 0, 0, 5, tzinfo=UTC)
PLAIN = Delivery(Envelope(received_at=AT, source="webhook"), [b'{"a":1}', msgspec.Raw(b"2")])


def frame(delivery: Delivery, seq: int = 1001, durable: int = 1000) -> bytes:
    packed = pack(delivery)
    return header_line(packed, seq, durable) + packed.block


def test_a_frame_is_a_header_line_and_the_payload_lines() -> None:
    start = b'{"seq":1001,"durable":1000,"n":2,"bytes":10,"at":"2026-11-22T03:00:00.000005Z","source":"webhook"'
    body = b'{"a":1}\n2\n'
    assert frame(PLAIN) == start + b',"crc":"%08x"}\n' % crc32(start + body) + body


def test_the_envelope_stands_in_the_header() -> None:
    envelope = Envelope(
        received_at=AT, source="http_poll", delivery_id="d1", remote="::1", headers={"etag": '"x"'}, checkpoint={"p": 2}
    )
    line = frame(Delivery(envelope, [b"1"])).split(b"\n")[0]
    known = b'"delivery":"d1","remote":"::1","headers":{"etag":"\\"x\\""},"checkpoint":{"p":2},'
    assert known in line
    found = parse(frame(Delivery(envelope, [b"1"])), 0, 0, FULL)
    assert found is not None
    assert found.header.envelope() == envelope


def test_line_breaks_make_every_payload_of_the_delivery_a_json_string() -> None:
    delivery = Delivery(PLAIN.envelope, [b'{"a":\r\n1}', b'"x"', b"\xff\n"])
    header, *lines, _ = frame(delivery).split(b"\n")
    assert b'"form":"text"' in header
    assert lines == [b'"{\\"a\\":\\r\\n1}"', b'"\\"x\\""', b'"\\udcff\\n"']
    assert [literal_bytes(line) for line in lines] == [b'{"a":\r\n1}', b'"x"', b"\xff\n"]
    assert without_breaks(b"\n".join(lines[:2])) == b'{"a":  1}\n"x"'


def test_parse_answers_none_until_the_frame_is_whole() -> None:
    whole = frame(PLAIN)
    assert [parse(whole[:end], 0, 0, BRIEF) for end in range(len(whole))] == [None] * len(whole)
    found = parse(b"xx" + whole, 2, 77, BRIEF)
    assert found is not None
    assert (found.header.seq, found.header.n, found.lines, found.offset, found.size) == (
        1001, 2, b'{"a":1}\n2', 77, len(whole),
    )  # fmt: skip


def test_no_byte_can_change_unseen() -> None:
    whole = frame(PLAIN)
    for place in range(len(whole)):
        for bit in (0x01, 0x20, 0x80):
            changed = bytearray(whole)
            changed[place] ^= bit
            try:
                assert parse(bytes(changed), 0, 0, BRIEF) is None  # asks for more than there is
            except Damaged:
                continue


@pytest.mark.parametrize("junk", [b"\0\0\0", b"{}\n", b"null\n", b"[" * 100_000 + b"\n", b'{"seq":-1}\n', b"\xff\n"])
def test_what_is_no_frame_is_damage(junk: bytes) -> None:
    with pytest.raises(Damaged) as caught:
        parse(junk, 0, 4711, BRIEF)
    assert caught.value.offset == 4711
