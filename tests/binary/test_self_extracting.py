"""The one file that unpacks itself once."""

import os
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.binary

ROOT = Path(__file__).resolve().parents[2]
MOST_BYTES = 100_000_000


@pytest.fixture(scope="module")
def runnable() -> Path:
    (found,) = (ROOT / "dist").glob("dash-appliance-*.run")
    return found


def run(runnable: Path, *arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(runnable), *arguments], capture_output=True, text=True, env=env or {}, timeout=120)


def test_small_enough(runnable: Path) -> None:
    assert runnable.stat().st_size <= MOST_BYTES
    assert next((ROOT / "dist").glob("*.tar.xz")).stat().st_size <= MOST_BYTES


def test_unpacks_once_and_runs(runnable: Path, tmp_path: Path) -> None:
    first = run(runnable, "--extract-to", str(tmp_path), "version")
    assert (first.returncode, first.stdout, first.stderr) == (0, "dash-appliance 0.1.0\n", "")
    (home,) = tmp_path.iterdir()
    made = (home / "dash-appliance").stat().st_ctime_ns
    assert run(runnable, f"--extract-to={tmp_path}", "version").stdout == "dash-appliance 0.1.0\n"
    assert [path.name for path in tmp_path.iterdir()] == [home.name]
    assert (home / "dash-appliance").stat().st_ctime_ns == made


def test_two_at_once_end_with_one_whole_copy(runnable: Path, tmp_path: Path) -> None:
    command = [str(runnable), "--extract-to", str(tmp_path), "version"]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={}) for _ in range(2)]
    assert [one.communicate(timeout=120)[0] for one in both] == ["dash-appliance 0.1.0\n"] * 2
    assert len(list(tmp_path.iterdir())) == 1


def test_without_a_home_it_says_what_to_do(runnable: Path) -> None:
    answer = run(runnable, "version")
    assert answer.returncode == 73
    assert answer.stderr == (
        "error: unpacking Dash: this user has no home directory; say --extract-to DIR first, a directory it may write\n"
    )


def test_below_the_cache_of_the_user_by_default(runnable: Path, tmp_path: Path) -> None:
    assert run(runnable, "version", env={"HOME": str(tmp_path)}).returncode == 0
    assert len(list((tmp_path / ".cache" / "dash-appliance").glob("dash-appliance-0.1.0-*"))) == 1


def test_a_damaged_file_is_refused_and_leaves_nothing(runnable: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.run"
    content = bytearray(runnable.read_bytes())
    content[-1000] ^= 1
    damaged.write_bytes(content)
    os.chmod(damaged, 0o755)
    (tmp_path / "into").mkdir()
    answer = run(damaged, "--extract-to", str(tmp_path / "into"), "version")
    assert answer.returncode == 1
    assert "is damaged (SHA-256 " in answer.stderr
    assert list((tmp_path / "into").iterdir()) == []
