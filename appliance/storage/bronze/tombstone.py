"""Frames that are written again: without some of their payloads, or in the place of what could not be read."""

from collections.abc import Iterable
from datetime import datetime
from zlib import crc32

import msgspec

from appliance.storage.bronze.frame import LOST, NULL, B, Found

_encode = msgspec.json.encode
_HeaderKeys = dict[str, msgspec.Raw]


def without(found: Found[B], seqs: Iterable[int]) -> bytes:
    """Return the frame with tombstones instead of the payloads of ``seqs``; its other keys and lines as they were."""
    chunk, start = found.chunk, found.start
    eol = chunk.index(b"\n", start)
    keys = msgspec.json.decode(chunk[start:eol], type=_HeaderKeys)
    lines = found.lines.split(b"\n")
    places = sorted({*found.header.erased, *(seq - found.header.seq for seq in seqs)})
    for place in places:
        lines[place] = NULL
    block = b"\n".join((*lines, b""))
    keys["bytes"] = msgspec.Raw(_encode(len(block)))
    keys["erased"] = msgspec.Raw(_encode(places))
    return _sealed(keys, block)


def lost(first_seq: int, last_seq: int, at: datetime, reason: str) -> bytes:
    """Return a frame that stands for events that could not be read."""
    count = last_seq - first_seq + 1
    block = (NULL + b"\n") * count
    header = {
        "seq": first_seq,
        "n": count,
        "bytes": len(block),
        "at": at,
        "source": "",
        "form": LOST,
        "damaged": reason,
    }
    return _sealed({key: msgspec.Raw(_encode(value)) for key, value in header.items()}, block)


def _sealed(keys: _HeaderKeys, block: bytes) -> bytes:
    keys.pop("crc", None)
    start = _encode(keys)[:-1]
    return b'%b,"crc":"%08x"}\n%b' % (start, crc32(block, crc32(start)), block)
