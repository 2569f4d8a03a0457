"""What a splice is of: two generations, and the stretch of events that they exchange."""

from collections.abc import Mapping
from typing import NamedTuple

from appliance.storage.sql.source import Stored


class Pair(NamedTuple):
    """The numbers of two generations."""

    live: int
    other: int


class Aligned(NamedTuple):
    """Events ``first`` to ``last``; ``stored``: the columns of each generation, logically the same by now."""

    first: int
    last: int
    stored: Mapping[int, Stored]

    @property
    def bounds(self) -> dict[str, int]:
        return {"first": self.first, "last": self.last}
