"""The log of one pipeline: commits, rotation, and which segment holds what.

Three locks: ``_writing`` is held by whoever writes (a commit, rotation), ``changing`` by whoever replaces or removes a
closed segment, ``_lock`` for a moment by whoever looks at or changes what readers see. Readers never wait for the disk.
"""

import contextlib
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Lock
from typing import Any

import msgspec

from appliance.components.bronze import SegmentInfo
from appliance.errors import TransientError
from appliance.storage.bronze.compaction import Pace, compact, put_away
from appliance.storage.bronze.frame import NONE, Damaged, Packed, header_line, microseconds
from appliance.storage.bronze.manifest import Manifest
from appliance.storage.bronze.manifest_lines import Entry
from appliance.storage.bronze.options import Options
from appliance.storage.bronze.recovery import Recovered
from appliance.storage.bronze.rest import leave_rest
from appliance.storage.bronze.segment import Place, Segment
from appliance.storage.bronze.shelf import Shelf
from appliance.storage.bronze.sidecar import Delivered
from appliance.storage.bronze.writer import Writer

RETRY_SECS = 5.0
GRAVE = ".deleted-"  # what the directory of a deleted pipeline is called until it is gone


class Plain(msgspec.Struct, frozen=True):
    """Where to read in an uncompressed segment. ``end``: what is durable of it.

    ``damaged``: a copy of the file may be put back, so all of it counts; what lies beyond ``last_seq`` does not.
    """

    path: Path
    last_seq: int
    place: Place
    end: int
    received_us: int  # the latest within
    damaged: bool = False


class PipelineLog:
    """Numbers, writes and finds the events of one pipeline."""

    def __init__(self, directory: Path, recovered: Recovered, options: Options) -> None:
        self.directory = directory
        self.manifest: Manifest = recovered.manifest
        self.cut_bytes = recovered.cut_bytes
        self.last_seq = recovered.next_seq - 1
        self.stopped: str | None = None  # why nothing can be received
        self._checkpoint = recovered.checkpoint
        self._waiting = list(recovered.waiting)
        self._open = recovered.open
        self._writer: Writer | None = None
        self._options = options
        self._try_again = 0.0
        self._deleted = False
        self._writing = Lock()
        self.changing = Lock()
        self.shelf = Shelf(directory, self.manifest)
        self._lock = Lock()

    @property
    def first_seq(self) -> int:
        """The oldest event that has not expired."""
        return self.manifest.expired_seq() + 1

    @property
    def deleted(self) -> bool:
        return self._deleted

    @property
    def checkpoint(self) -> dict[str, Any] | None:
        """The source's checkpoint that was made durable last."""
        checkpoint = self._checkpoint
        return None if not checkpoint else msgspec.json.decode(checkpoint, type=dict[str, Any])

    @property
    def end(self) -> tuple[int, msgspec.Raw]:
        """The newest event, and the checkpoint (JSON, or empty) as of the same moment."""
        with self._lock:
            return self.last_seq, self._checkpoint

    def commit(self, batch: Sequence[Packed]) -> list[int]:
        """Write ``batch`` with one sync and return the first sequence number of each; blocking.

        An error of the disk seals the segment, and the batch is written once more, to a new file.

        Raises:
            TransientError: that failed as well (or a few seconds ago), or the pipeline is deleted.
        """
        with self._writing:
            if self._deleted or self._options.monotonic() < self._try_again:
                raise TransientError(self._refusal(), RETRY_SECS)
            try:
                firsts = self._write(batch)
            except OSError:
                self._seal()
                firsts = self._write_again(batch)
            self.stopped = None
        self._options.files.used(id(self), self.park)
        return firsts

    def tick(self) -> None:
        """Close the open segment if it has become too old."""
        with self._writing:
            self._rotate_if_due()

    def park(self) -> bool:
        """Close the file, not the segment, unless a commit is at work; return whether it is closed."""
        if not self._writing.acquire(blocking=False):
            return False
        try:
            with contextlib.suppress(OSError):  # what was written is durable; the space ahead comes back at a restart
                self._close_file()
        finally:
            self._writing.release()
        return True

    def close(self, delivered_since: Callable[[int], list[Delivered]] = lambda seq: []) -> None:
        """Close the file after the commit that is at work, and leave a note for the next start."""
        with self._writing, contextlib.suppress(OSError):  # all is durable; without a note the next start scans
            self._close_file()
            if not self._deleted:
                self._leave_notes(delivered_since)

    def delete(self) -> None:
        """Remove everything; later commits are refused."""
        with self._writing:
            self._deleted = True
            self._close_file()
        with self.changing:
            grave = self.directory.with_name(GRAVE + self.directory.name)
            self.directory.rename(grave)
        shutil.rmtree(grave)

    def locate(self, seq: int) -> Plain | Entry | None:
        """Return the segment that holds the durable event ``seq``, and where to look in it."""
        with self._lock:
            segments = [*self._waiting, self._open] if self._open else self._waiting
            for segment in reversed(segments):
                if segment.first_seq <= seq <= segment.last_seq:
                    return _plain(segment, seq)
        return self.manifest.find(seq)

    def segments(self) -> list[SegmentInfo]:
        """Return all segments, oldest first."""
        with self._lock:
            entries = list(self.manifest.entries())
            listed = self.manifest.tail.key if self.manifest.tail else (0, 0)  # one being replaced is in both
            plain = [
                SegmentInfo(s.name, s.first_seq, s.last_seq, s.end, closed=s is not self._open)
                for s in (*self._waiting, self._open)
                if s is not None and s.key > listed
            ]
        return [
            *(SegmentInfo(e.name, e.first_seq, e.last_seq, e.packed_size, True, e.sha256, e.previous) for e in entries),
            *plain,
        ]

    def plain_segments(self) -> list[tuple[Segment, int]]:
        """Return the segments that are not compressed, each with its durable size."""
        with self._lock:
            return [(segment, segment.end) for segment in (*self._waiting, self._open) if segment is not None]

    def hole(self, seq: int) -> tuple[int, int]:
        """Return where the hole ends in which ``seq`` lies, no segment having it, and about when it was received."""
        with self._lock:
            entries = [(e.first_seq, microseconds(e.newest_at)) for e in self.manifest.entries()]
            plain = [(s.first_seq, s.latest_us) for s in (*self._waiting, self._open) if s is not None and s.frames]
        following = [found for found in (*entries, *plain) if found[0] > seq]
        first, received_us = min(following, default=(self.last_seq + 1, microseconds(self._options.clock())))
        return first - 1, received_us

    def compact_oldest(self, pace: Pace) -> bool:
        """Compress the oldest closed segment; return whether there was one. For one thread, beside everything else.

        Raises:
            Damaged: a frame is not as it was written. The segment stays; the next call compresses what can be read.
            Stopped, OSError: as ``compact`` does; the segment stays as it is.
        """
        with self.changing:
            return self.compact_held(pace)

    def compact_held(self, pace: Pace) -> bool:
        """Do the same for whoever holds ``changing``."""
        if self._deleted or not self._waiting:
            return False
        segment, tail = self._waiting[0], self.manifest.tail
        try:
            entry = compact(segment, tail.checkpoint if tail else NONE, pace)
        except Damaged as error:
            segment.damage = segment.damage or str(error)
            raise
        self.manifest.append(msgspec.structs.replace(entry, gone=self.manifest.gone_name))
        with self._lock:
            self._waiting.remove(segment)
        put_away(segment, entry)
        return True

    def reach(self, seq: int) -> str | None:
        """Give out no number up to ``seq``: its events were refined, and the disk has lost them since.

        They become a damaged end of the open segment, and a copy of the file mends it like any other. Returns the
        segment's name; None: nothing is missing.
        """
        with self._writing:
            if self._deleted or seq <= self.last_seq:
                return None
            segment = self._open or self._new_segment()
            segment.path.touch()
            self._close_file()
            with self._lock:
                self._open = None
                segment.damage = segment.damage or f"events {self.last_seq + 1} to {seq} are not there any more"
                segment.last_seq = self.last_seq = seq
                self._waiting.append(segment)
        self._options.rotated()
        return segment.name

    def rotate(self) -> None:
        """Close the open segment now, if it has events."""
        with self._writing:
            if self._open is not None and self._open.last_seq >= self._open.first_seq:
                self._close_segment()

    def _refusal(self) -> str:
        if self._deleted:
            return f"receiving for {self.directory.name}: the pipeline is deleted"
        return f"receiving for {self.directory.name}: {self.stopped}; it is tried again every {RETRY_SECS:.0f} s"

    def _write(self, batch: Sequence[Packed]) -> list[int]:
        self._rotate_if_due()
        segment = self._open or self._new_segment()
        if self._writer is None:
            self._writer = Writer(segment.path, segment.end, self._options.disk)
        seq, durable = self.last_seq + 1, self.last_seq
        buffers: list[bytes] = []
        firsts: list[int] = []
        for packed in batch:
            firsts.append(seq)
            buffers += (header_line(packed, seq, durable), packed.block)
            seq += packed.count
        self._writer.append(buffers, segment.end)
        self._publish(segment, batch, buffers)
        return firsts

    def _publish(self, segment: Segment, batch: Sequence[Packed], buffers: list[bytes]) -> None:
        """Let readers see what has just become durable."""
        with self._lock:
            self._open = segment
            segment.opened_at = segment.opened_at or batch[0].received_at
            for place, packed in enumerate(batch):
                size = len(buffers[2 * place]) + len(packed.block)
                segment.grow(self.last_seq + 1, packed.count, size, microseconds(packed.received_at))
                self.last_seq = segment.last_seq
                if packed.checkpoint:
                    self._checkpoint = packed.checkpoint

    def _write_again(self, batch: Sequence[Packed]) -> list[int]:
        try:
            return self._write(batch)
        except OSError as error:
            self._seal()
            self.stopped = f"writing to the disk failed twice ({error.strerror or error})"
            self._try_again = self._options.monotonic() + RETRY_SECS
            raise TransientError(self._refusal(), RETRY_SECS) from error

    def _new_segment(self) -> Segment:
        """Return a segment with a name that no file has."""
        turn = 0
        while True:
            segment = Segment(self.directory, (self.last_seq + 1, turn))
            packed = segment.path.with_name(segment.name + ".zst")
            if not segment.path.exists() and not packed.exists():
                return segment
            turn += 1

    def _rotate_if_due(self) -> None:
        segment = self._open
        if segment is None or segment.opened_at is None or not segment.frames:
            return
        old = self._options.clock() - segment.opened_at >= self._options.segment_age
        has_events = segment.last_seq >= segment.first_seq
        if segment.end >= self._options.segment_bytes or (old and has_events):
            self._close_segment()

    def _close_segment(self) -> None:
        self._close_file()
        with self._lock:
            segment, self._open = self._open, None
            if segment is not None and segment.frames:
                self._waiting.append(segment)
        self._options.rotated()

    def _close_file(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close(self._open.end if self._open else 0)
            self._options.files.gone(id(self))

    def _leave_notes(self, delivered_since: Callable[[int], list[Delivered]]) -> None:
        segments = [one for one in (*self._waiting, self._open) if one and one.frames and one.damage is None]
        delivered = delivered_since(segments[0].first_seq) if segments else []
        for segment in segments:
            within = [one for one in delivered if segment.first_seq <= one.first_seq <= segment.last_seq]
            leave_rest(segment, self._checkpoint, within)

    def _seal(self) -> None:
        """End the segment where it is durable. What lies beyond was never acknowledged: recovery leaves it out."""
        empty = self._writer.path if self._writer and not (self._open and self._open.frames) else None
        with contextlib.suppress(OSError):  # the disk is failing already, and the next file's name bounds this one
            self._close_file()
            if empty is not None:
                empty.unlink()
        self._close_segment()


def _plain(segment: Segment, seq: int) -> Plain:
    path, place = segment.path, segment.index.place(seq)
    if segment.damage is None:
        return Plain(path, segment.last_seq, place, segment.end, segment.latest_us)
    end = path.stat().st_size if path.exists() else segment.end
    return Plain(path, segment.last_seq, place, end, segment.latest_us, damaged=True)
