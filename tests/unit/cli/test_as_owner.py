"""Root acts as the user whom the data belong to: what it leaves there the service can write, and no link leads it."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from appliance.cli.data_dir import asked_as_owner
from appliance.cli.main import Readable
from appliance.settings.load import AS_ROOT

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
NOBODY = 65534
ACTS = """
import os, pathlib, sys
from appliance.cli.data_dir import owned
place = pathlib.Path(sys.argv[1])
with owned(place, as_owner=sys.argv[2] == "as owner"):
    (place / "made").touch()
print(os.getuid(), os.getgid(), sorted(os.getgroups()))
"""


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """Below /tmp, where nobody may go: folders of tests are for root alone."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        place = Path(folder) / "data"
        place.mkdir(mode=0o700)
        os.chown(place, NOBODY, NOBODY)
        yield place


def acts(data_dir: Path, how: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", ACTS, data_dir, how], capture_output=True, text=True, check=False)


def test_what_root_makes_belongs_to_whom_the_data_belong(data_dir: Path) -> None:
    done = acts(data_dir, "as owner")
    assert done.stdout.split(None, 2)[:2] == [str(NOBODY), str(NOBODY)], done.stderr
    assert "[0" not in done.stdout
    assert {path.stat().st_uid for path in data_dir.iterdir()} == {NOBODY}


def test_who_serves_says_as_whom(data_dir: Path) -> None:
    assert acts(data_dir, "as itself").stdout.startswith("0 0 ")


def test_a_link_that_the_service_left_does_not_lead_root(data_dir: Path) -> None:
    victim = data_dir.parent / "victim"
    victim.write_text("of root's")
    (data_dir / "lock").symlink_to(victim)
    done = acts(data_dir, "as owner")
    assert done.returncode != 0
    assert "give uid 65534 write permission" in done.stderr
    assert victim.read_text() == "of root's"


def test_root_asks_as_the_owner_and_stays_root(data_dir: Path) -> None:
    assert asked_as_owner(data_dir, lambda: str(os.getuid())) == str(NOBODY)
    assert (asked_as_owner(data_dir, lambda: str(1 // 0)), os.getuid()) == ("", 0)
    assert asked_as_owner(Path("/root"), lambda: str(os.getuid())) == "0"


def test_who_may_not_read_the_settings_is_told_who_may(data_dir: Path) -> None:
    os.setresuid(12345, 12345, 0)
    try:
        with pytest.raises(click.BadParameter, match=AS_ROOT):
            Readable().convert(str(data_dir), None, None)
    finally:
        os.setresuid(0, 0, 0)
    assert Readable().convert(str(data_dir), None, None) == str(data_dir)
