"""The control plane's other database, and nodes that share one."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.postgres import PostgresServer
from tests.running import CHECKOUT, RunningAppliance


@pytest.fixture(scope="session")
def postgresql(postgres: PostgresServer) -> str:
    """A database for all tests of this folder that leave it as they found it."""
    return postgres.new_database()


@pytest.fixture
def pair(tmp_path: Path, database_url: str) -> Iterator[tuple[RunningAppliance, RunningAppliance]]:
    """Two nodes of one installation: the same database and the same key, each with a data directory of its own."""
    with two_nodes(tmp_path, database_url) as nodes:
        yield nodes


@contextmanager
def two_nodes(
    folder: Path, database_url: str, program: tuple[str, ...] = CHECKOUT
) -> Iterator[tuple[RunningAppliance, RunningAppliance]]:
    """Set two nodes of one installation up and let them run ``program``."""
    nodes = []
    for name in ("anna", "bert"):
        (folder / name).mkdir()
        environment = {"DASH_DATABASE_URL": database_url}
        nodes.append(RunningAppliance(folder / name, program=program, environment=environment))
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
