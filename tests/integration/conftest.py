"""The control plane's other database, and nodes that share one."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.postgres import PostgresServer
from tests.running import RunningAppliance


@pytest.fixture(scope="session")
def postgresql(postgres: PostgresServer) -> str:
    """A database for all tests of this folder that leave it as they found it."""
    return postgres.new_database()


@pytest.fixture
def pair(tmp_path: Path, database_url: str) -> Iterator[tuple[RunningAppliance, RunningAppliance]]:
    """Two nodes of one installation: the same database and the same key, each with a data directory of its own."""
    nodes = []
    for name in ("anna", "bert"):
        (tmp_path / name).mkdir()
        nodes.append(RunningAppliance(tmp_path / name, environment={"DASH_DATABASE_URL": database_url}))
    anna, bert = nodes
    anna.setup()
    bert.data_dir.mkdir()
    shutil.copy(anna.data_dir / "secret.key", bert.data_dir)
    bert.token = anna.token
    for node in nodes:
        node.start()
    yield anna, bert
    for node in nodes:
        node.stop()
