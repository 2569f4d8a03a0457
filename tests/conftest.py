"""The order of the folders: what answers soonest first. And the servers that all of them share."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import settings

from appliance.storage.silver_postgres.connections import Connections
from tests.postgres import PostgresServer, postgres_server
from tests.s3 import FaultProxy, S3Server, fault_proxy, s3_server
from tests.timescale import timescale_database

# How long one example takes says more of the machine at that moment than of what it tries.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")

# The browser comes last for a second reason: Playwright keeps an event loop running in the thread of the tests, beside
# which no test of pytest-asyncio can start its own.
ORDER = ("rules", "unit", "contract", "property", "scenarios", "integration", "crash", "binary", "ui")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort by folder; within one the order stays."""
    here = Path(__file__).parent
    items.sort(key=lambda item: ORDER.index(item.path.relative_to(here).parts[0]))


@pytest.fixture
def all_is_logged() -> Iterator[None]:
    """Let a test see every entry of the log, whatever a command that ran in this process before has made of logging."""
    before = structlog.get_config()
    structlog.reset_defaults()
    yield
    structlog.configure(**before)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One server for all tests, started when it is first asked for; who breaks servers takes one of their own."""
    with postgres_server() as server:
        yield server


@pytest.fixture
def database_url(postgres: PostgresServer) -> str:
    """An empty database of the test's own."""
    return postgres.new_database()


@pytest.fixture(scope="session")
def silver_connections(postgres: PostgresServer) -> Iterator[Connections]:
    """Connections to one database for all row stores, each in a schema of its own: a database takes longer to make."""
    shared = Connections(postgres.new_database(), size=6)
    yield shared
    shared.close()


@pytest.fixture(scope="session")
def s3() -> Iterator[S3Server]:
    """An object store that believes everybody, started when it is first asked for."""
    with s3_server() as server:
        yield server


@pytest.fixture
def s3_proxy(s3: S3Server) -> Iterator[FaultProxy]:
    """A way to it on which things go wrong when a test says so."""
    with fault_proxy(s3) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def timescale_url() -> Iterator[str]:
    """An empty database with TimescaleDB on the server that the environment names."""
    with timescale_database() as url:
        yield url


@pytest.fixture(scope="session")
def timescale_connections() -> Iterator[Connections]:
    """As ``silver_connections``, to a new database with TimescaleDB on the server that the environment names."""
    with timescale_database() as url:
        shared = Connections(url, size=6)
        yield shared
        shared.close()
