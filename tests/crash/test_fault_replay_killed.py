"""kill -9 at single writes and syncs of a replay and its exchange, deeper than what it tells of (test_replay_killed).

strace kills the appliance when a thread makes its n-th write or sync of the file of rows' log, or of the book of
replays. No sender posts meanwhile, so nearly all writes are the replay's. After the next start it goes on by itself.
The control takes the book back to before the exchange.
"""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.crash.faults import WITHIN_SECS, Disturbed, Subject

ROWS = [
    "write:signal=KILL:when=5",  # one thread makes five: the commit of rows
    pytest.param("write:signal=KILL:when=2", marks=pytest.mark.slow),
    pytest.param("write:signal=KILL:when=4", marks=pytest.mark.slow),
    pytest.param("fdatasync:signal=KILL:when=2", marks=pytest.mark.slow),
]  # fmt: skip
BOOK = [
    "pwrite64:signal=KILL:when=20",
    pytest.param("pwrite64:signal=KILL:when=5", marks=pytest.mark.slow),
    pytest.param("fdatasync:signal=KILL:when=3", marks=pytest.mark.slow),
]


@pytest.fixture
def subject(made_subject: Subject, tmp_path: Path) -> Iterator[Subject]:
    copy = made_subject.copied(tmp_path)
    copy.appliance.start()
    try:
        yield copy
    finally:
        copy.appliance.stop()


def kill_at(subject: Subject, file: Path, inject: str) -> None:
    disturbed = Disturbed(subject.appliance.pid, subject.appliance.folder / "trace", inject, paths=(file,))
    with disturbed, subject.appliance.client() as client:
        with contextlib.suppress(httpx.TransportError):  # it may be dead by then
            client.post(f"{subject.path}/replays", json={"version": 2}).raise_for_status()
        subject.appliance.wait_dead(WITHIN_SECS)


def book_of(subject: Subject) -> Path:
    return subject.control.with_name("control.sqlite3-wal")


@pytest.mark.parametrize("inject", ROWS)
def test_killed_at_a_write_of_rows(subject: Subject, inject: str) -> None:
    kill_at(subject, subject.silver.with_name(f"{subject.silver.name}.wal"), inject)
    goes_on(subject)


@pytest.mark.parametrize("inject", BOOK)
def test_killed_at_a_write_of_the_book(subject: Subject, inject: str) -> None:
    kill_at(subject, book_of(subject), inject)
    goes_on(subject)


def goes_on(subject: Subject) -> None:
    """Start it again; a replay that was in the book is finished, one that was not is not there at all."""
    subject.appliance.start()
    if subject.replays():
        subject.await_replay("swapped")
    subject.send(100)
    subject.check()
    subject.verify()


@pytest.mark.slow
def test_the_control_a_book_from_before_the_exchange(subject: Subject, tmp_path: Path) -> None:
    assert subject.appliance.stop() == 0
    before = tmp_path / "before"
    shutil.copy(subject.control, before)
    subject.appliance.start()
    subject.replay(2)
    subject.check()
    assert subject.appliance.stop() == 0
    shutil.copy(before, subject.control)
    subject.appliance.start()
    subject.send(100)
    with pytest.raises(AssertionError):
        subject.check()  # new rows by one version, old ones by the other
