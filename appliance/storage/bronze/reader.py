"""Reading a pipeline's log across open, closed and compressed segments, while all three change."""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Lock

from appliance.domain.event import Frame, StoredEvent
from appliance.domain.ids import PipelineId
from appliance.errors import FatalError, NotFound
from appliance.storage.bronze.frame import BRIEF, FULL, B, Brief, Damaged, Found, Header, literal_bytes, without_breaks
from appliance.storage.bronze.manifest import Entry
from appliance.storage.bronze.pipeline_log import PipelineLog, Plain
from appliance.storage.bronze.segment import frames_in, walk
from appliance.storage.bronze.sidecar import Block, Blocks, read_blocks, sidecar_path
from appliance.storage.bronze.unpack import rebuild_blocks, unpack

_ATTEMPTS = 3  # a segment is replaced by its compressed form once; more is another trouble
_CACHED_BLOCKS = 8
_CACHED_INDEXES = 64
_LARGEST_CACHED = 4 << 20
_HINT = "run `dash-appliance verify`; it names each damaged place and what can be done"


class Blockstore:
    """Compressed blocks and indexes, the few used last kept in memory (at most 32 MiB of blocks)."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._blocks: OrderedDict[tuple[Path, int], bytes] = OrderedDict()
        self._indexes: OrderedDict[Path, Blocks] = OrderedDict()

    def index(self, path: Path) -> Blocks:
        """Return where the blocks of the compressed segment ``path`` begin."""
        with self._lock:
            known = self._indexes.get(path)
        if known is None:
            known = read_blocks(sidecar_path(path)) or rebuild_blocks(path)
            with self._lock:
                self._indexes[path] = known
                if len(self._indexes) > _CACHED_INDEXES:
                    self._indexes.popitem(last=False)
        return known

    def block(self, path: Path, block: Block) -> bytes:
        """Return the Bronze frames of ``block``.

        Raises:
            Damaged: it does not decompress to what it was.
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

    def forget(self, directory: Path) -> None:
        """Drop what is remembered of the segments in ``directory``."""
        with self._lock:
            for path in [path for path in self._indexes if path.parent == directory]:
                del self._indexes[path]
            for key in [key for key in self._blocks if key[0].parent == directory]:
                del self._blocks[key]


class Reader:
    """Reads one pipeline's log."""

    def __init__(self, log: PipelineLog, blocks: Blockstore) -> None:
        self._log = log
        self._blocks = blocks

    def read(self, after_seq: int, max_events: int, max_bytes: int) -> list[Frame]:
        """Return durable frames as ``BronzeLog.read`` promises."""
        taken = _Taken(after_seq + 1, max_events, max_bytes)
        attempt = 0
        while taken.room and taken.want <= self._log.last_seq:
            before = taken.want
            self._fill(taken)
            attempt = 0 if taken.want > before else attempt + 1
            if attempt == _ATTEMPTS:
                raise self._broken(taken.want, "its segment is missing or ends early")
        return taken.frames

    def event(self, pipeline_id: PipelineId, seq: int) -> StoredEvent:
        """Return one event as ``BronzeLog.event`` promises."""
        if not 1 <= seq <= self._log.last_seq:
            raise NotFound(f"looking for event {seq} of {pipeline_id}: there are events 1 to {self._log.last_seq}")
        for _ in range(_ATTEMPTS):
            try:
                found = self._find(pipeline_id, seq)
            except FileNotFoundError:
                continue  # compressed meanwhile
            except Damaged as error:
                raise self._broken(seq, str(error)) from error
            if found is not None:
                return found
        raise self._broken(seq, "its segment is missing or ends early")

    def _fill(self, taken: "_Taken") -> None:
        """Take what one segment has."""
        try:
            _, _, frames = self._frames(taken.want, BRIEF)
            for found in frames:
                if not taken.take(found):
                    return
        except FileNotFoundError:
            return  # compressed meanwhile: the next attempt finds the new file
        except Damaged as error:
            if not taken.frames:
                raise self._broken(taken.want, str(error)) from error
            taken.room = False  # first hand over what is good; the next call meets the damage at once

    def _find(self, pipeline_id: PipelineId, seq: int) -> StoredEvent | None:
        name, line, frames = self._frames(seq, FULL)
        for found in frames:
            header = found.header
            if header.seq <= seq < header.seq + header.n:
                nth = seq - header.seq
                return StoredEvent(pipeline_id, seq, header.envelope(), _payload(found, nth), name, line + 1 + nth)
            line += 1 + header.n
        return None

    def _frames(self, seq: int, decode: Callable[[bytes], B]) -> tuple[str, int, Iterator[Found[B]]]:
        """Return segment, line and frames from a place at or before ``seq`` to the end of its segment."""
        where = self._log.locate(seq)
        if where is None:
            raise self._broken(seq, "no segment holds it")
        if isinstance(where, Plain):
            return where.path.name, where.place.line, walk(where.path, where.place.offset, where.end, decode)
        path = self._log.directory / where.name
        index = self._blocks.index(path)
        first = index.at_or_before(seq)
        return where.name, index.blocks[first].line, self._unpacked(path, index.blocks[first:], decode)

    def _unpacked(self, path: Path, blocks: tuple[Block, ...], decode: Callable[[bytes], B]) -> Iterator[Found[B]]:
        for block in blocks:
            yield from frames_in(self._blocks.block(path, block), block.offset, decode)

    def _broken(self, seq: int, reason: str) -> FatalError:
        where = self._log.locate(seq)
        name = where.path.name if isinstance(where, Plain) else where.name if isinstance(where, Entry) else "no segment"
        return FatalError(f"reading event {seq} of {self._log.directory.name} in {name}: {reason}", hint=_HINT)


class _Taken:
    """What ``read`` has got so far, and what it may still take."""

    def __init__(self, want: int, max_events: int, max_bytes: int) -> None:
        self.frames: list[Frame] = []
        self.want = want
        self._events = max(max_events, 1)
        self._bytes = max_bytes
        self.room = True

    def take(self, found: Found[Brief]) -> bool:
        """Take the frame, or its part that is wanted and fits; return whether there is room for more."""
        header = found.header
        lines = found.lines if header.form == "lines" else without_breaks(found.lines)
        if header.seq != self.want or header.n > self._events or len(lines) > self._bytes:
            return self._take_part(found, lines)
        if header.n:
            self._add(header, header.n, lines)
        return self.room

    def _take_part(self, found: Found[Brief], lines: bytes) -> bool:
        header = found.header
        skip = self.want - header.seq
        if skip < 0:
            raise Damaged(found.offset, f"expected sequence number {self.want}, found {header.seq}")
        if skip < header.n:
            part, count = self._part(lines, skip, header.n - skip)
            if count:
                self._add(header, count, part)
            self.room = self.room and self.want == header.seq + header.n
        return self.room

    def _add(self, header: Brief, count: int, lines: bytes) -> None:
        self.frames.append(Frame(self.want, count, header.received_us, lines))
        self.want += count
        self._events -= count
        self._bytes -= len(lines)
        self.room = self._events > 0 and self._bytes > 0

    def _part(self, lines: bytes, skip: int, count: int) -> tuple[bytes, int]:
        """Return what fits of ``lines`` after the first ``skip``, and how many lines that is."""
        if skip:
            lines = lines.split(b"\n", skip)[skip]
        if count > self._events:
            count = self._events
            lines = b"\n".join(lines.split(b"\n", count)[:count])
        if len(lines) > self._bytes:
            cut = lines.rfind(b"\n", 0, self._bytes + 1)
            if cut < 0 and not self.frames:
                cut = lines.find(b"\n")
            elif cut < 0:
                return b"", 0
            lines = lines if cut < 0 else lines[:cut]
            count = lines.count(b"\n") + 1
        return lines, count


def _payload(found: Found[Header], nth: int) -> bytes:
    line = found.lines.split(b"\n", nth + 1)[nth]
    return line if found.header.form == "lines" else literal_bytes(line)
