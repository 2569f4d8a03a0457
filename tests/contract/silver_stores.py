"""The row stores held to the contract suites. A new one is done when it is in its list here and they pass."""

import os
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any, Final

from appliance.components.silver import Batch, Progress, SilverStore
from appliance.storage.silver_duckdb.store import DuckDbSilver
from appliance.storage.silver_postgres.store import PostgresSilver
from tests.timescale import VARIABLE

Open = Callable[[], SilverStore]

_numbers = count(1)


class Converting(PostgresSilver):
    """A store whose rows are converted to columns after every commit."""

    def commit(self, batch: Batch) -> Progress:
        progress = super().commit(batch)
        self.upkeep.arrange(batch.table, datetime(9000, 1, 1, tzinfo=UTC))
        return progress


def duckdb(folder: Path, fixture: Callable[[str], Any]) -> Open:
    return lambda: DuckDbSilver(folder / "org_1.duckdb")


def postgres(folder: Path, fixture: Callable[[str], Any]) -> Open:
    connections, schema = fixture("silver_connections"), f"dash_org_{next(_numbers)}"
    return lambda: PostgresSilver(connections, schema)


def timescale(folder: Path, fixture: Callable[[str], Any]) -> Open:
    connections, schema = fixture("timescale_connections"), f"dash_org_{next(_numbers)}"
    return lambda: PostgresSilver(connections, schema)


def columnstore(folder: Path, fixture: Callable[[str], Any]) -> Open:
    """Rows go into the columnstore as soon as they are committed, so that whatever is done to them is done there."""
    connections, schema = fixture("timescale_connections"), f"dash_org_{next(_numbers)}"
    return lambda: Converting(connections, schema)


STORES: Final = {"duckdb": duckdb, "postgres": postgres}
if os.environ.get(VARIABLE):
    STORES.update(timescale=timescale, columnstore=columnstore)
"""How each is opened on a place of its own, which the test may do again and again."""
