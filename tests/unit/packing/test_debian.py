"""The Debian package needs nothing that a minimal system without network does not have."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
DEBIAN = ROOT / "packaging" / "debian"
# Of Debian 11 to 13 as debootstrap --variant=minbase makes them: essential, or needed by what is.
THERE = {"libc6", "passwd", "zlib1g"}


def test_what_it_depends_on_is_there() -> None:
    control = (DEBIAN / "control").read_text()
    needed = re.findall(r"^(?:Pre-)?Depends: (.*)$", control, re.MULTILINE)
    assert {name.split()[0] for line in needed for name in line.split(", ")} == THERE


def test_its_scripts_make_the_user_by_what_is_there() -> None:
    for script in ("postinst", "postrm"):
        text = (DEBIAN / script).read_text()
        assert not re.search(r"^[^#]*\b(adduser|addgroup|deluser|delgroup) ", text, re.MULTILINE), script


def test_where_its_files_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not into /lib: that is a link of the system to /usr/lib since Debian 12, and no package's own."""
    monkeypatch.syspath_prepend(str(ROOT / "packaging"))
    deb = __import__("deb")
    monkeypatch.setattr(deb, "STAGE", tmp_path / "stage")
    folder = tmp_path / "dash-appliance"
    shutil.copytree(ROOT / "installer", folder / "installer")
    (folder / "installer" / "completion").mkdir()
    for name in ("dash-appliance.bash", "_dash-appliance", "dash-appliance.fish"):
        (folder / "installer" / "completion" / name).write_text("complete\n")
    release = {"version": "1.2.3", "machine": "x86_64", "glibc": "2.30", "commit_time": 1}
    (folder / "release.json").write_text(json.dumps(release))
    made = deb.build(folder, tmp_path)
    listed = subprocess.run(["dpkg-deb", "--contents", str(made)], capture_output=True, text=True, check=True).stdout
    paths = [line.split()[5] for line in listed.splitlines()]
    assert {path.split("/")[1] for path in paths if path != "./"} == {"etc", "opt", "usr"}
    assert "./usr/lib/systemd/system/dash-appliance.service" in paths
    assert "./opt/dash-appliance/releases/1.2.3/release.json" in paths
