"""Bytes held at a time, over all and for each who holds some: whoever wants more takes what others leave."""

from enum import Enum
from typing import Final, Generic, TypeVar

O = TypeVar("O")  # noqa: E741 - an owner

GREEDY_SHARE: Final = 3 / 4  # of all, up to which anybody may take what others do not use
MODEST_SHARE: Final = 7 / 8  # up to which those within their fair share may; the rest is for first deliveries


class Refusal(Enum):
    OVER_SHARE = "over share"  # the one who asks holds more than its part: 429
    SATURATED = "saturated"  # it does not, and there is nothing left: 503


class Shares(Generic[O]):
    """At most ``total`` bytes, and one delivery of any size beyond it. Not safe from several threads.

    An owner that holds nothing gets its first delivery while anything is left of ``total``: whatever others hold, they
    leave an eighth to such. A single delivery alone always fits.
    """

    def __init__(self, total: int) -> None:
        self.total = total
        self.used = 0
        self._held: dict[O, int] = {}

    def held(self, owner: O) -> int:
        return self._held.get(owner, 0)

    def take(self, owner: O, size: int) -> Refusal | None:
        """Take ``size`` bytes for ``owner`` and return None, or take nothing and return why."""
        held = self._held.get(owner, 0)
        if held:
            fair = self.total * MODEST_SHARE / (len(self._held) + 1)
            limit = MODEST_SHARE if held + size <= fair else GREEDY_SHARE
            if self.used + size > self.total * limit:
                return Refusal.OVER_SHARE if held > fair else Refusal.SATURATED
        elif self.used and self.used >= self.total:
            return Refusal.SATURATED
        self._held[owner] = held + size
        self.used += size
        return None

    def give(self, owner: O, size: int) -> None:
        """Give back ``size`` of what ``owner`` took."""
        left = self._held[owner] - size
        if left:
            self._held[owner] = left
        else:
            del self._held[owner]
        self.used -= size
