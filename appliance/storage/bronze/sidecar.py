"""The index beside a compressed segment: where its blocks begin, and the delivery ids in it.

Two JSON lines, so that a lookup need not decode the ids. Derived: whoever misses or mistrusts it can rebuild it.
"""

from bisect import bisect_right
from pathlib import Path

import msgspec

from appliance.storage.bronze.disk import write_new
from appliance.storage.bronze.frame import Damaged

UNKNOWN = (1 << 63) - 1  # the time in an index that an earlier version wrote: later than any, so that nothing is missed


class Block(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One zstd frame of whole Bronze frames."""

    first_seq: int
    packed_offset: int
    packed_size: int
    offset: int  # uncompressed
    size: int  # uncompressed
    line: int  # 1-based line of its first header
    newest_us: int = UNKNOWN  # the latest receipt within


class Delivered(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A delivery id and what it stands for."""

    id: str
    first_seq: int
    last_seq: int
    received_us: int


class _Blocks(msgspec.Struct):
    blocks: tuple[Block, ...]


class _Deliveries(msgspec.Struct):
    deliveries: list[Delivered]


class Blocks:
    """The blocks of one segment, found by sequence number. ``missing``: why some are not among them."""

    def __init__(self, blocks: tuple[Block, ...], missing: Damaged | None = None) -> None:
        self.blocks = blocks
        self.missing = missing
        self._seqs = [block.first_seq for block in blocks]

    def at_or_before(self, seq: int) -> int:
        """Return the place in ``blocks`` of the block that holds ``seq``."""
        return max(bisect_right(self._seqs, seq) - 1, 0)


def sidecar_path(segment: Path) -> Path:
    """Return where the index of ``segment`` (``.jsonl`` or ``.jsonl.zst``) lies."""
    return segment.with_name(segment.name.removesuffix(".zst").removesuffix(".jsonl") + ".idx")


def write_sidecar(path: Path, blocks: tuple[Block, ...], deliveries: list[Delivered]) -> None:
    """Store both, whole or not at all."""
    encode = msgspec.json.encode
    write_new(path, encode(_Blocks(blocks)) + b"\n" + encode(_Deliveries(deliveries)) + b"\n")


def read_blocks(path: Path) -> Blocks | None:
    """Return the blocks; None: there is no readable index."""
    try:
        with path.open("rb") as file:
            return Blocks(msgspec.json.decode(file.readline(), type=_Blocks).blocks)
    except (FileNotFoundError, msgspec.DecodeError, UnicodeDecodeError):
        return None


def read_deliveries(path: Path) -> list[Delivered] | None:
    """Return the deliveries, oldest first; None: there is no readable index."""
    try:
        with path.open("rb") as file:
            file.readline()
            return msgspec.json.decode(file.readline(), type=_Deliveries).deliveries
    except (FileNotFoundError, msgspec.DecodeError, UnicodeDecodeError):
        return None
