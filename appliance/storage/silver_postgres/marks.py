"""How far a standby must have replayed to show what this process has told of: a place in the log for each pipeline."""

import threading
from typing import Final

from appliance.domain.ids import PipelineId

# After a commit: all of the log that it waited for. One that waits for nothing is somewhere before the end.
POSITION: Final = (
    "(CASE current_setting('synchronous_commit') WHEN 'off' THEN pg_current_wal_insert_lsn()"
    " ELSE pg_current_wal_flush_lsn() END - '0/0'::pg_lsn)::bigint"
)
REPLAYED: Final = "(pg_last_wal_replay_lsn() - '0/0'::pg_lsn)::bigint"

Doubts = dict[PipelineId, object]


class Marks:
    """Safe to use from any thread. A place is a number of bytes of log."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._marks: dict[PipelineId, int] = {}
        self._doubts: Doubts = {}

    def needed(self, pipeline_id: PipelineId) -> int | None:
        """Return the least place that shows the newest commit; 0: any does; None: not known, so that none does."""
        with self._lock:
            return None if pipeline_id in self._doubts else self._marks.get(pipeline_id, 0)

    def note(self, pipeline_id: PipelineId, position: int) -> None:
        """Take down that a commit to the pipeline is at or before ``position``."""
        with self._lock:
            self._marks[pipeline_id] = max(position, self._marks.get(pipeline_id, 0))

    def doubt(self, pipeline_id: PipelineId) -> None:
        """Take down that there may be a commit to the pipeline, nobody knows where, until it is settled."""
        with self._lock:
            self._doubts[pipeline_id] = object()

    def doubts(self) -> Doubts:
        """Return what is not known now: to be settled by a place that is asked for after this."""
        with self._lock:
            return dict(self._doubts)

    def settle(self, doubts: Doubts, position: int) -> None:
        """Take down that all commits of ``doubts`` are at or before ``position``. What was doubted since stays so."""
        with self._lock:
            for pipeline_id, doubt in doubts.items():
                if self._doubts.get(pipeline_id) is doubt:
                    del self._doubts[pipeline_id]
                    self._marks[pipeline_id] = max(position, self._marks.get(pipeline_id, 0))
