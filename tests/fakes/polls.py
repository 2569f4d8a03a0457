"""A PollBook in memory, for any number of partitions, held to the contract suite like the real one."""

from collections.abc import Callable

from msgspec.structs import replace

from appliance.components.nodes import Lease
from appliance.components.polls import UNCLAIMED, Claim, PollBook, Polled, Standing
from appliance.domain.ids import PipelineId
from appliance.domain.partition import Partition, base_of
from appliance.errors import Conflict, TransientError


class MemoryPolls:
    """What all nodes share, of one pipeline. ``held``: whether a lease is held. ``refined``: up to where, of one."""

    def __init__(self, held: Callable[[Lease], bool], refined: Callable[[Partition], int]) -> None:
        self.held, self.refined = held, refined
        self.line: tuple[int, int, str | None] | None = None  # holder, tenure, checkpoint
        self.accepted: dict[int, int] = {}

    def of(self, partition: Partition) -> "PartitionPolls":
        return PartitionPolls(self, partition)

    def advance(self, partition: int, polled: Polled) -> None:
        """Take note of a commit, or raise Conflict and change nothing."""
        tenure = UNCLAIMED if self.line is None else self.line[1]
        if polled.tenure != tenure or (self.line is not None and self.line[0] != partition):
            raise Conflict("this tenure has ended")
        if self.line is not None:
            self.line = (*self.line[:2], polled.checkpoint or self.line[2])
        self.accept(partition, polled.through)

    def accept(self, partition: int, seq: int) -> None:
        self.accepted[partition] = max(self.accepted.get(partition, 0), seq)


class PartitionPolls:
    """The book as the node of one partition has it."""

    def __init__(self, shared: MemoryPolls, partition: Partition) -> None:
        self._shared, self._partition = shared, partition

    def standing(self, pipeline_id: PipelineId) -> Standing:
        shared, own = self._shared, self._partition
        shared.accept(own, max(base_of(own), shared.refined(own)))
        holder, tenure, checkpoint = shared.line or (None, UNCLAIMED, None)
        return Standing(holder, tenure, checkpoint, shared.accepted[own])

    def claim(self, pipeline_id: PipelineId, before: Standing, claim: Claim) -> Standing:
        if not self._shared.held(claim.lease):
            raise TransientError("the lease is held no more")
        if self.standing(pipeline_id) != before:
            raise Conflict("something moved: ask again")
        checkpoint = claim.checkpoint if before.holder is None else before.checkpoint
        self._shared.line = (self._partition, before.tenure + 1, checkpoint)
        return replace(before, holder=self._partition, tenure=before.tenure + 1, checkpoint=checkpoint)

    def accept(self, pipeline_id: PipelineId, seq: int) -> None:
        self._shared.accept(self._partition, seq)

    def note(self, pipeline_id: PipelineId, tenure: int, checkpoint: str) -> None:
        line = self._shared.line
        if line is None or line[:2] != (self._partition, tenure):
            raise Conflict("this tenure has ended")
        self._shared.line = (*line[:2], checkpoint)


_: type[PollBook] = PartitionPolls
