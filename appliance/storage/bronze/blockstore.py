"""Compressed blocks and their indexes, the few used last kept in memory."""

from collections import OrderedDict
from pathlib import Path
from threading import Lock

from appliance.storage.bronze.sidecar import Block, Blocks, read_blocks, sidecar_path
from appliance.storage.bronze.unpack import rebuild_blocks, unpack

_CACHED_BLOCKS = 8
_CACHED_INDEXES = 64
_LARGEST_CACHED = 4 << 20

Signature = tuple[int, int, int]


def signature(path: Path) -> Signature:
    """Return what changes when somebody puts another file in the place of ``path``."""
    found = path.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns


def signature_of(path: Path) -> Signature | None:
    """Return the same; None where there is no file."""
    try:
        return signature(path)
    except FileNotFoundError:
        return None


class Blockstore:
    """At most 32 MiB of blocks, for all pipelines of a log."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._blocks: OrderedDict[tuple[Path, int], bytes] = OrderedDict()
        self._indexes: OrderedDict[Path, tuple[Blocks, Signature | None]] = OrderedDict()

    def index(self, path: Path) -> Blocks:
        """Return where the blocks of the compressed segment ``path`` begin.

        Raises:
            Unread: the disk refuses.
            FileNotFoundError: there is no such segment.
        """
        with self._lock:
            known = self._indexes.get(path)
        if known is not None:
            return known[0]
        made_from = None
        blocks = read_blocks(sidecar_path(path))
        if blocks is None:
            made_from, blocks = signature(path), rebuild_blocks(path)
        self._keep(path, blocks, made_from)
        return blocks

    def rebuild(self, path: Path) -> bool:
        """Make the index from the segment as it is now; return False if it was made so already.

        Raises:
            Unread: the disk refuses.
            FileNotFoundError: there is no such segment.
        """
        now = signature(path)
        with self._lock:
            known = self._indexes.get(path)
        if known is not None and known[1] == now:
            return False
        blocks = rebuild_blocks(path)
        self.forget(path)
        self._keep(path, blocks, now)
        return True

    def block(self, path: Path, block: Block) -> bytes:
        """Return the Bronze frames of ``block``.

        Raises:
            Damaged: it does not decompress to what it was.
            FileNotFoundError: there is no such segment.
        """
        key = (path, block.packed_offset)
        with self._lock:
            known = self._blocks.get(key)
        if known is None:
            known = unpack(path, block)
            if len(known) <= _LARGEST_CACHED:
                with self._lock:
                    self._blocks[key] = known
                    if len(self._blocks) > _CACHED_BLOCKS:
                        self._blocks.popitem(last=False)
        return known

    def forget(self, path: Path) -> None:
        """Drop what is remembered of the segment ``path``, or of all segments in the directory ``path``."""
        with self._lock:
            for known in [known for known in self._indexes if path in (known, known.parent)]:
                del self._indexes[known]
            for key in [key for key in self._blocks if path in (key[0], key[0].parent)]:
                del self._blocks[key]

    def _keep(self, path: Path, blocks: Blocks, made_from: Signature | None) -> None:
        with self._lock:
            self._indexes[path] = (blocks, made_from)
            if len(self._indexes) > _CACHED_INDEXES:
                self._indexes.popitem(last=False)
