"""What retention, erasure and space need of the file."""

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

import duckdb

from appliance.components.chunks import RowsCut
from appliance.components.silver import Progress, Table
from appliance.components.upkeep import Compacted, StoreSize, Upkeep
from appliance.domain.clock import Clock
from appliance.storage.silver_duckdb.commit import read_progress
from appliance.storage.silver_duckdb.compact import Compaction
from appliance.storage.silver_duckdb.database import Database
from appliance.storage.silver_duckdb.erase import erase
from appliance.storage.silver_duckdb.occupied import Sizes, free_bytes
from appliance.storage.silver_duckdb.opening import Opening
from appliance.storage.silver_duckdb.transaction import checkpoint
from appliance.storage.silver_duckdb.trim import trim
from appliance.storage.silver_duckdb.writer import Writer

_MEASURING_SECS: Final = 60.0


class DuckDbUpkeep:
    """The ``upkeep`` of a DuckDbSilver. ``room``: how many bytes the file system has left for files in a folder."""

    def __init__(
        self,
        opening: Opening,
        database: Database,
        writer: Writer,
        clock: Clock,
        room: Callable[[Path], int] = free_bytes,
    ) -> None:
        self._database, self._writer, self._clock = database, writer, clock
        self._sizes = Sizes(opening.path)
        self._compaction = Compaction(opening, database, writer, room)

    def trim(self, table: Table, before: datetime, up_to: int | None = None) -> int:
        """See ``Upkeep.trim``. Blocks that hold nothing but removed rows are free at once, for new rows."""

        def work(cursor: duckdb.DuckDBPyConnection) -> int:
            number = self._writer.number(table)
            if self._writer.columns(table.pipeline_id, number) is None:
                return 0
            rows = trim(cursor, table, number, before, up_to)
            if rows:
                checkpoint(cursor)
            return rows

        return self._writer.run(f"trimming the rows of {table.pipeline_id}", work, self._writer.lane(table))

    def erase(self, table: Table, seqs: Sequence[int]) -> Progress:
        def work(cursor: duckdb.DuckDBPyConnection) -> Progress:
            numbers = self._writer.numbers(table.pipeline_id)
            erase(cursor, table, numbers, seqs, self._clock())
            return read_progress(cursor, table.pipeline_id, self._writer.live(table.pipeline_id)) or Progress()

        with self._writer.alone():
            return self._writer.run(f"erasing events of {table.pipeline_id}", work)

    def arrange(self, table: Table, now: datetime) -> int:
        """See ``Upkeep.arrange``: DuckDB does it with every checkpoint."""
        return 0

    def chunks(self, table: Table) -> RowsCut | None:
        return None

    def size(self) -> StoreSize:
        return self._database.read("measuring the row store", _MEASURING_SECS, self._sizes.measure)

    def compact(self) -> Compacted:
        return self._compaction.run()

    def stop(self) -> None:
        """End a compaction under way, because the store closes."""
        self._compaction.stop()


_: type[Upkeep] = DuckDbUpkeep
