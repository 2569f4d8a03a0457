"""Databases with TimescaleDB, on the server that ``DASH_TEST_TIMESCALE_DSN`` names: one that its superuser made."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from uuid import uuid4

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from appliance.components.silver import Batch, Progress
from appliance.storage.silver_postgres.store import PostgresSilver

LONG_AFTER = datetime(9000, 1, 1, tzinfo=UTC)  # when everything has grown old
VARIABLE = "DASH_TEST_TIMESCALE_DSN"

needs_timescale = pytest.mark.skipif(not os.environ.get(VARIABLE), reason=f"{VARIABLE} names no server")


@contextmanager
def timescale_database() -> Iterator[str]:
    """Give the DSN of an empty database with the extension, and remove it at the end."""
    server, name = os.environ[VARIABLE], f"dash_test_{uuid4().hex[:12]}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        try:
            url = make_conninfo(server, dbname=name)
            with psycopg.connect(url, autocommit=True) as made:
                made.execute("SET client_min_messages TO warning; CREATE EXTENSION timescaledb")
            yield url
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


class Converting(PostgresSilver):
    """A store whose rows are converted to columns after every commit, where there is a columnstore.

    So whatever is done to rows is done to them there.
    """

    def commit(self, batch: Batch) -> Progress:
        progress = super().commit(batch)
        self.upkeep.arrange(batch.table, LONG_AFTER)
        return progress
