"""Adapters held to the contract suites. A new one is done when it is in its list here and they pass."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from appliance.components.bronze import BronzeLog
from appliance.components.silver import SilverStore
from tests.contract.bronze_adapters import ADAPTERS
from tests.contract.silver_stores import STORES, Open


@pytest.fixture(params=STORES)
def reopen_silver(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    """Close the row store, if it is open, and open it again on the same place."""
    opened: list[SilverStore] = []
    open_store = STORES[request.param](tmp_path, request.getfixturevalue)

    def again() -> SilverStore:
        for store in opened:
            store.close()
        opened.append(open_store())
        return opened[-1]

    yield again
    for store in opened:
        store.close()


@pytest.fixture
def silver(reopen_silver: Open) -> SilverStore:
    return reopen_silver()


@pytest.fixture(params=ADAPTERS)
async def log(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[BronzeLog]:
    log = ADAPTERS[request.param](tmp_path / "bronze")
    yield log
    await log.close()
