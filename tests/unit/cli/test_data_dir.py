"""One owner a data directory."""

import fcntl
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from appliance.cli.data_dir import owned, owner
from appliance.cli.exits import CannotCreate
from appliance.errors import TransientError

HOLD = "import sys, pathlib\nfrom appliance.cli.data_dir import owned\n" \
       "with owned(pathlib.Path(sys.argv[1])):\n    print('held', flush=True)\n    sys.stdin.read()\n"  # fmt: skip


def test_made_for_its_owner_only(tmp_path: Path) -> None:
    with owned(tmp_path / "a" / "b") as data_dir:
        assert data_dir.stat().st_mode & 0o777 == 0o700
        assert (data_dir / "lock").read_text() == f"{os.getpid()}\n"


def test_a_second_process_is_refused_with_the_owners_pid(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        assert owner(tmp_path) == other.pid
        with pytest.raises(TransientError, match=f"belongs to the running process {other.pid}: stop that one"):
            owned(tmp_path).__enter__()
        other.kill()
        other.wait()
        assert owner(tmp_path) is None  # the lock goes with the process, also after SIGKILL
        with owned(tmp_path):
            assert (tmp_path / "lock").read_text() == f"{os.getpid()}\n"


@pytest.mark.parametrize("left", ["", "4194305\n"], ids=["nothing yet", "the pid of one that is gone"])
def test_an_owner_that_has_only_just_locked_is_waited_for(tmp_path: Path, left: str) -> None:
    lock = tmp_path / "lock"
    lock.write_text(left)
    with lock.open("r+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(owner, tmp_path)
            with pytest.raises(TimeoutError):
                asked.result(timeout=0.1)
            held.truncate(0)
            held.write(f"{os.getpid()}\n")
            held.flush()
            assert asked.result(timeout=10) == os.getpid()


def test_free_again_afterwards(tmp_path: Path) -> None:
    with owned(tmp_path):
        pass
    assert owner(tmp_path) is None
    with owned(tmp_path):
        pass


def test_what_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CannotCreate, match="Not a directory; give uid"), owned(tmp_path / "file" / "data"):
        pass
