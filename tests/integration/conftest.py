"""The control plane's other database, for its tests."""

import pytest

from tests.postgres import PostgresServer


@pytest.fixture(scope="session")
def postgresql(postgres: PostgresServer) -> str:
    """The URL of an empty database, as SQLAlchemy writes it."""
    return postgres.new_database().replace("postgresql://", "postgresql+psycopg://")
