"""Work on many events, taken apart by where they are."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from appliance.domain.ids import PipelineId
from appliance.domain.partition import Partition, partition_of, spoken
from appliance.errors import NotFound

T = TypeVar("T")


def by_partition(
    pipeline_id: PipelineId, items: Sequence[T], seq_of: Callable[[T], int], doing: str
) -> list[list[T]]:  # fmt: skip
    """Return ``items`` in groups of one partition, in order of partitions; within a group as they came.

    Raises:
        NotFound: one of them has a number that no event can have.
    """
    groups: dict[Partition, list[T]] = {}
    for item in items:
        try:
            groups.setdefault(partition_of(seq_of(item)), []).append(item)
        except ValueError as error:
            raise NotFound(f"{doing} event {spoken(seq_of(item))} of {pipeline_id}: {error}") from error
    return [groups[number] for number in sorted(groups)]
