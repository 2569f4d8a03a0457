"""A disk that is full while history is rebuilt, and on which the appliance is killed and started again while it is.

Beside ``test_full_disk``: that one is about senders, people and the reserve. The control has a disk that stays full.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.faults import Subject, until
from tests.crash.test_full_disk import as_root, fill

SIZE = 48 << 20


@pytest.fixture
def subject(made_subject: Subject, tmp_path: Path) -> Iterator[Subject]:
    """A copy on a disk of 48 MiB."""
    disk = tmp_path / "data"
    disk.mkdir()
    as_root("mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=0700,uid={os.getuid()}", "tmpfs", str(disk))
    copy = made_subject.copied(tmp_path)
    try:
        yield copy
    finally:
        copy.appliance.stop()
        as_root("umount", "--lazy", str(disk))


def test_full_during_a_replay_and_a_kill(subject: Subject) -> None:
    subject.appliance.start()
    with subject.sending(pad=100) as sender:
        with subject.appliance.client() as client:
            client.post(f"{subject.path}/replays", json={"version": 2}).raise_for_status()
        ballast = fill(subject.appliance.data_dir)
        subject.await_reason("disk", "receiving and refining wait")
        until(lambda: sender.answers[503], lambda: sender.answers)
        subject.appliance.kill()
        subject.appliance.start()  # on a disk without a byte
        subject.await_reason("disk", "receiving and refining wait")
        assert subject.rows()[0]["number"] == 0
        refused, before = sender.answers[503], subject.acknowledged
        until(lambda: sender.answers[503] > refused + 3, lambda: sender.answers)
        assert subject.acknowledged == before
        ballast.unlink()
        subject.await_replay("swapped")
        until(lambda: subject.acknowledged > before, lambda: (sender.answers, sender.trouble))
    subject.check()
    subject.verify()


def test_the_control_a_disk_that_stays_full_stays_named(subject: Subject) -> None:
    subject.appliance.start()
    fill(subject.appliance.data_dir)
    subject.await_reason("disk", "receiving and refining wait")
    with pytest.raises(AssertionError, match="not well again"):
        until(subject.ready, lambda: "not well again", seconds=5)
