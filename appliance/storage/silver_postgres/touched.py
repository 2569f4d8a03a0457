"""Times of rows that were removed or changed, under a name that rollups can read."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Final

from appliance.storage.silver_postgres.connections import Cursor

TOUCHED: Final = "touched_rows"
_MAKE: Final = """
CREATE TEMP TABLE touched_rows ON COMMIT DROP AS SELECT DISTINCT _time FROM unnest(%(times)s::timestamptz[]) AS t(_time)
"""


@contextmanager
def touched(cursor: Cursor, times: Sequence[datetime]) -> Iterator[str]:
    """Give the name of a table with ``_time``, until the end."""
    cursor.execute(_MAKE, {"times": list(times)})
    yield TOUCHED
    cursor.execute("DROP TABLE touched_rows")
