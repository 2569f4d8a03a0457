"""The course of an upgrade when it is disturbed: by signals, a terminal that is gone, and another one beside it."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from appliance.errors import Conflict, NotFound
from appliance.settings.sections import Server
from appliance.upgrading.course import Course, Data, Step
from appliance.upgrading.health import Gate
from appliance.upgrading.releases import Releases
from appliance.upgrading.service import Standing, said_in
from appliance.upgrading.undisturbed import alone
from tests.unit.upgrading.test_upgrading import manifest

# A release whose commands are a script that writes down what it was asked for.
COMMANDS = """#!/bin/sh
echo "$(basename "$(dirname "$0")") $1 $2 $3 $4" >> "$(dirname "$0")/../../asked"
case "$3" in
    take) echo '{"id": "20260101T000000Z-aaaaaa"}' ;;
    list) cat "$(dirname "$0")/../../snapshots.json" ;;
esac
"""


class Runs(Standing):
    """A service that comes up at once, unless ``start`` is disturbed."""

    starts = True

    def __init__(self) -> None:
        self.adopted: list[str] = []
        self.at_start: Callable[[], None] = lambda: None

    def start(self) -> None:
        at_start, self.at_start = self.at_start, lambda: None
        at_start()

    def adopt(self, release: Path) -> str | None:
        self.adopted.append(release.name)
        return "unit files stay as they were"


class Well(Gate):
    def __init__(self) -> None:
        super().__init__(Server(data_dir=Path("/nowhere")), 1)

    def trouble(self, version: str, service: object) -> str | None:
        return None


class Trial:
    def __init__(self, home: Path) -> None:
        for version in ("1.0.0", "1.1.0"):
            folder = home / "releases" / version
            folder.mkdir(parents=True)
            (folder / "release.json").write_bytes(msgspec.json.encode(manifest(version)))
            (folder / "dash-appliance").write_text(COMMANDS)
            (folder / "dash-appliance").chmod(0o755)
        self.home, self.releases, self.service = home, Releases(home), Runs()
        self.releases.use("1.0.0")
        self.steps: list[Step] = []
        self.gone = False
        data = Data(home, None, os.getuid())
        self.course = Course(self.releases, self.service, data, Well(), self._said)

    def _said(self, step: Step, about: str) -> None:
        self.steps.append(step)
        if self.gone:
            raise OSError(5, "Input/output error")

    @property
    def asked(self) -> list[str]:
        return (self.home / "asked").read_text().splitlines()


@pytest.fixture
def trial(tmp_path: Path) -> Trial:
    return Trial(tmp_path)


def test_a_terminal_that_is_gone_and_old_unit_files_stop_nothing(trial: Trial) -> None:
    trial.gone = True
    trial.service.at_start = lambda: os.kill(os.getpid(), signal.SIGHUP)
    outcome = trial.course.run("1.1.0")
    assert (outcome.trouble, outcome.snapshot) == (None, "20260101T000000Z-aaaaaa")
    assert (trial.releases.current, trial.service.adopted) == ("1.1.0", ["1.1.0"])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_whoever_ends_it_in_the_middle_finds_it_undone(trial: Trial, number: signal.Signals) -> None:
    before = signal.getsignal(number)
    trial.service.at_start = lambda: os.kill(os.getpid(), number)
    outcome = trial.course.run("1.1.0")
    assert outcome.trouble == f"it was interrupted ({number.name})"
    assert (trial.releases.current, trial.service.adopted) == ("1.0.0", ["1.1.0", "1.0.0"])
    assert trial.asked[-1] == "1.0.0 backup snapshot put-back 20260101T000000Z-aaaaaa"
    assert trial.steps[-2:] == [Step.BACK, Step.SWITCH]
    assert (trial.releases.noted(dict), signal.getsignal(number)) == (None, before)


def test_nothing_that_was_cut_short_is_not_undone(trial: Trial) -> None:
    with pytest.raises(NotFound, match="no upgrade was cut short"):
        trial.course.take_up()


def test_snapshots_go_with_their_releases_and_one_of_each_other_release_stays(trial: Trial) -> None:
    listed = [
        {"id": "a", "version": "0.9.0", "why": "before 1.0.0"}, {"id": "b", "version": "1.0.0", "why": "before 1.1.0"},
        {"id": "c", "version": "1.0.0", "why": "by hand"}, {"id": "d", "version": "1.0.0", "why": "before 1.1.0"},
    ]  # fmt: skip
    (trial.home / "snapshots.json").write_bytes(msgspec.json.encode({"items": listed}))
    trial.course.tidy(["0.9.0"])
    assert [one for one in trial.asked if "drop" in one] == [f"1.0.0 backup snapshot drop {one}" for one in "ab"]
    (trial.home / "snapshots.json").write_text("not JSON")
    trial.course.tidy(["0.9.0"])  # no failure of the upgrade


def test_one_upgrade_at_a_time(tmp_path: Path) -> None:
    told = rf"an upgrade is under way \(process {os.getpid()}\)"
    with alone(tmp_path), pytest.raises(Conflict, match=told), alone(tmp_path):
        pass
    with alone(tmp_path):
        pass


def test_the_last_words_of_a_log_are_for_people() -> None:
    assert said_in('{"event": "start.failed", "reason": "no room", "level": "error"}') == "start.failed: no room"
    assert said_in("Illegal instruction") == "Illegal instruction"
    assert len(said_in("x" * 10_000)) == 500
