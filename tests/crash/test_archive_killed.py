"""Archiving, evicting, fetching, erasing, expiring, deleting and restoring end at every call of the system they make.

After each death the log is opened as after any crash: every event is answered, the same work done again ends where it
ends undisturbed, and the archive holds nothing that was erased or deleted.

**The control**: the same harness finds fault with an eviction that removes the file before the archive has it.

**What it does not show**: a kill leaves the page cache, so that a missing fsync goes unseen here.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).parents[2]


def deaths(folder: Path, operation: str) -> dict[str, Any]:
    command = [sys.executable, "-B", "-m", "tests.crash.archive_steps", str(folder), operation]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


@pytest.mark.parametrize(
    ("operation", "least"),
    [("archive", 50), ("evict", 10), ("fetch", 20), ("erase", 40), ("expire", 15), ("delete", 30), ("restore", 40)],
)
def test_killed_before_any_call(tmp_path: Path, operation: str, least: int) -> None:
    found = deaths(tmp_path, operation)
    assert found["wrong"] == {}
    assert found["calls"] >= least


def test_the_control_finds_fault_with_carelessness(tmp_path: Path) -> None:
    assert deaths(tmp_path, "careless evict")["wrong"] != {}
