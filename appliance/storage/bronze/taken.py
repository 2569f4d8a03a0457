"""What one call of ``read`` has got so far, and what it may still take."""

from itertools import groupby
from sys import maxsize

from appliance.components.bronze import Quarantine
from appliance.domain.event import Frame
from appliance.storage.bronze.frame import LOST, NULL, Brief, Found, without_breaks
from appliance.storage.bronze.overlay import Overlay
from appliance.storage.bronze.quarantine import Places

MOST_DAMAGED = 100_000  # events of damaged frames in one answer: somebody makes a dead letter of each


class Jump(Exception):
    """The next frame does not begin where it should: what lies between cannot be read."""

    def __init__(self, following: Brief) -> None:
        self.last_seq = following.seq - 1
        self.received_us = following.received_us
        super().__init__(f"expected another event before {following.seq}")


class Taken:
    """Takes frames in order, cuts them to what is wanted, and answers as people corrected it.

    ``want``: the next sequence number. ``room``: whether more may be taken. ``segment``: where the frames come from.
    """

    def __init__(self, want: int, limits: tuple[int, int], overlay: Overlay, places: Places) -> None:
        """``limits``: most events, most bytes."""
        self.frames: list[Frame] = []
        self.want = want
        self.segment = ""
        self.room = True
        self._events = max(limits[0], 1)
        self._bytes = limits[1]
        self._damaged = MOST_DAMAGED
        self._overlay = overlay
        self._places = places
        self._withdrawn: list[int] = []
        self._special = self._next_special()

    def take(self, found: Found[Brief]) -> bool:
        """Take the frame, or its part that is wanted and fits; return whether there is room for more.

        Raises:
            Jump: there are events missing before it.
        """
        header = found.header
        if header.last_seq >= self._special or header.form != "lines":
            return self._take_special(found)
        lines = found.lines
        if header.seq != self.want or header.n > self._events or len(lines) > self._bytes:
            return self._take_part(header, lines)
        if header.n:
            self._add(header, header.n, lines)
        return self.room

    def lose(self, last_seq: int, reason: str, received_us: int) -> bool:
        """Take the events up to ``last_seq``, which cannot be read; return whether there is room for more."""
        self._places.found(Quarantine(self.segment, self.want, last_seq, reason))
        most = min(self._events, self._damaged, max(self._bytes // (len(NULL) + 1), 1))
        last = min(last_seq, self.want + most - 1)
        if self.frames and self._bytes < len(NULL):
            self.room = False
            return False
        first, answers = self.want, self._overlay.answers(self.want, last)
        if not answers:
            self._append(last - self.want + 1, received_us, [], reason)
        else:  # people said what shall be refined instead of some of them
            for answered, run in groupby(range(self.want, last + 1), lambda seq: seq in answers):
                seqs = list(run)
                lines = [answers[seq] for seq in seqs] if answered else []
                self._append(len(seqs), received_us, lines, None if answered else reason)
        self._damaged -= last + 1 - first
        self.room = self.room and last == last_seq and self._damaged > 0
        self._special = self._next_special()
        return self.room

    def _take_special(self, found: Found[Brief]) -> bool:
        """Take a frame of another form, or of which something is corrected, erased, or can be read again."""
        header = found.header
        if header.seq > self.want:
            raise Jump(header)
        if header.form == LOST:
            return header.last_seq < self.want or self.lose(header.last_seq, header.damaged or "", header.received_us)
        self._places.read(header.seq, header.last_seq)
        lines = found.lines if header.form == "lines" else without_breaks(found.lines)
        answers = self._overlay.answers(header.seq, header.last_seq)
        if answers:
            parts = lines.split(b"\n")
            for seq, answer in answers.items():
                parts[seq - header.seq] = NULL if answer is None else answer
            lines = b"\n".join(parts)
        self._withdrawn = [seq for seq, answer in answers.items() if answer is None]
        room = self._take_part(header, lines)
        self._withdrawn = []
        self._special = self._next_special()
        return room

    def _take_part(self, header: Brief, lines: bytes) -> bool:
        skip = self.want - header.seq
        if skip < 0:
            raise Jump(header)
        if skip < header.n:
            part, count = self._part(lines, skip, header.n - skip)
            if count:
                self._add(header, count, part)
            self.room = self.room and self.want == header.seq + header.n
        return self.room

    def _add(self, header: Brief, count: int, lines: bytes) -> None:
        withdrawn = tuple(seq for seq in self._withdrawn if self.want <= seq < self.want + count)
        name = header.delivery
        of = (name, header.seq if name is not None else 0)
        self.frames.append(Frame(self.want, count, header.received_us, lines, withdrawn, None, *of))
        self._spend(count, len(lines))

    def _append(self, count: int, received_us: int, lines: list[bytes | None], damaged: str | None) -> None:
        """Add a frame of ``lines``, None where they are withdrawn; without lines: a damaged one."""
        content = b"\n".join([NULL if line is None else line for line in lines] or [NULL] * count)
        withdrawn = tuple(seq for seq, line in enumerate(lines, self.want) if line is None)
        self.frames.append(Frame(self.want, count, received_us, content, withdrawn, damaged))
        self._spend(count, len(content))

    def _spend(self, count: int, size: int) -> None:
        self.want += count
        self._events -= count
        self._bytes -= size
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

    def _next_special(self) -> int:
        found = (self._overlay.next_seq(self.want), self._places.next_seq(self.want))
        return min((one for one in found if one is not None), default=maxsize)
