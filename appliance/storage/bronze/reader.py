"""Reading a pipeline's log across open, closed and compressed segments, while all three change and some are damaged."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Generic

import msgspec

from appliance.components.bronze import Quarantine
from appliance.components.polls import PageEnd
from appliance.domain.event import Frame, StoredEvent
from appliance.domain.ids import PipelineId
from appliance.errors import NotFound, TransientError
from appliance.storage.bronze.blockstore import Blockstore
from appliance.storage.bronze.corrections import Corrections
from appliance.storage.bronze.frame import (
    BRIEF,
    FULL,
    LOST,
    NONE,
    B,
    Damaged,
    Found,
    Header,
    Unread,
    literal_bytes,
    microseconds,
)
from appliance.storage.bronze.manifest_lines import Entry
from appliance.storage.bronze.overlay import Overlay
from appliance.storage.bronze.pipeline_log import PipelineLog, Plain
from appliance.storage.bronze.quarantine import Places
from appliance.storage.bronze.segment import frames_in, read_at
from appliance.storage.bronze.sidecar import Blocks
from appliance.storage.bronze.survey import Gap, survey
from appliance.storage.bronze.taken import Jump, Taken

_ATTEMPTS = 3  # a segment is replaced by its compressed form once, and seldom by another one: more is a missing file
_RETRY_SECS = 5.0


class _Source(msgspec.Struct, Generic[B], frozen=True):
    """Where the wanted events should be. ``line``: of the first piece. ``received_us``: about."""

    name: str
    last_seq: int
    received_us: int
    line: int
    pieces: Iterator[Found[B] | Gap | Damaged]


class Reader:
    """Reads one pipeline's log."""

    def __init__(
        self, log: PipelineLog, blocks: Blockstore, corrections: Corrections | None = None, places: Places | None = None
    ) -> None:
        self._log = log
        self._blocks = blocks
        self._places = Places(log.directory) if places is None else places
        self._overlay = Overlay(log.manifest, Corrections(log.directory) if corrections is None else corrections)

    def read(self, after_seq: int, max_events: int, max_bytes: int) -> list[Frame]:
        """Return durable frames as ``BronzeLog.read`` promises."""
        taken = Taken(after_seq + 1, (max_events, max_bytes), self._overlay, self._places)
        attempt = 0
        try:
            while taken.room and taken.want <= self._log.last_seq:
                before = taken.want
                self._fill(taken, attempt)
                attempt = 0 if taken.want > before else attempt + 1
        except TransientError:  # of what is elsewhere: what was read before it is an answer
            if not taken.frames:
                raise
        except OSError as error:
            told = f"reading event {taken.want} of {self._log.directory.name} in {taken.segment}: {error}"
            raise TransientError(told, _RETRY_SECS) from error
        return taken.frames

    def event(self, pipeline_id: PipelineId, seq: int) -> StoredEvent:
        """Return one event as ``BronzeLog.event`` promises."""
        looking = f"looking for event {seq} of {pipeline_id}"
        self._check(seq, looking)
        attempt = 0
        while True:
            segment, missing = "", False
            try:
                with self._source(seq, FULL) as source:
                    segment = source.name
                    return self._find(pipeline_id, seq, source)
            except FileNotFoundError:
                reason, missing = "the file is missing", True
            except Damaged as error:
                reason = str(error)
            except OSError as error:
                raise TransientError(f"{looking}: {error}", _RETRY_SECS) from error
            if not self._again(seq, attempt, missing):
                self._check(seq, looking)  # it may have expired meanwhile
                self._places.found(Quarantine(segment, seq, seq, reason))
                raise NotFound(f"{looking}: it stands in quarantine: {segment} is damaged ({reason})")
            attempt += 1

    def page(self, seq: int) -> PageEnd | None:
        """Return the delivery of an event as ``PageLog.page`` promises."""
        attempt = 0
        while True:
            try:
                return self._page(seq, lost=attempt >= _ATTEMPTS)
            except FileNotFoundError:  # compressed meanwhile, or expired; or lost
                attempt += 1
            except OSError as error:
                told = f"looking for the page of event {seq} of {self._log.directory.name}: {error}"
                raise TransientError(told, _RETRY_SECS) from error

    def readable(self, place: Quarantine) -> bool:
        """Return whether all events of ``place`` can be read by now, or are not there any more."""
        want = max(place.first_seq, self._log.first_seq)
        while want <= place.last_seq:
            frames = self.read(want - 1, place.last_seq - want + 1, 1 << 22)
            if not frames or any(frame.damaged for frame in frames):
                return False
            want = frames[-1].last_seq + 1
        return True

    def _page(self, seq: int, *, lost: bool) -> PageEnd | None:
        """``lost``: no segment of it can be read; what is known without stands."""
        last_seq, newest = self._log.end
        held = self._log.first_seq <= seq <= last_seq and not lost
        own = self._header(seq) if held else None
        if own is None and seq != last_seq and (seq or lost):
            return None
        end = seq if own is None else own.last_seq
        checkpoint = newest if end == last_seq else self._moved_after(end)
        if own is not None and not checkpoint:
            checkpoint = own.checkpoint
        told = bytes(checkpoint).decode() if checkpoint else None
        return PageEnd(end, told, bool(seq) if own is None else bool(own.checkpoint))

    def _header(self, seq: int) -> Header | None:
        """Return the header of the delivery that ``seq`` is in; None: it cannot be read."""
        for header in self._headers(seq):
            if header.seq <= seq <= header.last_seq:
                return None if header.form == LOST else header
        return None

    def _moved_after(self, end: int) -> msgspec.Raw:
        """Return the checkpoint of the last delivery without events between event ``end`` and the next one.

        It may lie at the end of a segment, or at the beginning of the following.
        """
        found = NONE
        for start in (end, end + 1) if end else (1,):
            for header in self._headers(start):
                if header.seq == end + 1 and not header.n:
                    found = header.checkpoint or found
                elif header.seq > end:
                    break
        return found

    def _headers(self, seq: int) -> Iterator[Header]:
        """Yield the headers that can be read, from a place at or before ``seq`` to the end of its segment."""
        with self._source(seq, FULL) as source:
            for piece in source.pieces:
                if isinstance(piece, Found):
                    yield piece.header

    def _fill(self, taken: Taken, attempt: int) -> None:
        """Take what one segment has, or what it has up to a damaged place, or that place."""
        first_seq = self._log.first_seq
        if taken.want < first_seq:  # what is between has expired; an answer has no gaps
            taken.room = not taken.frames
            taken.want = first_seq if taken.room else taken.want
            return
        reason, missing = "it is missing", False
        with self._source(taken.want, BRIEF) as source:
            taken.segment, end = source.name, source.last_seq
            try:
                for piece in source.pieces:
                    if not isinstance(piece, Found):
                        reason = str(piece)
                    elif not taken.take(piece):
                        return
            except Jump as jump:
                end = min(jump.last_seq, end)
            except FileNotFoundError:
                missing, reason = True, "the file is missing"
        if taken.want > end or self._again(taken.want, attempt, missing) or taken.want < self._log.first_seq:
            return
        taken.lose(end, reason, source.received_us)

    def _again(self, seq: int, attempt: int, missing: bool) -> bool:
        """Return whether it is worth another look.

        A file that is missing may have been compressed or have expired meanwhile; the index of a compressed one may
        not fit, or be that of a file that was replaced.
        """
        if missing:
            return attempt < _ATTEMPTS
        where = self._log.locate(seq)
        if where is None or isinstance(where, Plain):
            return False
        path = self._log.directory / where.name
        try:
            with self._log.shelf.lend(where):
                if self._blocks.rebuild(path):
                    return True
        except FileNotFoundError:
            return attempt < _ATTEMPTS
        except Unread:
            return False
        except Damaged:
            return False  # the copy elsewhere
        if self._log.shelf.renew(where):
            self._blocks.forget(path)
            return True
        return False

    def _check(self, seq: int, looking: str) -> None:
        first, last = self._log.first_seq, self._log.last_seq
        if not 1 <= seq <= last:
            raise NotFound(f"{looking}: there are events 1 to {last}")
        if seq < first:
            raise NotFound(f"{looking}: it has expired; the oldest event still held is {first}")
        if self._log.manifest.erased(seq, seq):
            raise NotFound(f"{looking}: it was erased")

    def _find(self, pipeline_id: PipelineId, seq: int, source: _Source[Header]) -> StoredEvent:
        line, reason = source.line, Damaged(0, "it is missing")
        for found in source.pieces:
            if isinstance(found, Gap | Damaged):
                reason = Damaged(found.offset, found.reason)
                line += self._lines_in(found, source.name)
                continue
            header = found.header
            if header.seq <= seq <= header.last_seq and header.form == LOST:
                raise Damaged(found.offset, header.damaged or "")
            if header.seq <= seq <= header.last_seq:
                if self._places:
                    self._places.read(header.seq, header.last_seq)
                nth = seq - header.seq
                if nth in header.erased:
                    raise NotFound(f"looking for event {seq} of {pipeline_id}: it was erased")
                place = (source.name, line + 1 + nth)
                return StoredEvent(pipeline_id, seq, header.envelope(), _payload(found, nth), *place)
            line += 1 + header.n
        raise reason

    def _lines_in(self, gap: Gap | Damaged, name: str) -> int:
        if isinstance(gap, Damaged):
            return 0  # a block that does not decompress: the next one has an index entry of its own
        return read_at(self._log.directory / name, gap.offset, gap.end - gap.offset).count(b"\n")

    @contextmanager
    def _source(self, seq: int, decode: Callable[[bytes], B]) -> Iterator[_Source[B]]:
        """Give where ``seq`` should be, from a place at or before it to the end of its segment."""
        where = self._log.locate(seq)
        if not isinstance(where, Entry):
            yield self._plain(where, seq, decode)
            return
        with ExitStack() as stack:
            try:
                stack.enter_context(self._log.shelf.lend(where))
            except Damaged as error:
                yield _Source(where.name, where.last_seq, microseconds(where.newest_at), 1, iter([error]))
                return
            yield self._packed(where, seq, decode)

    def _plain(self, where: Plain | None, seq: int, decode: Callable[[bytes], B]) -> _Source[B]:
        if where is None:
            last_seq, received_us = self._log.hole(seq)
            return _Source("manifest.jsonl", last_seq, received_us, 1, iter([Damaged(0, "no segment holds it")]))
        walk = survey(where.path, where.place.offset, where.end, decode)
        walk = _up_to(where.last_seq, walk) if where.damaged else walk
        return _Source(where.path.name, where.last_seq, where.received_us, where.place.line, walk)

    def _packed(self, where: Entry, seq: int, decode: Callable[[bytes], B]) -> _Source[B]:
        received_us = microseconds(where.newest_at)
        try:
            index = self._blocks.index(self._log.directory / where.name)
        except FileNotFoundError:
            return _Source(where.name, where.last_seq, received_us, 1, _missing(where.name))
        except Unread as error:
            return _Source(where.name, where.last_seq, received_us, 1, iter([error]))
        first = index.at_or_before(seq)
        line = index.blocks[first].line if index.blocks else 1
        pieces = self._unpacked(where.name, index, first, decode)
        return _Source(where.name, where.last_seq, received_us, line, pieces)

    def _unpacked(
        self, name: str, index: Blocks, first: int, decode: Callable[[bytes], B]
    ) -> Iterator[Found[B] | Damaged]:
        path = self._log.directory / name
        if index.missing is not None:
            yield index.missing
        for block in index.blocks[first:]:
            try:
                yield from frames_in(self._blocks.block(path, block), block.offset, decode)
            except Damaged as error:
                yield error


def _up_to(last_seq: int, pieces: Iterator[Found[B] | Gap]) -> Iterator[Found[B] | Gap]:
    """Leave out what was written, never acknowledged, and then written again to the next segment."""
    return (piece for piece in pieces if isinstance(piece, Gap) or piece.header.last_seq <= last_seq)


def _missing(name: str) -> Iterator[Found[Any]]:
    yield from ()
    raise FileNotFoundError(name)


def _payload(found: Found[Header], nth: int) -> bytes:
    line = found.lines.split(b"\n", nth + 1)[nth]
    return line if found.header.form == "lines" else literal_bytes(line)
