"""Decompressing: one block of a segment, or all of them when the index is not to be trusted."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import zstandard

from appliance.storage.bronze.frame import BRIEF, Brief, Damaged, Found
from appliance.storage.bronze.segment import frames_in, read_at
from appliance.storage.bronze.sidecar import Block, Blocks


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
    """
    content = memoryview(path.read_bytes())
    packed_offset = offset = 0
    line = 1
    while packed_offset < len(content):
        unpacker = zstandard.ZstdDecompressor().decompressobj()
        try:
            plain = unpacker.decompress(content[packed_offset:])
        except zstandard.ZstdError as error:
            raise Damaged(offset, f"the block does not decompress ({error})") from error
        if not unpacker.eof:
            raise Damaged(offset, "the block is cut short")
        end = len(content) - len(unpacker.unused_data)
        yield Unpacked(packed_offset, bytes(content[packed_offset:end]), offset, plain, line)
        packed_offset = end
        offset += len(plain)
        line += plain.count(b"\n")


def block_of(unpacked: Unpacked, frames: list[Found[Brief]]) -> Block:
    """Return what the index says of ``unpacked``, which holds ``frames``."""
    return Block(
        frames[0].header.seq, unpacked.packed_offset, len(unpacked.packed), unpacked.offset, len(unpacked.plain),
        unpacked.line,
    )  # fmt: skip


def rebuild_blocks(path: Path) -> Blocks:
    """Return the index of ``path`` from its content alone."""
    return Blocks(
        tuple(
            block_of(unpacked, list(frames_in(unpacked.plain, unpacked.offset, BRIEF))) for unpacked in unpack_all(path)
        )
    )
