"""Read ahead: pieces of Bronze read and mapped in threads before they are wanted, in order, bounded in bytes."""

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Final, NamedTuple

import pyarrow as pa
from msgspec.structs import replace

from appliance.components.mapper import Mapped
from appliance.components.partitions import several
from appliance.components.silver import Batch
from appliance.domain.event import Frame
from appliance.domain.ledger import Outcome
from appliance.engine.batches import DAY_US, Course, batch_of, one_day
from appliance.engine.deliveries import claims_of, joined
from appliance.engine.refine import Means

PIECE_BYTES: Final = 8 << 20  # of lines: what one thread reads and maps at a time
PIECE_BYTES_BESIDE: Final = 2 << 20  # beside live traffic, one piece after another
PIECE_EVENTS: Final = 50_000
LEAST_PIECE_BYTES: Final = 64 << 10
AHEAD_BYTES: Final = 96 << 20  # lines and rows in memory at a time
AHEAD_PIECES: Final = 6
COMMIT_BYTES: Final = 48 << 20
COMMIT_ROWS: Final = 125_000  # of one transaction: from 122,880 on they go straight into the file, not through its log


class Lost(Exception):
    """The shadow cannot be gone on with: it is there no more, or Bronze no longer has what comes next."""


class Taken(NamedTuple):
    """A mapped piece: events of one day, in order."""

    mapped: Mapped
    received_us: int
    claims: pa.Table | None


@dataclass(slots=True)
class Pace:
    """What is learned of a pipeline's events: how much to read at once, and bytes of rows for a byte of lines."""

    piece_bytes: int = PIECE_BYTES
    growth: float = 1.0

    def shrink(self, divisor: int) -> None:
        self.piece_bytes = max(LEAST_PIECE_BYTES, self.piece_bytes // divisor)


@dataclass(frozen=True, slots=True)
class _Piece:
    frames: list[Frame]
    bytes: int
    mapped: "asyncio.Task[tuple[Mapped, pa.Table | None]]"


class ReadAhead:
    """The events after the first and up to the second of ``span``. ``close`` when done with it."""

    def __init__(self, course: Course, means: Means, pace: Pace, span: tuple[int, int]) -> None:
        self._course, self._means, self._pace = course, means, pace
        self._read_to, self._last_seq = span
        self._pieces: deque[_Piece] = deque()

    async def next(self, *, beside: bool) -> Taken | None:
        """Return the piece that follows, None at the end; ``beside``: read no further than that for now.

        Raises:
            Lost: it has expired.
        """
        await self._fill(beside)
        if not self._pieces:
            return None
        piece = self._pieces.popleft()
        mapped, claims = await piece.mapped
        self._pace.growth = max(0.1, mapped.rows.nbytes / max(1, piece.bytes))
        if mapped.last_seq < piece.frames[-1].last_seq:  # the mapper stopped early: the rest of it comes next
            self._pace.shrink(2)
            await self.close()
            self._read_to = mapped.last_seq
        return Taken(mapped, piece.frames[0].received_us, claims)

    async def close(self) -> None:
        """Let what runs ahead come to its end, unused."""
        await asyncio.gather(*(piece.mapped for piece in self._pieces), return_exceptions=True)
        self._pieces.clear()

    async def _fill(self, beside: bool) -> None:
        while self._read_to < self._last_seq and self._room(beside):
            frames = await self._means.workers.run("rebuild", self._read, beside)
            while frames:
                today = one_day(frames)
                frames = frames[len(today) :]
                task = asyncio.create_task(self._means.workers.run("replay", self._map, today))
                self._pieces.append(_Piece(today, sum(len(frame.lines) for frame in today), task))
            self._read_to = self._pieces[-1].frames[-1].last_seq

    def _room(self, beside: bool) -> bool:
        if not self._pieces or beside:
            return not self._pieces
        held = sum(piece.bytes for piece in self._pieces) * (1 + self._pace.growth)
        return len(self._pieces) < AHEAD_PIECES and held < AHEAD_BYTES

    def _read(self, beside: bool) -> list[Frame]:
        self._means.room()
        wanted = min(PIECE_EVENTS, self._last_seq - self._read_to)
        most = min(self._pace.piece_bytes, PIECE_BYTES_BESIDE) if beside else self._pace.piece_bytes
        frames = self._means.bronze.read(self._course.pipeline_id, self._read_to, wanted, most)
        if not frames or frames[0].first_seq != self._read_to + 1:
            raise Lost(f"event {self._read_to + 1} of {self._course.pipeline_id} has expired from Bronze")
        return frames

    def _map(self, frames: list[Frame]) -> tuple[Mapped, pa.Table | None]:
        mapped = self._means.mapper.run(self._course.compiled, frames, self._course.version)
        shared = several(self._means.bronze)
        return mapped, claims_of(self._course.pipeline_id, frames, mapped.last_seq) if shared else None


class Pile:
    """Mapped pieces of one day on their way into one transaction."""

    def __init__(self, course: Course) -> None:
        self._course = course
        self._parts: list[Taken] = []

    def __bool__(self) -> bool:
        return bool(self._parts)

    def takes(self, taken: Taken) -> bool:
        """Return whether ``taken`` goes into the same transaction."""
        if not self._parts:
            return True
        rows = sum(part.mapped.rows.num_rows for part in self._parts)
        size = sum(part.mapped.rows.nbytes for part in self._parts)
        same_day = taken.received_us // DAY_US == self._parts[0].received_us // DAY_US
        return same_day and taken.mapped.stopped is None and rows < COMMIT_ROWS and size < COMMIT_BYTES

    def add(self, taken: Taken) -> None:
        self._parts.append(taken)

    def batch(self) -> Batch:
        """Return what there is as one batch, and begin anew. Raises FatalError: an event drifts from a frozen mapping.

        The pile must not be empty.
        """
        parts, self._parts = self._parts, []
        batch = batch_of(self._course, _joined([part.mapped for part in parts]), parts[0].received_us)
        return replace(batch, claims=joined([part.claims for part in parts]))


def _joined(parts: list[Mapped]) -> Mapped:
    if len(parts) == 1:
        return parts[0]
    return Mapped(
        pa.concat_tables([part.rows for part in parts]),
        pa.concat_tables([part.dead for part in parts]),
        sum((part.outcome for part in parts), Outcome()),
        parts[0].first_seq,
        parts[-1].last_seq,
    )
