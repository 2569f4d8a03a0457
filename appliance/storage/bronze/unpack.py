"""Decompressing: one block of a segment, or all of them when the index is not to be trusted."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import zstandard

from appliance.storage.bronze.frame import BRIEF, B, Brief, Damaged, Found, Unread
from appliance.storage.bronze.segment import frames_in, read_at
from appliance.storage.bronze.sidecar import Block, Blocks

_MAGIC = b"\x28\xb5\x2f\xfd"  # RFC 8878, 3.1.1: what a zstd frame begins with
_FRAME_START = b'{"seq":'


class Unpacked(NamedTuple):
    """One zstd frame of a segment: as it lies in the file, and its content. ``line``: 1-based, of its first header."""

    packed_offset: int
    packed: bytes
    offset: int
    plain: bytes
    line: int


def unpack(path: Path, block: Block) -> bytes:
    """Return the content of ``block``.

    Raises:
        Damaged: it does not decompress to what it was.
        FileNotFoundError: there is no such file.
    """
    packed = read_at(path, block.packed_offset, block.packed_size)
    try:
        plain = zstandard.ZstdDecompressor().decompress(packed, max_output_size=block.size)
    except zstandard.ZstdError as error:
        raise Damaged(block.offset, f"the block does not decompress ({error})") from error
    if len(plain) != block.size:
        raise Damaged(block.offset, f"expected a block of {block.size} bytes, found {len(plain)}")
    return plain


def unpack_all(path: Path) -> Iterator[Unpacked]:
    """Yield every block of ``path`` without its index.

    Raises:
        Damaged: what comes next does not decompress.
        FileNotFoundError: there is no such file.
    """
    for piece in survey_packed(path):
        if isinstance(piece, Damaged):
            raise piece
        yield piece


def survey_packed(path: Path) -> Iterator[Unpacked | Damaged]:
    """Yield every block of ``path`` that decompresses, and what is wrong between them.

    Behind damage, ``offset`` and ``line`` of a block leave out what is missing.

    Raises:
        FileNotFoundError: there is no such file.
    """
    content = _content(path)
    if isinstance(content, Damaged):
        yield content
        return
    packed_offset = offset = 0
    line = 1
    while packed_offset < len(content):
        try:
            plain, end = _inflate(content, packed_offset, offset)
        except Damaged as error:
            yield error
            packed_offset = _next_block(content, packed_offset + 1)
            continue
        yield Unpacked(packed_offset, content[packed_offset:end], offset, plain, line)
        packed_offset = end
        offset += len(plain)
        line += plain.count(b"\n")


def survey_frames(path: Path, decode: Callable[[bytes], B]) -> Iterator[Found[B] | Damaged]:
    """Yield every frame of a compressed segment that can be read, and what is wrong between them."""
    for piece in survey_packed(path):
        if isinstance(piece, Damaged):
            yield piece
            continue
        try:
            yield from frames_in(piece.plain, piece.offset, decode)
        except Damaged as error:
            yield error


def block_of(unpacked: Unpacked, frames: list[Found[Brief]]) -> Block:
    """Return what the index says of ``unpacked``, which holds ``frames``."""
    return Block(
        frames[0].header.seq, unpacked.packed_offset, len(unpacked.packed), unpacked.offset, len(unpacked.plain),
        unpacked.line, max(found.header.received_us for found in frames),
    )  # fmt: skip


def rebuild_blocks(path: Path) -> Blocks:
    """Return the index of ``path`` from its content alone; what cannot be read is left out.

    Raises:
        Unread: the disk refuses.
        FileNotFoundError: there is no such file.
    """
    blocks: list[Block] = []
    missing: Damaged | None = None
    for piece in survey_packed(path):
        try:
            if isinstance(piece, Damaged):
                raise piece
            blocks.append(block_of(piece, list(frames_in(piece.plain, piece.offset, BRIEF))))
        except Unread:
            raise
        except Damaged as error:
            missing = missing or error
    return Blocks(tuple(blocks), missing)


def _content(path: Path) -> bytes | Damaged:
    try:
        return read_at(path, 0, path.stat().st_size)
    except Damaged as error:
        return error


def _inflate(content: bytes, packed_offset: int, offset: int) -> tuple[bytes, int]:
    unpacker = zstandard.ZstdDecompressor().decompressobj()
    try:
        plain = unpacker.decompress(memoryview(content)[packed_offset:])
    except zstandard.ZstdError as error:
        raise Damaged(offset, f"the block does not decompress ({error})") from error
    if not unpacker.eof:
        raise Damaged(offset, "the block is cut short")
    return plain, len(content) - len(unpacker.unused_data)


def _next_block(content: bytes, start: int) -> int:
    """Return where the next block that decompresses to frames begins; the end of ``content`` where there is none."""
    at = content.find(_MAGIC, start)
    while at >= 0:
        try:
            if _inflate(content, at, 0)[0].startswith(_FRAME_START):
                return at
        except Damaged:
            at = content.find(_MAGIC, at + 1)
            continue
        at = content.find(_MAGIC, at + 1)
    return len(content)
