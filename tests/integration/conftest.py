"""The control plane's other database, for its tests."""

import pytest

from tests.postgres import PostgresServer


@pytest.fixture(scope="session")
def postgresql(postgres: PostgresServer) -> str:
    """A database for all tests of this folder that leave it as they found it."""
    return postgres.new_database()
