"""The job queue and the audit chain under several writers, on a real PostgreSQL."""

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

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
