"""Answers of one node to another as bytes: msgpack, compressed where that pays, and never larger than said."""

from typing import Any, Final

import msgspec
import zstandard

MOST_ASKED: Final = 64 << 20  # bytes of what is asked
MOST_ANSWERED: Final = 96 << 20  # bytes of an answer, unpacked: 16 MiB of lines, or one very large event
_PLAIN, _ZSTD = b"\0", b"\1"  # what an answer begins with
_WORTH_PACKING: Final = 4096
_LEVEL: Final = 1  # nodes are near each other


def packed(value: Any) -> bytes:
    """Return ``value`` as the answer's bytes."""
    plain = msgspec.msgpack.encode(value)
    if len(plain) < _WORTH_PACKING:
        return _PLAIN + plain
    return _ZSTD + zstandard.ZstdCompressor(_LEVEL).compress(plain)


def unpacked(answer: bytes, most: int = MOST_ANSWERED) -> bytes:
    """Return the msgpack of an answer.

    Raises:
        ValueError: these are not the bytes of an answer, or it has more than ``most``.
    """
    kind, body = answer[:1], answer[1:]
    if kind == _ZSTD:
        try:
            size = zstandard.frame_content_size(body)
            if not 0 <= size <= most:
                raise ValueError(f"it has {size} bytes, and may have {most}")
            return zstandard.ZstdDecompressor().decompress(body)
        except zstandard.ZstdError as error:
            raise ValueError(str(error)) from error
    if kind != _PLAIN or len(body) > most:
        raise ValueError(f"it begins with {kind!r}" if kind != _PLAIN else f"it has more than {most} bytes")
    return body
