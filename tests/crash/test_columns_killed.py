"""Killed in the middle of what TimescaleDB does to whole chunks: rows stay what they were, and the next round does it.

The middle is a place of its own, not a matter of luck: somebody holds a table of TimescaleDB's catalogue in which the
work under way has to note what it has done so far.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from appliance.domain.ledger import Outcome
from appliance.errors import TransientError
from appliance.storage.silver_postgres.connections import Connections
from appliance.storage.silver_postgres.store import PostgresSilver
from tests.crash.test_silver_postgresql import balanced, killed_whole, persevering
from tests.postgres import PostgresServer
from tests.running import REPOSITORY, until
from tests.silver_batches import PLAIN, START, batch, row, rows_in
from tests.timescale import LONG_AFTER, extend, needs_own_timescale, own_timescale

SCHEMA = "dash_org_crash"
EVENTS = 600  # of three days: three chunks
CHUNKS = """
SELECT count(*) FILTER (WHERE is_compressed), count(*) FROM timescaledb_information.chunks
WHERE hypertable_name = 'rows_pl_test'
"""
WAITING = "SELECT pid FROM pg_locks WHERE NOT granted AND relation = '_timescaledb_catalog.{}'::regclass"
CONVERSION, CREATION = "compression_chunk_size", "hypertable"  # where each is noted

pytestmark = needs_own_timescale


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with own_timescale(fsync="on") as own:
        yield own


@pytest.fixture
def url(server: PostgresServer) -> str:
    url = server.new_database()
    extend(url)
    return url


@contextmanager
def opened(url: str) -> Iterator[PostgresSilver]:
    connections = Connections(url, size=4)
    yield PostgresSilver(connections, SCHEMA)
    connections.close()


def asked(url: str, statement: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url, application_name="watch") as connection:
        return connection.execute(statement).fetchall()


def filled(silver: PostgresSilver) -> list[tuple[Any, ...]]:
    """Store events of three days; return the rows as they are to be ever after."""
    hours = timedelta(days=3) / EVENTS
    silver.commit(batch(PLAIN, 1, [row(device="d", n=n, _time=START + n * hours) for n in range(EVENTS)]))
    return rows_in(silver, PLAIN, "_time", "device", "n")


@contextmanager
def held(url: str, noted: str) -> Iterator[Callable[[], int]]:
    """Let nobody note anything in the catalogue; gives what waits for who has come to that, and returns its process."""
    holder = psycopg.connect(url, application_name="holder")
    holder.execute(f"LOCK TABLE _timescaledb_catalog.{noted} IN SHARE MODE")

    def arrived() -> int:
        found: list[tuple[int]] = []
        until(lambda: bool(found.extend(asked(url, WAITING.format(noted))) or found), 30)
        return found[0][0]

    try:
        yield arrived
    finally:
        holder.close()


def end(how: str, server: PostgresServer, pid: int) -> None:
    """Kill the process of the server that does the work, or the server whole."""
    if how == "backend":
        os.kill(pid, signal.SIGKILL)  # the server ends all connections and recovers
    else:
        killed_whole(server)


@pytest.mark.parametrize("how", ["backend", "server"])
def test_a_server_killed_in_a_conversion_has_converted_nothing_of_it(
    url: str, server: PostgresServer, how: str
) -> None:
    with opened(url) as silver, ThreadPoolExecutor(1) as other:
        rows = filled(silver)
        with held(url, CONVERSION) as arrived:
            arranging = other.submit(silver.upkeep.arrange, PLAIN, LONG_AFTER)
            end(how, server, arrived())
        told = arranging.exception(timeout=60)
        assert told is None or isinstance(told, TransientError)
        persevering(lambda: silver.progress(PLAIN.pipeline_id))
        proved(silver, url, rows, {0, 1, 2})  # the round may have gone on with the other two
        persevering(lambda: silver.upkeep.arrange(PLAIN, LONG_AFTER))
        proved(silver, url, rows, {3})


def test_a_node_killed_in_a_conversion_has_converted_nothing_of_it(url: str) -> None:
    with opened(url) as silver:
        rows = filled(silver)
        with held(url, CONVERSION) as arrived:
            node = subprocess.Popen([sys.executable, "-m", "tests.crash.columns_keeper", url, SCHEMA], cwd=REPOSITORY)
            pid = arrived()
            node.send_signal(signal.SIGKILL)
            assert node.wait(30) == -signal.SIGKILL
        until(lambda: not asked(url, f"SELECT FROM pg_stat_activity WHERE pid = {pid}"), 30)
        proved(silver, url, rows, {0})
        persevering(lambda: silver.upkeep.arrange(PLAIN, LONG_AFTER))
        proved(silver, url, rows, {3})


@pytest.mark.parametrize("how", ["backend", "server"])
def test_a_server_killed_while_a_hypertable_is_made_has_made_nothing_of_it(
    url: str, server: PostgresServer, how: str
) -> None:
    with opened(url) as silver, ThreadPoolExecutor(1) as other:
        with held(url, CREATION) as arrived:
            storing = other.submit(filled, silver)
            end(how, server, arrived())
        assert isinstance(storing.exception(timeout=60), TransientError)
        persevering(lambda: silver.progress(PLAIN.pipeline_id))
        assert asked(url, "SELECT FROM pg_tables WHERE tablename = 'rows_pl_test'") == []
        rows = filled(silver)
        proved(silver, url, rows, {0})


def test_control_nobody_is_killed(url: str) -> None:
    with opened(url) as silver, ThreadPoolExecutor(1) as other:
        with held(url, CREATION) as arrived:
            storing = other.submit(filled, silver)
            assert arrived() > 0
        rows = storing.result(timeout=60)
        with held(url, CONVERSION) as arrived:
            arranging = other.submit(silver.upkeep.arrange, PLAIN, LONG_AFTER)
            assert arrived() > 0
        converted = arranging.result(timeout=60)
        assert converted + silver.upkeep.arrange(PLAIN, LONG_AFTER) == 3  # who waits too long leaves a chunk for later
        proved(silver, url, rows, {3})


def proved(silver: PostgresSilver, url: str, rows: list[tuple[Any, ...]], converted: set[int]) -> None:
    """Prove that rows and sums are what they were, and that of three chunks one of ``converted`` is in columns."""
    assert rows_in(silver, PLAIN, "_time", "device", "n") == rows
    assert len(rows) == EVENTS
    assert balanced(silver, PLAIN) == Outcome(stored=EVENTS)
    [(in_columns, chunks)] = asked(url, CHUNKS)
    assert (in_columns in converted, chunks) == (True, 3), in_columns
