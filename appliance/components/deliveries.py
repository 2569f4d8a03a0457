"""The contract of deliveries that may come again, to another node: which of them are stored (decision 0030)."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, Protocol

import msgspec
import pyarrow as pa

from appliance.components.arrow import INSTANT
from appliance.domain.ids import PipelineId

REMEMBERED: Final = timedelta(hours=24)  # how long a delivery is known by its id, as Bronze does
CLAIM_SCHEMA: Final = pa.schema(
    [
        ("id", pa.binary(16)), ("seq", pa.int64()), ("first_seq", pa.int64()), ("last_seq", pa.int64()),
        ("received_at", INSTANT),
    ]
)  # fmt: skip
"""Deliveries with an id, one a line. ``id``: stands for it and the pipeline; ``seq``: the first event of the delivery;
``first_seq`` to ``last_seq``: those of its events that are meant, the others are in other batches."""


class Settled(msgspec.Struct, frozen=True):
    """What a node says of its partition of a pipeline, from time to time.

    ``up_to``: every event that it received before is refined. ``first_seq``: the oldest event that Bronze still has.
    ``held``: the partitions at nodes, whose events may still be refined.
    """

    up_to: datetime
    first_seq: int
    held: Sequence[int]


class Deliveries(Protocol):
    """Whose event a delivery is that several nodes received. Blocking; errors as ``SilverStore``."""

    def repeated(self, pipeline_id: PipelineId, first_seq: int, last_seq: int) -> list[tuple[int, int]]:
        """Return the stretches of events, within the two, of deliveries that are stored as other events; ascending."""
        ...

    def claim(self, pipeline_id: PipelineId, claims: pa.Table) -> None:
        """Claim deliveries for events that are stored already, as ``CLAIM_SCHEMA``; what is claimed stays as it is."""
        ...

    def settle(self, pipeline_id: PipelineId, settled: Settled) -> None:
        """Note up to where this node's events of a pipeline are decided, and with it up to where all nodes' are.

        A claim is needed until every partition of ``held`` has refined what it received up to ``REMEMBERED`` later; one
        that has not said so for two weeks is not waited for.
        """
        ...

    def forget(self) -> int:
        """Forget the claims of all pipelines that nobody can ask for any more; return how many those were."""
        ...


class Alone:
    """The ``Deliveries`` of a store that one node writes: Bronze knows each delivery that came to it before."""

    def repeated(self, pipeline_id: PipelineId, first_seq: int, last_seq: int) -> list[tuple[int, int]]:
        return []

    def claim(self, pipeline_id: PipelineId, claims: pa.Table) -> None:
        return None

    def settle(self, pipeline_id: PipelineId, settled: Settled) -> None:
        return None

    def forget(self) -> int:
        return 0


_: type[Deliveries] = Alone
