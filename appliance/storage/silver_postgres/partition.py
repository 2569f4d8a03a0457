"""Partitions of a pipeline's events: one for each node that receives, told from an event's number."""

from typing import Final

from appliance.errors import Conflict

_BITS: Final = 44  # of a number are the event's place in its partition; the bits above name the partition
FIRST: Final = 0  # the only one as long as one node receives


def of(seq: int) -> int:
    """Return the partition that an event is in."""
    return seq >> _BITS


def before(partition: int) -> int:
    """Return the number before the first event's: where progress begins."""
    return partition << _BITS


def last(partition: int) -> int:
    """Return the greatest number there can be in a partition."""
    return before(partition + 1) - 1


def of_both(first_seq: int, last_seq: int) -> int:
    """Return the partition that a stretch of events is in. Raises Conflict: its ends are in two."""
    if of(first_seq) != of(last_seq):
        raise Conflict(f"Events {first_seq} to {last_seq} are of two partitions; take those of one.")
    return of(first_seq)
