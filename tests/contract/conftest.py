"""Adapters held to the contract suites. A new one is done when it is in its list here and they pass."""

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from appliance.components.bronze import BronzeLog
from appliance.components.silver import SilverStore
from appliance.storage.silver_duckdb.store import DuckDbSilver
from tests.contract.bronze_adapters import ADAPTERS

SILVER_STORES: dict[str, Callable[[Path], SilverStore]] = {
    "duckdb": lambda folder: DuckDbSilver(folder / "org_1.duckdb"),
}


@pytest.fixture(params=SILVER_STORES)
def reopen_silver(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], SilverStore]]:
    """Close the row store, if it is open, and open it again on the same place."""
    opened: list[SilverStore] = []

    def again() -> SilverStore:
        for store in opened:
            store.close()
        opened.append(SILVER_STORES[request.param](tmp_path))
        return opened[-1]

    yield again
    opened[-1].close()


@pytest.fixture
def silver(reopen_silver: Callable[[], SilverStore]) -> SilverStore:
    return reopen_silver()


@pytest.fixture(params=ADAPTERS)
async def log(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[BronzeLog]:
    log = ADAPTERS[request.param](tmp_path / "bronze")
    yield log
    await log.close()
