"""A mapping tried on events: nothing is stored, and memory stays bounded whatever the mapping makes of them."""

from collections.abc import Sequence
from typing import Final

import pyarrow as pa

from appliance.components.mapper import Mapped, Mapper
from appliance.domain.event import Frame
from appliance.domain.ledger import Outcome
from appliance.domain.mapping import Mapping
from appliance.engine.batches import after

MOST_ROW_BYTES: Final = 128 << 20
PIECE_FRAMES_BYTES: Final = 16 << 20


def trial(mapper: Mapper, mapping: Mapping, frames: Sequence[Frame]) -> Mapped:
    """Return what ``mapping`` makes of ``frames`` (consecutive, not empty), or of their beginning; blocking.

    ``last_seq`` of the answer says how far it goes: rows beyond 128 MiB are not made.

    Raises:
        Invalid: the mapping does not compile.
    """
    compiled = mapper.compile(mapping)
    parts: list[Mapped] = []
    left = list(frames)
    while left:
        part = mapper.run(compiled, left[: _piece(left)])
        parts.append(part)
        if part.stopped is not None or sum(one.rows.nbytes for one in parts) > MOST_ROW_BYTES:
            break
        left = after(left, part.last_seq)
    return joined(parts)


def joined(parts: Sequence[Mapped]) -> Mapped:
    """Return consecutive parts as one."""
    return Mapped(
        pa.concat_tables([part.rows for part in parts]),
        pa.concat_tables([part.dead for part in parts]),
        sum((part.outcome for part in parts), Outcome()),
        parts[0].first_seq,
        parts[-1].last_seq,
        parts[-1].stopped,
    )


def _piece(frames: Sequence[Frame]) -> int:
    """Return how many of ``frames`` are mapped at a time."""
    size = 0
    for count, frame in enumerate(frames):
        size += len(frame.lines)
        if size > PIECE_FRAMES_BYTES:
            return max(1, count)
    return len(frames)
