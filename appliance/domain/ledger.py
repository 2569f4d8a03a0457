"""The ledger: where every received event of a pipeline went."""

import msgspec
from msgspec.structs import astuple


class Outcome(msgspec.Struct, frozen=True):
    """Counts of events, cumulative, of one pipeline. Each event is counted in exactly one of them.

    An event of which one item is dead is ``dead``, even where its other items were stored; otherwise ``stored`` if it
    has at least one live row, ``duplicate`` if all its rows were superseded by a later row with the same key, and
    ``filtered`` if ``where`` (or an empty ``explode``) left it without rows.
    """

    stored: int = 0
    filtered: int = 0
    duplicate: int = 0
    dead: int = 0

    @property
    def total(self) -> int:
        return self.stored + self.filtered + self.duplicate + self.dead

    def __add__(self, other: "Outcome") -> "Outcome":
        return Outcome(
            self.stored + other.stored,
            self.filtered + other.filtered,
            self.duplicate + other.duplicate,
            self.dead + other.dead,
        )


class Ledger(msgspec.Struct, frozen=True):
    """received = stored + filtered + duplicate + dead + pending, in events."""

    received: int
    stored: int
    filtered: int
    duplicate: int
    dead: int
    pending: int

    @classmethod
    def of(cls, received: int, refined: int, outcome: Outcome) -> "Ledger":
        """``received``: events durable in Bronze; ``refined``: those up to the checkpoint, which have an outcome."""
        return cls(
            received, outcome.stored, outcome.filtered, outcome.duplicate, outcome.dead, pending=received - refined
        )

    def __add__(self, other: "Ledger") -> "Ledger":
        return Ledger(*(one + two for one, two in zip(astuple(self), astuple(other), strict=True)))

    @property
    def balanced(self) -> bool:
        """Return whether every received event is accounted for exactly once."""
        return self.received == self.stored + self.filtered + self.duplicate + self.dead + self.pending
