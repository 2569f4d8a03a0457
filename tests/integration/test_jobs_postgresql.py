"""The job queue and the audit chain under several writers, on a real PostgreSQL."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import delete

from appliance.components.jobs import DONE, Claimant, NewJob
from appliance.storage.control import audit
from appliance.storage.control.jobs import Jobs
from appliance.storage.control.plane import ControlPlane
from appliance.storage.control.tables import Table


@pytest.fixture
def plane(postgresql: str) -> Iterator[ControlPlane]:
    plane = ControlPlane.open(postgresql)
    yield plane
    plane.write_now(lambda tx: [tx.execute(delete(table)) for table in reversed(Table.metadata.sorted_tables)])
    plane.close()


def at_once(work: Callable[[str], None]) -> None:
    threads = [threading.Thread(target=work, args=(f"w{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_several_workers_do_each_job_once(plane: ControlPlane) -> None:
    jobs = Jobs(plane)
    for number in range(40):
        assert jobs.enqueue(NewJob(kind="k", unique_key=f"k:{number}")) is not None
    assert jobs.enqueue(NewJob(kind="k", unique_key="k:1")) is None
    done: list[str] = []

    def work(owner: str) -> None:
        while (job := jobs.claim(Claimant(owner, ("k",)), 60)) is not None:
            if jobs.end(job, DONE):
                done.append(job.id)

    at_once(work)
    assert (len(done), len(set(done))) == (40, 40)


def test_the_audit_chain_stays_one_chain(plane: ControlPlane) -> None:
    deed = audit.Deed(organisation_id=None, who="ada", action="x.do", target="t")
    plane.write_now(lambda tx: audit.record(tx, deed, datetime.now(UTC)))

    def work(_owner: str) -> None:
        for _ in range(10):
            plane.write_now(lambda tx: audit.record(tx, deed, datetime.now(UTC)))

    at_once(work)
    assert plane.read_now(lambda tx: list(audit.verify(tx))) == []


def test_what_recurs_fires_once_an_instant_however_many_processes_there_are(database_url: str) -> None:
    """Four processes, each with the whole schedule; one of them is killed on the way."""
    ControlPlane.open(database_url).close()
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE public.fired (who text)")
        root = Path(__file__).parents[2]
        command, environment = [sys.executable, str(root / "tests/job_worker.py"), database_url], os.environ.copy()
        environment["PYTHONPATH"] = str(root)
        children = [subprocess.Popen([*command, f"w{number}"], env=environment) for number in range(4)]
        try:
            _until(lambda: _done(connection) >= 3)
            children[0].kill()
            _until(lambda: _done(connection) >= 6)
        finally:
            for child in children:
                child.kill()
                child.wait()
        (fired,) = connection.execute("SELECT count(*) FROM public.fired").fetchone() or (0,)
        slots = [row[0] for row in connection.execute("SELECT run_at FROM dash.job ORDER BY run_at").fetchall()]
        begun = connection.execute("SELECT count(*) FROM dash.job WHERE attempt > 0").fetchone()
    assert len(slots) == len(set(slots))
    assert begun is not None
    assert begun[0] - 4 <= fired <= begun[0]  # each of the killed may have begun one and not have written it
    steps = {later - earlier for earlier, later in pairwise(slots)}
    assert steps <= {timedelta(seconds=1), timedelta(seconds=2), timedelta(seconds=3)}  # a busy machine may skip some


def _done(connection: psycopg.Connection[tuple[int]]) -> int:
    row = connection.execute("SELECT count(*) FROM dash.job WHERE state = 'done'").fetchone()
    return 0 if row is None else row[0]


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.1)
