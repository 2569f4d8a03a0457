"""The order of the folders: what answers soonest first."""

from pathlib import Path

import pytest

# The browser comes last for a second reason: Playwright keeps an event loop running in the thread of the tests, beside
# which no test of pytest-asyncio can start its own.
ORDER = ("rules", "unit", "contract", "property", "scenarios", "integration", "crash", "binary", "ui")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort by folder; within one the order stays."""
    here = Path(__file__).parent
    items.sort(key=lambda item: ORDER.index(item.path.relative_to(here).parts[0]))
