"""The database server killed and connections cut at any moment: acknowledged batches are stored once, sums balance."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
import pytest

from appliance.components.silver import Progress, SilverStore, Table
from appliance.domain.ledger import Outcome
from appliance.errors import Conflict, TransientError
from appliance.storage.silver_postgres.connections import Connections
from appliance.storage.silver_postgres.store import PostgresSilver
from tests.postgres import PostgresServer, postgres_server
from tests.silver_batches import KEYED, PLAIN, batch, dead, number, row, rows_in

ID = PLAIN.pipeline_id
SCHEMA = "dash_org_crash"
MANY = 80_000
COPYING = "SELECT pid FROM pg_stat_progress_copy WHERE tuples_processed > 1000"
CUT = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'dash'"


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with postgres_server({"fsync": "on"}) as own:
        yield own


@contextmanager
def opened(url: str) -> Iterator[PostgresSilver]:
    connections = Connections(url, size=4)
    yield PostgresSilver(connections, SCHEMA)
    connections.close()


def persevering(work: Callable[[], object]) -> int:
    """Do it until it is done, as the engine does; return how often it failed."""
    failures = 0
    while True:
        try:
            work()
        except TransientError:
            failures += 1
        else:
            return failures


def balanced(silver: SilverStore, of: Table) -> Outcome:
    """Return the outcome, after proving it by the rows and by the spans."""
    progress = silver.progress(of.pipeline_id, of.generation)
    spans = silver.generations.spans(of.pipeline_id, of.generation)
    assert silver.recount(of) == progress.outcome
    assert sum(span.last_seq - span.first_seq + 1 for span in spans) == progress.seq == progress.outcome.total
    assert sum(span.stored for span in spans) == progress.outcome.stored
    return progress.outcome


def backend_in_copy(url: str) -> int:
    """Return the process that copies rows at this moment."""
    with psycopg.connect(url, autocommit=True, application_name="watch") as watch:
        while True:
            found = watch.execute(COPYING).fetchall()
            if found:
                pid: int = found[0][0]
                return pid


def killed_whole(server: PostgresServer) -> None:
    """End every process of the server at once, and start it again."""
    pids = [server.pid, *children_of(server.pid)]
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    while any(os.path.exists(f"/proc/{pid}/exe") for pid in pids):
        continue
    (server.data / "postmaster.pid").unlink()  # it names a process that perhaps nobody has buried yet
    for lock in server.folder.glob(".s.PGSQL.*.lock"):
        lock.unlink()
    server.start()


def children_of(parent: int) -> list[int]:
    with open(f"/proc/{parent}/task/{parent}/children") as told:
        return [int(pid) for pid in told.read().split()]


@pytest.mark.parametrize("how", ["backend", "server"])
def test_a_server_killed_in_the_middle_of_a_copy_has_stored_nothing_of_it(server: PostgresServer, how: str) -> None:
    url = server.new_database()
    with opened(url) as silver:
        acknowledged = silver.commit(batch(PLAIN, 1, [row(device="first", n=1), dead()]))
        large = batch(PLAIN, 3, [row(device="large", n=n) for n in range(MANY)])
        failed: list[TransientError] = []

        def store() -> None:
            try:
                silver.commit(large)
            except TransientError as error:
                failed.append(error)

        thread = threading.Thread(target=store)
        thread.start()
        pid = backend_in_copy(url)
        if how == "backend":
            os.kill(pid, signal.SIGKILL)  # the server ends all connections and recovers
        else:
            killed_whole(server)
        thread.join()
        assert len(failed) == 1
        persevering(lambda: silver.progress(ID))
        assert silver.progress(ID) == acknowledged == Progress(2, Outcome(stored=1, dead=1))
        assert rows_in(silver, PLAIN, "device") == [("first",)]
        persevering(lambda: silver.commit(large))
        assert balanced(silver, PLAIN) == Outcome(stored=MANY + 1, dead=1)


def test_control_a_copy_that_is_not_ended_by_anybody_is_stored(server: PostgresServer) -> None:
    url = server.new_database()
    with opened(url) as silver:
        silver.prepare(PLAIN)
        large = batch(PLAIN, 1, [row(device="large", n=n) for n in range(MANY)])
        thread = threading.Thread(target=lambda: silver.commit(large))
        thread.start()
        assert backend_in_copy(url) > 0
        thread.join()
        assert balanced(silver, PLAIN) == Outcome(stored=MANY)


def test_connections_cut_all_the_while_lose_and_double_nothing(database_url: str) -> None:
    with opened(database_url) as silver:
        shadow = silver.generations.begin(PLAIN)
        silver.prepare(KEYED)
        with cutting(database_url) as cuts:
            failures = [
                together(
                    lambda: _fill(silver, PLAIN_1), lambda: _fill(silver, shadow), lambda: _fill(silver, KEYED),
                    lambda: _swap(silver, number(shadow)),
                )
            ]  # fmt: skip
        assert sum(failures) > 0
        assert cuts[0] > 0
        persevering(lambda: silver.progress(ID))
        for of in (PLAIN_1, shadow):
            assert balanced(silver, of) == Outcome(stored=600)
            assert len(rows_in(silver, of, "n")) == 600
        assert balanced(silver, KEYED) == Outcome(stored=7, duplicate=593)


PLAIN_1 = Table(PLAIN.pipeline_id, PLAIN.columns, generation=1)


def _fill(silver: PostgresSilver, of: Table) -> int:
    """Store 600 events, 20 a batch, each batch until it is acknowledged."""
    failures = 0
    for first in range(1, 601, 20):
        events = [row(_key=str(seq % 7), device="d", n=seq) for seq in range(first, first + 20)]
        one = batch(of, first, events)

        def store(one: object = one) -> None:
            try:
                silver.commit(one)  # type: ignore[arg-type]
            except Conflict:  # an earlier try of ours had landed, and could not be asked for
                if silver.progress(of.pipeline_id, of.generation).seq != one.last_seq:  # type: ignore[attr-defined]
                    raise

        failures += persevering(store)
    return failures


def _swap(silver: PostgresSilver, other: int) -> int:
    return sum(persevering(lambda to=to: silver.generations.swap(ID, to)) for to in [other, 1] * 10)


def together(*works: Callable[[], int]) -> int:
    """Run them in threads of their own; return the sum of what they answer."""
    answers: list[int] = []
    threads = [threading.Thread(target=lambda work=work: answers.append(work())) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == len(works)
    return sum(answers)


@contextmanager
def cutting(url: str) -> Iterator[list[int]]:
    """End Dash's connections again and again; gives how many, at the end."""
    done, cuts = threading.Event(), [0]

    def cut() -> None:
        with psycopg.connect(url, autocommit=True, application_name="cutter") as connection:
            while not done.wait(0.05):
                cuts[0] += connection.execute(CUT).fetchall()[0][0]

    thread = threading.Thread(target=cut)
    thread.start()
    yield cuts
    done.set()
    thread.join()
