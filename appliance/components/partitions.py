"""Bronze of more than one node: who holds which partition, and how to go over all of them."""

from collections.abc import Iterable, Sequence
from typing import Protocol, runtime_checkable

import msgspec

from appliance.components.bronze import BronzeLog
from appliance.components.silver import Progress
from appliance.domain.ids import NodeId, PipelineId
from appliance.domain.ledger import Ledger
from appliance.domain.partition import local_of, partition_of, spoken
from appliance.errors import NotFound


class Holder(msgspec.Struct, frozen=True):
    """The node that has a partition's files. ``address``: ``http[s]://host:port``, where it answers other nodes."""

    node_id: NodeId
    name: str
    address: str
    partition: int


class Received(msgspec.Struct, frozen=True):
    """The events that one partition has of a pipeline; ``last_seq`` is ``first_seq - 1`` where there are none."""

    pipeline_id: PipelineId
    partition: int
    first_seq: int
    last_seq: int


class ReceivedBook(Protocol):
    """What every node has received, as they tell one another. Blocking; may raise TransientError."""

    def publish(self, partition: int, changed: Sequence[Received], gone: Sequence[PipelineId]) -> None:
        """Say what a partition has by now, and of which pipelines it has nothing any more."""
        ...

    def published(self) -> list[Received]:
        """Return what all have said."""
        ...


class Share(msgspec.Struct, frozen=True):
    """One partition's part of a pipeline: the last event received, as its node said last, and what is refined."""

    last_seq: int
    refined: Progress

    @property
    def ledger(self) -> Ledger:
        """Balanced, whichever of the two is the newer."""
        last = max(self.last_seq, self.refined.seq)
        return Ledger.of(local_of(last), local_of(self.refined.seq), self.refined.outcome)


class Holders(Protocol):
    """What the control plane knows of partitions. Blocking; may raise TransientError: it cannot be asked."""

    def holder(self, partition: int) -> Holder | None:
        """Return who holds a partition, also a node that is down at present; None: there never was one."""
        ...

    def holding(self, pipeline_id: PipelineId) -> list[int]:
        """Return the partitions that know the pipeline and are at a node, ascending; other nodes' are those known about
        a second ago."""
        ...

    def given(self) -> int:
        """Return how many partitions were ever given; as of about a second ago."""
        ...

    def held(self) -> list[int]:
        """Return the partitions that are at a node, ascending; as of about a second ago."""
        ...


@runtime_checkable
class Partitioned(Protocol):
    """What a BronzeLog of several partitions can be asked besides. As a BronzeLog it routes what names an event to its
    partition; everything else is about the partition of this node."""

    def partitions(self, pipeline_id: PipelineId) -> list[int]:
        """Return the partitions that hold, or will hold, events of the pipeline, ascending; blocking."""
        ...

    def of(self, partition: int) -> BronzeLog:
        """Return the log of one partition; blocking.

        Raises:
            NotFound: there is no such partition.
        """
        ...


@runtime_checkable
class Shared(Protocol):
    """What a BronzeLog among several knows of the others. Blocking; may raise TransientError."""

    @property
    def holders(self) -> Holders: ...


def several(bronze: BronzeLog) -> bool:
    """Return whether a delivery may have reached another node before: there are several, or have been; blocking."""
    return isinstance(bronze, Shared) and bronze.holders.given() > 1


def held(bronze: BronzeLog) -> tuple[int, ...]:
    """Return the partitions at nodes, whose events may still be refined; blocking."""
    return tuple(bronze.holders.held()) if isinstance(bronze, Shared) else ()


def log_with(bronze: BronzeLog, pipeline_id: PipelineId, seq: int) -> BronzeLog:
    """Return the log that has, or would have, event ``seq``: its ``last_seq`` and ``first_seq`` are of that partition.

    Raises:
        NotFound: no log can have it.
    """
    if not isinstance(bronze, Partitioned):
        return bronze
    try:
        return bronze.of(partition_of(seq))
    except ValueError as error:
        raise NotFound(f"looking for event {spoken(seq)} of {pipeline_id}: {error}") from error


def logs_of(bronze: BronzeLog, pipeline_id: PipelineId, refined: Iterable[int] = ()) -> list[BronzeLog]:
    """Return every log that has events of the pipeline, in order of their numbers; ``bronze`` where there is one.

    ``refined``: partitions that the row store has events of. A node tells a second later than it stores the first.
    """
    if isinstance(bronze, Partitioned):
        return [bronze.of(number) for number in partitions_of(bronze, pipeline_id, refined)]
    return [bronze]


def partitions_of(bronze: Partitioned, pipeline_id: PipelineId, refined: Iterable[int]) -> list[int]:
    """Return the partitions at nodes that have events of the pipeline, ascending; ``refined``: see ``logs_of``."""
    known = set(bronze.partitions(pipeline_id))
    if isinstance(bronze, Shared):
        known |= set(refined) & set(bronze.holders.held())
    return sorted(known)


def others_of(bronze: BronzeLog, pipeline_id: PipelineId) -> list[BronzeLog]:
    """Return the logs of other nodes that know the pipeline; blocking."""
    if not isinstance(bronze, Partitioned):
        return []
    own = partition_of(bronze.last_seq(pipeline_id))
    return [bronze.of(number) for number in bronze.partitions(pipeline_id) if number != own]
