"""A frame: one delivery as lines of a segment. A header line, then exactly as many payload lines as it says.

``{"seq":1001,"durable":1000,"n":2,"bytes":16,"at":"2026-11-22T03:00:00Z","source":"webhook",…,"crc":"1a2b3c4d"}``

``bytes`` counts the payload lines with their line ends. ``durable`` is the newest sequence number that the disk was
known to have when the header was written: it tells a torn tail from damage (see recovery). ``crc`` comes last: CRC-32
of the header up to it and of the payload lines, so that no bit of a frame can flip unseen.

``erased`` lists the places (0-based) of payloads that were erased for good: their lines are ``null``. Form ``lost``:
the frame stands for events that could not be read when their segment was compressed, and ``damaged`` says why.

Form ``lines``: each payload as it came. Form ``text``, used where a payload of the delivery has a raw line break: each
as a JSON string. Either way every line is JSON, so grep and jq work on a segment, and every byte comes back.
"""

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Generic, TypeVar
from zlib import crc32

import msgspec

from appliance.domain.event import Delivery, Envelope

LOST = "lost"
NULL = b"null"  # the line of an event that is not there any more
NONE = msgspec.Raw()  # no checkpoint: msgspec has no optional Raw

_CRC_TAIL = len(b',"crc":"00000000"}')
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_Count = Annotated[int, msgspec.Meta(ge=0)]
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class Damaged(Exception):
    """The bytes at ``offset`` are not the frame that belongs there; becomes a damaged Frame or a Finding further up."""

    def __init__(self, offset: int, reason: str) -> None:
        self.offset = offset
        self.reason = reason
        super().__init__(f"byte {offset}: {reason}")


class Unread(Damaged):
    """The disk does not hand out the bytes; it may do so another time."""


class Brief(msgspec.Struct, frozen=True, gc=False):
    """The part of a header that reading needs; decoded once a frame, so it is small."""

    seq: _Count
    n: _Count
    bytes: _Count
    at: datetime
    form: str = "lines"
    erased: tuple[int, ...] = ()
    damaged: str | None = None
    delivery: str | None = None

    @property
    def last_seq(self) -> int:
        return self.seq + self.n - 1

    @property
    def received_us(self) -> int:
        """Return ``at`` in microseconds since 1970-01-01 UTC."""
        return microseconds(self.at)


class Header(Brief, frozen=True, gc=False, kw_only=True):
    """All of a header. ``headers`` and ``checkpoint`` stay undecoded JSON until somebody asks."""

    source: str
    durable: _Count = 0
    remote: str | None = None
    headers: msgspec.Raw = msgspec.Raw(b"{}")
    checkpoint: msgspec.Raw = NONE

    def envelope(self) -> Envelope:
        """Return the envelope as it was appended."""
        return Envelope(
            received_at=self.at,
            source=self.source,
            delivery_id=self.delivery,
            remote=self.remote,
            headers=msgspec.json.decode(self.headers),
            checkpoint=None if not self.checkpoint else msgspec.json.decode(self.checkpoint),
        )


class _Written(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a header says beside its place in the sequence, in the order in which it is written."""

    n: int
    bytes: int
    at: datetime
    source: str
    delivery: str | None = None
    remote: str | None = None
    form: str = "lines"
    headers: dict[str, str] = {}
    checkpoint: msgspec.Raw = NONE


class Packed(msgspec.Struct, frozen=True, gc=False):
    """A delivery ready to be written once its sequence number is known."""

    rest: bytes  # the header from "n" to the last key of the envelope
    block: bytes  # the payload lines, each with its line end
    count: int
    received_at: datetime
    delivery_id: str | None
    checkpoint: msgspec.Raw

    @property
    def size(self) -> int:
        """Return how many bytes the frame occupies, to within the width of its numbers."""
        return len(self.rest) + len(self.block)


_encode = msgspec.json.Encoder().encode
BRIEF: Callable[[bytes], Brief] = msgspec.json.Decoder(Brief).decode
FULL: Callable[[bytes], Header] = msgspec.json.Decoder(Header).decode

B = TypeVar("B", bound=Brief)


def pack(delivery: Delivery) -> Packed:
    """Turn ``delivery`` into lines; no loop over its events unless one of them has a line break."""
    envelope = delivery.envelope
    form, block = _block(delivery.payloads)
    checkpoint = NONE if envelope.checkpoint is None else msgspec.Raw(_encode(envelope.checkpoint))
    written = _Written(
        len(delivery.payloads), len(block), envelope.received_at, envelope.source, envelope.delivery_id,
        envelope.remote, form, envelope.headers, checkpoint,
    )  # fmt: skip
    rest = _encode(written)[1:-1]
    return Packed(rest, block, written.n, envelope.received_at, envelope.delivery_id, checkpoint)


def header_line(packed: Packed, seq: int, durable: int) -> bytes:
    """Return the header line, line end included, of ``packed`` as the frame that begins at ``seq``."""
    start = b'{"seq":%d,"durable":%d,%b' % (seq, durable, packed.rest)
    return b'%b,"crc":"%08x"}\n' % (start, crc32(packed.block, crc32(start)))


class Found(msgspec.Struct, Generic[B], gc=False):
    """A frame as it lies in a segment. ``lines``: the payload lines without the last line end."""

    header: B
    lines: bytes
    chunk: bytes  # what was read at once; the frame is its bytes ``start`` to ``stop``
    start: int
    stop: int
    offset: int  # of the frame in its segment, uncompressed

    @property
    def size(self) -> int:
        return self.stop - self.start


def parse(chunk: bytes, start: int, offset: int, decode: Callable[[bytes], B]) -> Found[B] | None:
    """Return the frame at ``start`` of ``chunk``, which lies at ``offset``. None: the chunk ends before the frame does.

    ``decode``: ``BRIEF`` or ``FULL``.

    Raises:
        Damaged: no frame begins there, or its checksum is wrong.
    """
    eol = chunk.find(b"\n", start)
    if eol < 0:
        if chunk.startswith(b"\0", start):
            raise Damaged(offset, "zeros instead of a frame")
        return None
    try:
        header = decode(chunk[start:eol])
    except _UNREADABLE as error:
        raise Damaged(offset, f"no frame begins here ({error})") from error
    size = header.bytes
    stop = eol + 1 + size
    if stop > len(chunk):
        return None
    lines = chunk[eol + 1 : stop - 1] if size else b""
    crc = crc32(lines, crc32(chunk[start : eol - _CRC_TAIL]))
    if size:
        crc = crc32(chunk[stop - 1 : stop], crc)
    if chunk[eol - _CRC_TAIL : eol] != b',"crc":"%08x"}' % crc:
        raise Damaged(offset, "the checksum is wrong")
    return Found(header, lines, chunk, start, stop, offset)


def without_breaks(lines: bytes) -> bytes:
    """Return the payloads behind ``lines`` of form ``text``, one a line: their line breaks have become spaces."""
    return b"\n".join(literal_bytes(line).replace(b"\r", b" ").replace(b"\n", b" ") for line in lines.split(b"\n"))


def literal_bytes(line: bytes) -> bytes:
    """Return the payload that a line of form ``text`` stands for, verbatim; ``null`` for one that was erased."""
    return NULL if line == NULL else str(json.loads(line)).encode("utf-8", "surrogateescape")


def microseconds(moment: datetime) -> int:
    """Return ``moment`` (aware) in microseconds since 1970-01-01 UTC."""
    return (moment - _EPOCH) // _MICROSECOND


def _block(payloads: Sequence[Any]) -> tuple[str, bytes]:
    flat = b"".join(payloads)  # to look for line breaks here is six times faster than to count those of the lines
    if b"\n" not in flat and b"\r" not in flat:
        return "lines", b"\n".join((*payloads, b""))
    return "text", b"\n".join((*map(_literal, payloads), b""))


def _literal(payload: Any) -> bytes:
    """Return ``payload`` as a JSON string. Bytes that are not UTF-8 become lone surrogates, escaped."""
    raw = bytes(payload)
    try:
        return _encode(raw.decode())
    except UnicodeDecodeError:
        return json.dumps(raw.decode("utf-8", "surrogateescape")).encode()
