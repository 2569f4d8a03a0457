"""The .run file in clean systems, older and newer ones than the one it was built on; each minutes long."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
OF_USERADD = ("etc/.pwd.lock", "etc/group-", "etc/gshadow-", "etc/passwd-", "etc/shadow-", "etc/subgid-", "etc/subuid-")
# /tmp is mounted noexec, and there is no network but the loopback.
_INSIDE = """
set -eu
mount --make-rprivate /
mount -t proc proc "$1/proc"
mount -t tmpfs -o noexec,nosuid,mode=1777 tmpfs "$1/tmp"
ip link set lo up
exec "$2" "$3" "$1" "$4"
"""


@pytest.fixture(scope="module")
def runnable() -> Path:
    (found,) = (ROOT / "dist").glob("dash-appliance-*.run")
    return found


@pytest.fixture(params=["bullseye", "bookworm", "trixie"])
def system(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A minimal system of its own, from CLEAN_SYSTEMS where one lies ready."""
    kept = Path(os.environ.get("CLEAN_SYSTEMS", "/nowhere")) / str(request.param)
    at = tmp_path / "system"
    if kept.is_dir():
        shutil.copytree(kept, at, symlinks=True, ignore=lambda folder, names: names if folder.endswith("/dev") else [])
        (at / "dev" / "null").touch()
        (at / "dev" / "null").unlink()
        subprocess.run(["mknod", "-m", "666", str(at / "dev" / "null"), "c", "1", "3"], check=True)
        subprocess.run(["mknod", "-m", "666", str(at / "dev" / "urandom"), "c", "1", "9"], check=True)
    else:
        command = ["debootstrap", "--variant=minbase", str(request.param), str(at)]
        subprocess.run(command, check=True, capture_output=True, timeout=900)
    yield at
    shutil.rmtree(at)


@pytest.mark.skipif(os.getuid() != 0 or shutil.which("debootstrap") is None, reason="needs root and debootstrap")
def test_installed_used_and_taken_away(system: Path, runnable: Path) -> None:
    flow = str(Path(__file__).with_name("installed_flow.py"))
    command = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "bash", "-c", _INSIDE, "inside"]
    answer = subprocess.run(
        [*command, str(system), sys.executable, flow, str(runnable)], capture_output=True, text=True, timeout=1500
    )
    assert answer.returncode == 0, answer.stderr
    seen: dict[str, Any] = json.loads(answer.stdout.splitlines()[-1])
    (ROOT / "artefacts").mkdir(exist_ok=True)
    (ROOT / "artefacts" / f"installed-{system.parent.name}.json").write_text(json.dumps(seen, indent=1))
    well = {"readyz": 200, "page": 200, "stopped": 0, "log": ""}
    assert (seen["dry"]["code"], seen["dry_changed"]) == (0, []), seen["dry"]
    assert seen["first"]["code"] == 0, seen["first"]
    assert "no systemd here, so no service" in seen["first"]["out"]
    assert seen["setup"]["code"] == 0, seen["setup"]
    assert seen["served"] == well
    assert "Nothing to do" in seen["again"]["out"]
    assert seen["again_changed"] == []
    assert (seen["over"]["code"], seen["current"], seen["settings_kept"]) == (0, "releases/99.0.0", True), seen["over"]
    assert len(seen["releases"]) == 2
    assert seen["served_over"] == well
    assert (seen["removed"]["code"], seen["program_left"], seen["data_left"]) == (0, False, True)
    assert (seen["purged"]["code"], seen["user_left"]) == (0, False)
    assert [path for path in seen["left"] if path not in OF_USERADD] == []
    assert seen["secs_to_page"] <= 60
