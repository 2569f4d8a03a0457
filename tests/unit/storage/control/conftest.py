"""A control plane on a file of its own."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.storage.control.plane import ControlPlane


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database, migrated once for all tests."""
    path = tmp_path_factory.mktemp("control") / "control.sqlite3"
    ControlPlane.open(path).close()
    return path


@pytest.fixture
def plane(tmp_path: Path, migrated: Path) -> Iterator[ControlPlane]:
    shutil.copy(migrated, tmp_path)
    plane = ControlPlane.open(tmp_path / migrated.name)
    yield plane
    plane.close()
