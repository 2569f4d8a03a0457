"""The last rows of each pipeline, kept in memory so that looking at what is new costs no query."""

from collections import deque
from collections.abc import Collection
from typing import Any, Final

import pyarrow as pa

from appliance.components.rows import encode_rows, public_rows
from appliance.components.silver import Table
from appliance.domain.mapping import FieldType

KEPT_ROWS: Final = 100


class HotCache:
    """The newest 100 rows of one pipeline, oldest first."""

    def __init__(self, table: Table) -> None:
        self._rows: deque[dict[str, Any]] = deque(maxlen=KEPT_ROWS)
        self._json = frozenset({"_extra"} | {column.name for column in table.columns if column.type is FieldType.JSON})

    def add(self, rows: pa.Table) -> list[dict[str, Any]]:
        """Keep the newest of ``rows`` and return those (at most 100), ready for ``msgspec.json.encode``."""
        newest = encode_rows(public_rows(rows.slice(max(0, rows.num_rows - KEPT_ROWS))), self._json)
        self._rows.extend(newest)
        return newest

    def begin_with(self, rows: pa.Table) -> None:
        """Keep the newest of ``rows`` before what was added while they were read, which they may have too."""
        since = list(self._rows)
        added = {row["_seq"] for row in since}
        self.show(rows)
        before = [row for row in self._rows if row["_seq"] not in added]
        self._rows.clear()
        self._rows.extend([*before, *since])

    def show(self, rows: pa.Table) -> None:
        """Keep the newest of ``rows`` instead of all there were."""
        self._rows.clear()
        self.add(rows)

    def forget(self, seqs: Collection[int]) -> bool:
        """Drop the rows of these events; return whether there were any."""
        kept = [row for row in self._rows if row["_seq"] not in seqs]
        dropped = len(kept) < len(self._rows)
        if dropped:
            self._rows.clear()
            self._rows.extend(kept)
        return dropped

    def rows(self) -> list[dict[str, Any]]:
        """Return what is kept, oldest first."""
        return list(self._rows)
