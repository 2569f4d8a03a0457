"""Upgrades by two real releases under a real systemd: forth, back, by upload, broken, cut short, refused. Minutes."""

import faulthandler
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.integration.machine import missing

ROOT = Path(__file__).resolve().parents[2]
RELEASES = os.environ.get("UPGRADE_RELEASES")
ABSENT = missing() or (
    "needs two releases in $UPGRADE_RELEASES: python tests/integration/two_releases.py FOLDER"
    if RELEASES is None
    else ""
)
INSIDE = 'ip link set lo up; exec "$0" -m tests.integration.upgraded_flow "$@"'

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(ABSENT), reason=ABSENT)]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What happened, all of it in one machine without a network."""
    faulthandler.cancel_dump_traceback_later()  # it takes longer than a test that hangs is given
    command = ["unshare", "--net", "bash", "-eu", "-c", INSIDE, sys.executable, str(RELEASES)]
    answer = subprocess.run(
        [*command, str(tmp_path_factory.mktemp("machine"))], capture_output=True, text=True, timeout=3600, cwd=ROOT
    )
    assert answer.returncode == 0, answer.stderr[-20_000:]
    found: dict[str, Any] = json.loads(answer.stdout.splitlines()[-1])
    (ROOT / "artefacts").mkdir(exist_ok=True)
    (ROOT / "artefacts" / "upgraded.json").write_text(json.dumps(found, indent=1))
    return found


def well(told: dict[str, Any], version: str) -> None:
    """Every acknowledged event is there once, and ``version`` is what runs."""
    assert told["same"], told
    assert told["received"] == told["stored"] == told["rows"] == told["acknowledged"], told
    assert (told["current"], told["answers"], told["under_way"]) == (f"releases/{version}", version, False), told


@pytest.fixture(scope="module")
def versions(seen: dict[str, Any]) -> tuple[str, str]:
    return seen["versions"]["before"], seen["versions"]["after"]


def test_what_stands_in_the_way_is_said_before_anything_is_touched(seen: dict[str, Any]) -> None:
    assert "it is not the file that was signed" in seen["forged"]["err"]
    assert "it is signed by a key that this version does not know" in seen["foreign"]["err"]
    assert "leaves out" in seen["skipping"]["out"]
    assert "is older than" in seen["older"]["out"]
    assert "MiB have to stay free" in seen["full"]["out"]
    assert "the licence covers releases until 2021-01-01" in seen["unlicensed"]["out"]
    refused = [seen[one]["code"] for one in ("forged", "foreign", "skipping", "older", "full", "unlicensed")]
    assert refused == [1] * 6
    assert seen["unlicensed_uploaded"]["code"] == 409
    assert "the licence covers releases until 2021-01-01" in seen["unlicensed_uploaded"]["told"]
    assert (seen["untouched"], seen["dry_run"]["code"], seen["dry_run_untouched"]) == (True, 0, True), seen["dry_run"]


def test_one_that_is_broken_goes_back_by_itself(seen: dict[str, Any], versions: tuple[str, str]) -> None:
    before, _ = versions
    broken = seen["broken"]
    assert (broken["code"], "this release is broken" in broken["err"]) == (1, True), broken
    assert seen["taken_by_the_broken_one"] > 0
    assert "this release is broken" in seen["broken_last"]["trouble"]
    for told in (broken, seen["broken_rebooted"]):
        well(told, before)


def test_forth_and_back(seen: dict[str, Any], versions: tuple[str, str]) -> None:
    before, after = versions
    assert seen["good"]["code"] == 0, seen["good"]
    assert seen["good_schema"] == "9999"
    for told in (seen["good"], seen["good_rebooted"]):
        well(told, after)
    assert seen["no_snapshot"]["code"] == 78
    assert "the upgrade took --snapshot 2" in seen["no_snapshot"]["err"]
    assert (seen["back"]["code"], seen["back_last"]["after"]) == (0, before), seen["back"]
    assert seen["back_schema"] != "9999"
    for told in (seen["back"], seen["back_rebooted"]):
        well(told, before)


def test_by_upload_the_unit_of_roots_does_it(seen: dict[str, Any], versions: tuple[str, str]) -> None:
    before, after = versions
    well(seen["uploaded_broken"], before)
    assert "this release is broken" in seen["uploaded_broken_last"]["trouble"]
    well(seen["uploaded"], after)
    assert seen["uploaded_last"]["trouble"] is None
    assert seen["uploaded_left"] is None  # what is in use does not wait any more
    well(seen["uploaded_back"], before)


@pytest.mark.parametrize("step", ["snapshot", "switch", "health"])
def test_killed_in_the_middle(seen: dict[str, Any], versions: tuple[str, str], step: str) -> None:
    assert "--resume" in seen[f"again_{step}"]["err"]
    well(seen[f"resumed_{step}"], versions[0])


def test_told_to_end_cut_off_and_without_power(seen: dict[str, Any], versions: tuple[str, str]) -> None:
    before, after = versions
    assert "it was interrupted (SIGTERM)" in seen["terminated"]["out"]
    well(seen["terminated_after"], before)
    assert seen["hung_up"]["code"] == 0, seen["hung_up"]
    well(seen["hung_up_after"], after)
    well(seen["powerless_rebooted"], before)
    well(seen["helper_killed"], before)
    assert "it was cut short" in seen["helper_killed_last"]["trouble"]


def test_the_log_is_whole_at_the_end(seen: dict[str, Any]) -> None:
    assert seen["verified"]["code"] == 0, seen["verified"]
    assert seen["owners"] == ["dash-appliance"]
