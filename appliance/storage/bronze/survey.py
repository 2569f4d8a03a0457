"""Walking over a segment that may be damaged: frames where there are some, gaps where there are none."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from appliance.storage.bronze.frame import FULL, B, Damaged, Found, parse
from appliance.storage.bronze.segment import read_at, walk

_FRAME_START = b'\n{"seq":'


@dataclass(frozen=True)
class Gap:
    """Bytes of a segment that are not frames, up to ``end``."""

    offset: int
    end: int
    reason: str

    def __str__(self) -> str:
        return f"byte {self.offset}: {self.reason}"


def survey(path: Path, start: int, end: int, decode: Callable[[bytes], B]) -> Iterator[Found[B] | Gap]:
    """Yield the frames of a segment between the bytes ``start`` and ``end``, and the gaps between them."""
    offset = start
    while offset < end:
        try:
            for found in walk(path, offset, end, decode):
                yield found
                offset = found.offset + found.size
            return
        except Damaged as error:
            following = _next_frame(path, offset, end)
            yield Gap(offset, following or end, error.reason)
            if following is None:
                return
            offset = following


def _next_frame(path: Path, offset: int, end: int) -> int | None:
    try:
        rest = read_at(path, offset, end - offset)
    except Damaged:
        return None  # a disk that does not read the rest of a file: nothing to look for there
    at = rest.find(_FRAME_START)
    while at >= 0:
        if _is_frame(rest, at + 1):
            return offset + at + 1
        at = rest.find(_FRAME_START, at + 1)
    return None


def _is_frame(rest: bytes, at: int) -> bool:
    try:
        return parse(rest, at, at, FULL) is not None
    except Damaged:
        return False
