"""Event numbers of more than one node: a node's partition above, the number within its log below.

``seq = (partition << 44) | local``: 8 + 44 bits are less than 2^53, so that JSON and JavaScript carry them exactly.
Partition 0 is the one of an installation with a single node: there ``seq`` and ``local`` are the same.
"""

import re
from typing import Final, NewType

Partition = NewType("Partition", int)

PARTITION_BITS: Final = 8
LOCAL_BITS: Final = 44
MOST_PARTITIONS: Final = 1 << PARTITION_BITS
MOST_LOCAL: Final = (1 << LOCAL_BITS) - 1  # at a million events a second: 200 days; at 10,000: 55 years

ALONE: Final = Partition(0)

_WRITTEN: Final = re.compile(r"(?:(\d{1,3}):)?(\d{1,16})")


def partition(number: int) -> Partition:
    """Return ``number`` as a partition. Raises ValueError: it is none."""
    if not 0 <= number < MOST_PARTITIONS:
        raise ValueError(f"a partition is a number from 0 to {MOST_PARTITIONS - 1}, not {number}")
    return Partition(number)


def base_of(number: Partition) -> int:
    """Return the outward number before the first event of a partition: what ``last_seq`` says of an empty one."""
    return number << LOCAL_BITS


def partition_of(seq: int) -> Partition:
    """Return the partition that an outward number belongs to; that of 'nothing yet' (``base_of``) too.

    Raises:
        ValueError: no event can have this number.
    """
    if not 0 <= seq < MOST_PARTITIONS << LOCAL_BITS:
        raise ValueError(f"{seq} is not the number of an event")
    return Partition(seq >> LOCAL_BITS)


def local_of(seq: int) -> int:
    """Return the number within its partition; also a count of the events up to ``seq``. Raises as ``partition_of``."""
    partition_of(seq)
    return seq & MOST_LOCAL


def shifted(number: Partition, local: int) -> int:
    """Return the outward number of event ``local`` of a partition; 0: nothing yet. Raises ValueError: out of bounds."""
    if not 0 <= local <= MOST_LOCAL:
        raise ValueError(f"{local} is not a number within a partition: they go from 0 to {MOST_LOCAL}")
    return base_of(partition(number)) | local


def bounds_of(number: Partition) -> tuple[int, int]:
    """Return the first and the last outward number that an event of a partition can have."""
    return base_of(number) + 1, base_of(number) + MOST_LOCAL


def first_of(seq: int) -> int:
    """Return the number of the first event of the partition that ``seq`` belongs to. Raises as ``partition_of``."""
    return bounds_of(partition_of(seq))[0]


def up_to(last_seq: int) -> range:
    """Return the numbers of the events of a partition up to ``last_seq``; empty where that is 'nothing yet'."""
    return range(first_of(last_seq), last_seq + 1)


def spoken(seq: int) -> str:
    """Return the number of an event as people read it out and type it: ``42``; of partition 1: ``1:42``.

    Whole, it would have 14 digits, of which the partition and the number in it cannot be told. What no event can have
    stays as it is.
    """
    number, local = seq >> LOCAL_BITS, seq & MOST_LOCAL
    return f"{number}:{local}" if 0 < number < MOST_PARTITIONS else str(seq)


def understood(text: str) -> int:
    """Return the number of the event that ``text`` means: as ``spoken``, perhaps with commas; or whole, as in JSON.

    Raises:
        ValueError: it means none.
    """
    found = _WRITTEN.fullmatch(text.strip().replace(",", ""))
    number, local = (int(one or 0) for one in found.groups()) if found else (0, 0)
    if found is not None and found[1] is None:
        number, local = divmod(local, 1 << LOCAL_BITS)
    if not (0 <= number < MOST_PARTITIONS and 1 <= local <= MOST_LOCAL):
        raise ValueError(f"{text[:50]!r} is no number of an event: these are written as 42, or 1:42 in partition 1")
    return shifted(partition(number), local)
