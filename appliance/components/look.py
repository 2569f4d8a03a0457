"""The contract of looking: what people, their dashboards and their exports are answered."""

from typing import Protocol

import pyarrow as pa

from appliance.components.silver import Aggregation, DeadLetterQuery, RecordQuery, Table
from appliance.domain.ids import PipelineId


class Look(Protocol):
    """The methods of ``SilverStore`` of the same names, for answers that are shown and that decide nothing.

    A copy of the store may answer, which is behind it for a bounded time; but what this process has committed to the
    pipeline before is in the answer. Errors as ``SilverStore``.
    """

    def records(self, table: Table, query: RecordQuery) -> pa.Table: ...

    def aggregate(self, table: Table, query: Aggregation) -> pa.Table: ...

    def dead_letters(self, pipeline_id: PipelineId, query: DeadLetterQuery) -> pa.Table: ...
