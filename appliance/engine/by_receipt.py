"""By receipt: in which order a replay takes the events of several nodes where that matters, for rows with keys.

Of rows with the same key the one stored last stays. Live, that is nearly the order of receipt, whichever node received
an event; one partition after the other would leave the last row of the last partition.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from appliance.components.bronze import BronzeLog
from appliance.components.partitions import log_with
from appliance.domain.ids import PipelineId
from appliance.engine.read_ahead import Lost
from appliance.engine.workers import Workers

MOST_TURNS: Final = 20_000  # a commit each, of some 10 ms: what a long history may cost for this order
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_HEAD_BYTES: Final = 1  # the next event alone, however long


class ByReceipt:
    """Of one pipeline. Belongs to the event loop; asks logs in threads. May raise TransientError, and Lost."""

    def __init__(self, bronze: BronzeLog, workers: Workers, pipeline_id: PipelineId) -> None:
        self._bronze, self._workers, self._pipeline_id = bronze, workers, pipeline_id
        self._heads: dict[int, tuple[int, datetime]] = {}  # what comes after which event, and when it was received

    async def next(self, at: Mapping[int, int], ends: Mapping[int, int]) -> tuple[int, int]:
        """Return the partition whose next event was received first, and up to where it is taken then.

        ``at``: the last event taken of each partition, less than the one in ``ends``; at least two. Up to where another
        one's next event was received; further where there is so much left that it would take too many turns.
        """
        heads = {number: await self._head(number, seq) for number, seq in at.items()}
        first, other = sorted(heads, key=lambda number: (heads[number], number))[:2]
        until = await self._workers.run("rebuild", self._seq_at, at[first], heads[other])
        least = max(1, sum(ends[number] - seq for number, seq in at.items()) // MOST_TURNS)
        return first, min(ends[first], max(until - 1, at[first] + least))

    async def _head(self, number: int, seq: int) -> datetime:
        """Return when the event after ``seq`` was received."""
        known = self._heads.get(number)
        if known is None or known[0] != seq:
            known = seq, await self._workers.run("rebuild", self._received_at, seq)
            self._heads[number] = known
        return known[1]

    def _received_at(self, seq: int) -> datetime:
        frames = self._bronze.read(self._pipeline_id, seq, 1, _HEAD_BYTES)
        if not frames:
            raise Lost(f"event {seq + 1} of {self._pipeline_id} has expired from Bronze")
        return _EPOCH + timedelta(microseconds=frames[0].received_us)

    def _seq_at(self, seq: int, moment: datetime) -> int:
        """Return the first event at or after ``moment`` in the log that has the one after ``seq``."""
        return log_with(self._bronze, self._pipeline_id, seq).upkeep.seq_at(self._pipeline_id, moment)
