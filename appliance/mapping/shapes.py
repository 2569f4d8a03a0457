"""Finds events that have a top-level key twice. Which of the two counts is anybody's guess, so nobody guesses.

Comparing the keys of every event with each other would double the cost of mapping (1 µs an event). So the query only
hashes the list of keys, and the few different lists that a stream of events has are compared once. Objects further down
are not looked at: there the first of two equal keys counts.
"""

import pyarrow as pa
import pyarrow.compute as pc

from appliance.mapping.answers import SHAPE, TWICE_SHAPES
from appliance.mapping.session import Session

_MOST_REMEMBERED = 100_000


class Shapes:
    """Remembers lists of keys (as hashes) that hold no key twice; shared by all mappings and threads."""

    def __init__(self) -> None:
        self._plain: set[int] = set()

    def ambiguous(self, session: Session, frames: pa.Table, found: pa.Table) -> pa.Array:
        """Return the hashes among ``found``'s that stand for a list with a key twice; ``frames`` gave ``found``."""
        met = set(pc.unique(found.column(SHAPE)).to_pylist())
        unknown = met - self._plain
        if not unknown:
            return pa.array([], pa.uint64())
        twice = set(session.answer(TWICE_SHAPES, frames).column(SHAPE).to_pylist())
        if len(self._plain) > _MOST_REMEMBERED:
            self._plain = set()
        self._plain |= unknown - twice
        return pa.array(sorted(unknown & twice), pa.uint64())
