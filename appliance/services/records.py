"""What a pipeline holds: rows, dead letters, events and their ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from appliance.components.silver import DeadLetterQuery, RecordQuery
from appliance.domain.access import Principal
from appliance.domain.event import StoredEvent
from appliance.domain.ids import PipelineId
from appliance.domain.ledger import Ledger
from appliance.services.views import DeadLetter

if TYPE_CHECKING:
    import pyarrow as pa


class Records:
    """What a pipeline holds: rows, dead letters, events and their ledger."""

    async def query(self, who: Principal, pipeline_id: PipelineId, query: RecordQuery) -> pa.Table:
        """Return rows as ``SilverStore.records`` does. Raises NotFound, Invalid (field, operator or value)."""
        raise NotImplementedError

    async def recent(self, who: Principal, pipeline_id: PipelineId) -> list[dict[str, Any]]:
        """Return the last 100 rows, newest last, JSON columns as JSON text. Raises NotFound."""
        raise NotImplementedError

    async def dead_letters(self, who: Principal, pipeline_id: PipelineId, query: DeadLetterQuery) -> list[DeadLetter]:
        """Return dead letters, newest first. Raises NotFound."""
        raise NotImplementedError

    async def ledger(self, who: Principal, pipeline_id: PipelineId) -> Ledger:
        """Return where every received event went. Raises NotFound."""
        raise NotImplementedError

    async def event(self, who: Principal, pipeline_id: PipelineId, seq: int) -> StoredEvent:
        """Return one event verbatim, with its place in Bronze. Raises NotFound."""
        raise NotImplementedError
