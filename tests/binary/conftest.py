"""Runs the flow once, in namespaces of its own, for all tests of this folder."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.programs import chromium

ROOT = Path(__file__).resolve().parents[2]
NOBODY = 65534

# In a mount namespace: the program read-only, at a place that nobody may enter. In a network namespace: loopback only.
# In a process namespace: what is left over ends with it.
_INSIDE = """
set -eu
mount --bind "$1" "$2"
mount -o remount,bind,ro "$2"
ip link set lo up
shift 2
exec "$@"
"""


@pytest.fixture(scope="session")
def program() -> Path:
    built = ROOT / "dist" / "dash-appliance"
    assert (built / "dash-appliance").exists(), "there is no binary to test: run 'make binary' first"
    return built


@pytest.fixture(scope="session")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A directory that nobody may enter and write."""
    path = Path("/var/tmp") / f"dash-binary-{os.getpid()}"
    (path / "program").mkdir(parents=True)
    (path / "work").mkdir()
    if os.getuid() == 0:
        os.chown(path / "work", NOBODY, NOBODY)
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="session")
def seen(program: Path, scratch: Path) -> dict[str, Any]:
    """What the flow saw."""
    artefacts = ROOT / "artefacts"
    artefacts.mkdir(exist_ok=True)
    root = os.getuid() == 0
    command = [
        *(
            "unshare",
            "--net",
            "--mount",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
            *([] if root else ["--map-root-user"]),
        ),
        *("bash", "-c", _INSIDE, "inside", str(program), str(scratch / "program")),
        *(sys.executable, str(Path(__file__).with_name("flow.py")), str(scratch / "program" / "dash-appliance")),
        *(str(scratch / "work"), str(NOBODY if root else 0), str(artefacts), chromium() or ""),
    ]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=300)
    log = scratch / "work" / "log"
    assert answer.returncode == 0, answer.stderr + (log.read_text()[-4000:] if log.exists() else "")
    found: dict[str, Any] = json.loads(answer.stdout.splitlines()[-1])
    (artefacts / "binary.json").write_text(json.dumps(found, indent=1))
    return found
