"""The appliance with a store that is never the limit: rows are made ready to be sent, and then dropped.

Everything else of a commit happens as it does, in the same PostgreSQL: its transaction, its locks, progress, ledger and
the sync at the end. For measuring what nodes can do where their database is not what they wait for.
``python -m benchmarks.discarding`` takes the appliance's own arguments.
"""

import pyarrow as pa

from appliance.__main__ import main
from appliance.components.silver import Table
from appliance.storage.silver_postgres import binary, commit
from appliance.storage.silver_postgres.connections import Cursor
from appliance.storage.silver_postgres.places import Place
from tests.licensed import RING


def drop(_cursor: Cursor, table: Table, _place: Place, rows: pa.Table) -> None:
    """Stand where rows are inserted."""
    for part in binary.rows(rows.select(["_time", "_seq", "_item", "_extra", *(one.name for one in table.columns)])):
        part.release()


if __name__ == "__main__":
    commit.insert_rows = drop
    main(RING)
