"""How wide new chunks are: as wide as they were asked for, unless there would be too many of them.

Every chunk is a handful of tables and indexes: a query without a condition on time locks all of them, and so does
whoever drops the table; the server's lock table has room for a few thousand. TimescaleDB has no partition for the
rest. But a new chunk never reaches into one that is there, however wide it is made. So a clock that is wrong, or a
replay of years with an event a day, makes a few wide chunks; and rows that are kept for ever get wider ones with the
years, each of which ends one day and can be put into columns or dropped like any other.
"""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from appliance.components.chunks import MOST_CHUNKS

MOST: Final = MOST_CHUNKS
AT_ONCE: Final = 32  # new ones in one transaction
_DOUBLES: Final = 50  # beyond, with so many chunks more
_LONGEST: Final = timedelta(days=365_250) // timedelta(microseconds=1)
_US: Final = timedelta(microseconds=1)


def microseconds(width: timedelta) -> int:
    """Return a width as TimescaleDB keeps it."""
    return width // _US


def slots_of(times: pa.ChunkedArray, width_us: int) -> list[int]:
    """Return the numbers of the chunks that instants fall in, ascending; number 0 starts at 1970-01-01 UTC."""
    if not len(times):
        return []
    instants = times.cast(pa.int64())
    bounds = pc.min_max(instants).as_py()
    if bounds["min"] // width_us == bounds["max"] // width_us:
        return [bounds["min"] // width_us]
    # towards zero, so that before 1970 two may become one: only their number matters there
    return sorted(pc.unique(pc.divide(instants, width_us)).to_pylist())


def width_for(missing: Sequence[int], there: int, width_us: int) -> int:
    """Return how wide chunks have to be made for rows of the chunks ``missing``, where there are so many already."""
    beyond = there + len(missing) - MOST
    times = 1 if beyond <= 0 else 1 << min(2 + beyond // _DOUBLES, _LONGEST.bit_length())
    while times * width_us < _LONGEST and _number(missing, times) > AT_ONCE:
        times *= 2
    return min(times * width_us, max(_LONGEST, width_us))


def _number(slots: Iterable[int], times: int) -> int:
    """Return in how many chunks so many times as wide they are."""
    return len({slot // times for slot in slots})
