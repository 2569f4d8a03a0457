"""Two appliances on one data directory: the second is refused and told who owns it, the first does not notice."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.faults import ENVIRONMENT, Subject, until
from tests.running import CHECKOUT, REPOSITORY, RunningAppliance, free_port

TRY_AGAIN = 75


@pytest.fixture
def subject(made_subject: Subject, tmp_path: Path) -> Iterator[Subject]:
    copy = made_subject.copied(tmp_path)
    try:
        yield copy
    finally:
        copy.appliance.stop()


@pytest.mark.parametrize("command", [("serve", "--port", "0"), pytest.param(("verify",), marks=pytest.mark.slow)])
def test_the_second_is_refused_by_the_first_ones_pid(subject: Subject, command: tuple[str, ...]) -> None:
    subject.appliance.start()
    with subject.sending():
        refused = subject.appliance.run(*command)
    assert refused.returncode == TRY_AGAIN
    assert f"belongs to the running process {subject.appliance.pid}" in refused.stderr
    subject.check()
    subject.verify()


def test_of_two_that_start_together_one_serves(subject: Subject) -> None:
    rivals = [
        subprocess.Popen(
            [*CHECKOUT, "serve", "--port", str(free_port())], env=subject.appliance.environment, cwd=REPOSITORY,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for _ in range(2)
    ]  # fmt: skip
    try:
        until(lambda: any(rival.poll() is not None for rival in rivals), lambda: "both of them run")
        (loser,) = [rival for rival in rivals if rival.poll() is not None]
        (winner,) = [rival for rival in rivals if rival is not loser]
        assert winner.stdout is not None
        assert winner.stdout.readline().startswith("ready ")
        assert loser.returncode == TRY_AGAIN
        assert f"belongs to the running process {winner.pid}" in loser.communicate(timeout=60)[1]
    finally:
        for rival in rivals:
            rival.terminate()
            rival.communicate(timeout=60)
    subject.appliance.start()
    subject.check()


def test_the_control_another_directory_is_another_appliance(subject: Subject, tmp_path: Path) -> None:
    subject.appliance.start()
    folder = tmp_path / "other"
    folder.mkdir()
    other = RunningAppliance(folder, environment=ENVIRONMENT)
    try:
        other.start()
    finally:
        other.stop()
    subject.check()
