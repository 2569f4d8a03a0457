"""A migrated control plane of its own for each test."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.storage.control.plane import ControlPlane


@pytest.fixture(scope="session")
def migrated_control(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database, migrated once for all tests."""
    path = tmp_path_factory.mktemp("services") / "control.sqlite3"
    ControlPlane.open(path).close()
    return path


@pytest.fixture
def plane(tmp_path: Path, migrated_control: Path) -> Iterator[ControlPlane]:
    shutil.copy(migrated_control, tmp_path)
    plane = ControlPlane.open(tmp_path / migrated_control.name)
    yield plane
    plane.close()
