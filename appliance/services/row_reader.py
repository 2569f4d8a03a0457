"""Reads rows of one question page by page, each page where the one before it ended."""

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from appliance.components.look import Look
from appliance.components.silver import RecordQuery, Table

if TYPE_CHECKING:
    import pyarrow as pa

PAGE_ROWS: Final = 50_000

Place = tuple[datetime, int, int]  # (_time, _seq, _item)


class RowReader:
    """Blocking: taken from in threads. Each page is a snapshot of its own; rows that arrive meanwhile may be in it."""

    def __init__(self, look: Look, table: Table, query: RecordQuery) -> None:
        self.table = table
        self._look, self._query = look, query

    def pages(self, first: "pa.Table", limit: int) -> Iterator["pa.Table"]:
        """Yield ``first``, which was read already, and the pages after it, until ``limit`` rows or the end."""
        page, size = first, min(limit, PAGE_ROWS)
        while True:
            yield page
            limit -= page.num_rows
            if page.num_rows < size or limit <= 0:
                return
            size = min(limit, PAGE_ROWS)
            query = replace(self._query, after=place_in(page, page.num_rows - 1), limit=size)
            page = self._look.records(self.table, query)


def place_in(rows: "pa.Table", index: int) -> Place:
    """Return the place of the row at ``index``."""
    row = rows.slice(index, 1).select(["_time", "_seq", "_item"]).to_pylist()[0]
    return row["_time"], row["_seq"], row["_item"]
