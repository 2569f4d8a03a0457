"""Databases with TimescaleDB: on the server that ``DASH_TEST_TIMESCALE_DSN`` names, or on one of a test's own.

No distribution packages TimescaleDB: a machine has it where somebody built it, and elsewhere these tests do not run.
The same contract, model and agreement suites run everywhere on PostgreSQL alone.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import count
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from appliance.components.silver import Batch, Progress
from appliance.storage.silver_postgres.connections import Connections
from appliance.storage.silver_postgres.store import PostgresSilver
from appliance.storage.silver_postgres.timescale_wanted import Wanted
from tests.postgres import PostgresServer, postgres_server, programs

LONG_AFTER = datetime(9000, 1, 1, tzinfo=UTC)  # when everything has grown old
VARIABLE = "DASH_TEST_TIMESCALE_DSN"

needs_timescale = pytest.mark.skipif(not os.environ.get(VARIABLE), reason=f"{VARIABLE} names no server")
# Who changes the edition of a server, or kills it, needs one that nobody else uses.
needs_own_timescale = pytest.mark.skipif(
    not (programs().parent / "lib/timescaledb.so").exists(),
    reason=f"the PostgreSQL in {programs()} has no TimescaleDB, and a server that others use is not changed",
)
_numbers = count(1)


@contextmanager
def timescale_database() -> Iterator[str]:
    """Give the DSN of an empty database with the extension, and remove it at the end."""
    server, name = os.environ[VARIABLE], f"dash_test_{uuid4().hex[:12]}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        try:
            url = make_conninfo(server, dbname=name)
            extend(url)
            yield url
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def own_timescale(**settings: str) -> Iterator[PostgresServer]:
    """Start a server that loads TimescaleDB; ``settings`` are further ones of PostgreSQL's or, as license, its own."""
    own = {"shared_preload_libraries": "timescaledb", "timescaledb.telemetry_level": "off"}
    with postgres_server({**own, **settings}) as server:
        yield server


@contextmanager
def timescale_store(url: str, **wanted: Any) -> Iterator[PostgresSilver]:
    """Open an empty store in a schema of its own."""
    connections = Connections(url, size=2)
    store = PostgresSilver(connections, f"dash_timescale_{next(_numbers)}", timescale=Wanted(**wanted))
    yield store
    store.close()
    connections.close()


def extend(url: str) -> None:
    """Make the extension in a database."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET client_min_messages TO warning; CREATE EXTENSION timescaledb")


class Converting(PostgresSilver):
    """A store whose rows are converted to columns after every commit, where there is a columnstore.

    So whatever is done to rows is done to them there.
    """

    def commit(self, batch: Batch) -> Progress:
        progress = super().commit(batch)
        self.upkeep.arrange(batch.table, LONG_AFTER)
        return progress
