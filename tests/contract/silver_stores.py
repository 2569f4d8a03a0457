"""The row stores held to the contract suites. A new one is done when it is in its list here and they pass."""

import os
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any, Final

from appliance.components.silver import SilverStore
from appliance.storage.silver_duckdb.store import DuckDbSilver
from appliance.storage.silver_postgres.store import PostgresSilver
from tests.timescale import VARIABLE, Converting

Open = Callable[[], SilverStore]

_numbers = count(1)


def duckdb(folder: Path, fixture: Callable[[str], Any]) -> Open:
    return lambda: DuckDbSilver(folder / "org_1.duckdb")


def postgres(folder: Path, fixture: Callable[[str], Any]) -> Open:
    connections, schema = fixture("silver_connections"), f"dash_org_{next(_numbers)}"
    return lambda: PostgresSilver(connections, schema)


def timescale(folder: Path, fixture: Callable[[str], Any]) -> Open:
    connections, schema = fixture("timescale_connections"), f"dash_org_{next(_numbers)}"
    return lambda: PostgresSilver(connections, schema)


def columnstore(folder: Path, fixture: Callable[[str], Any]) -> Open:
    connections, schema = fixture("timescale_connections"), f"dash_org_{next(_numbers)}"
    return lambda: Converting(connections, schema)


STORES: Final = {"duckdb": duckdb, "postgres": postgres}
if os.environ.get(VARIABLE):
    STORES.update(timescale=timescale, columnstore=columnstore)
"""How each is opened on a place of its own, which the test may do again and again."""
