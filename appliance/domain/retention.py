"""How long what is kept, and what of it may go now: pure decisions."""

from datetime import timedelta
from typing import Final

import msgspec

from appliance.domain.partition import base_of, partition_of
from appliance.domain.pipeline import Retention
from appliance.domain.quantity import parse_duration, parse_size

FOREVER: Final = "forever"  # what a pipeline says that does not want the organisation's default
LEAST_TO_COMPACT: Final = 64 << 20  # free blocks; a file with fewer is not worth writing anew
LEAST_PRESSING: Final = 4 << 20  # and on a disk that is nearly full
PRESSING_SHARE: Final = 0.1
PATIENCE: Final = timedelta(days=1)  # how long compaction waits for a quiet moment


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """None: for ever, without bound."""

    bronze_age: timedelta | None = None
    bronze_bytes: int | None = None
    silver_age: timedelta | None = None


class Readers(msgspec.Struct, frozen=True, kw_only=True):
    """Who still reads a pipeline's events or rows, and up to which event each has.

    ``refined``: the live generation. ``others``: generations beside it, shadows of a replay and the former one that may
    come back. ``waiting``: the first event of each replay that has not begun. ``downstream``: pipelines that read rows.
    """

    refined: int
    others: tuple[int, ...] = ()
    waiting: tuple[int, ...] = ()
    downstream: tuple[int, ...] = ()


def bounds(pipeline: Retention, organisation: Retention) -> Bounds:
    """Return what counts for a pipeline: what it says itself, else what its organisation says.

    Raises:
        ValueError: a text is no duration or size; what was saved is.
    """
    bronze, silver = pipeline.bronze or organisation.bronze, pipeline.silver or organisation.silver
    size = pipeline.bronze_size or organisation.bronze_size
    return Bounds(
        bronze_age=None if _unbounded(bronze) else parse_duration(str(bronze)),
        bronze_bytes=None if _unbounded(size) else parse_size(str(size)),
        silver_age=None if _unbounded(silver) else parse_duration(str(silver)),
    )


def expirable_up_to(readers: Readers) -> int:
    """Return the last event that may go from Bronze: everybody has read it, and no replay is going to."""
    begins = (first - 1 for first in readers.waiting)
    return _within(readers.refined, min((readers.refined, *readers.others, *begins, *readers.downstream)))


def trimmable_up_to(readers: Readers) -> int:
    """Return the last event whose rows may go from Silver: whoever reads rows has read them."""
    return _within(readers.refined, min((readers.refined, *readers.downstream)))


def worth_compacting(file_bytes: int, free_bytes: int, above: float, *, pressing: bool) -> bool:
    """Return whether a file has so many free blocks that it should be written anew.

    ``above``: the share from which it is worth it. ``pressing``: the disk is nearly full, and less is worth it.
    """
    if pressing:
        return free_bytes >= max(LEAST_PRESSING, PRESSING_SHARE * file_bytes)
    return free_bytes >= max(LEAST_TO_COMPACT, above * file_bytes)


def compacted_now(waited: timedelta, *, quiet: bool, pressing: bool) -> bool:
    """Return whether what is worth it is done at this moment, having waited so long for a quiet one."""
    return quiet or pressing or waited >= PATIENCE


def _within(refined: int, last: int) -> int:
    """Return ``last``, but not less than 'nothing' in the partition of ``refined``."""
    return max(base_of(partition_of(refined)), last)


def _unbounded(text: str | None) -> bool:
    return text is None or text.strip().lower() == FOREVER
