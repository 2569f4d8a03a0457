"""Databases with TimescaleDB, on the server that ``DASH_TEST_TIMESCALE_DSN`` names: one that its superuser made."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

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
