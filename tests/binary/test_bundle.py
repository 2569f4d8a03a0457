"""What the built bundle says of itself is so, and it brings the licences of everything inside."""

import hashlib
import json
import os
import subprocess
from pathlib import Path

import pytest

from appliance.release.manifest import FILE, decoded
from appliance.release.verify import manifest_in

pytestmark = pytest.mark.binary


def test_the_manifest_names_every_file_as_it_is(program: Path) -> None:
    told = decoded((program / FILE).read_bytes())
    there = {str(path.relative_to(program)) for path in program.rglob("*") if path.is_symlink() or path.is_file()}
    assert {entry.path for entry in told.files} == there - {FILE}
    for entry in told.files:
        path = program / entry.path
        if entry.link:
            assert os.readlink(path) == entry.link
        else:
            assert hashlib.sha256(path.read_bytes()).hexdigest() == entry.sha256
            assert os.access(path, os.X_OK) == entry.runs
    assert [entry.path for entry in told.files if entry.runs] == ["dash-appliance", "installer/install.sh"]


def test_the_archive_begins_with_its_manifest(program: Path) -> None:
    (archive,) = program.parent.glob("*.tar.xz")
    assert manifest_in(archive) == decoded((program / FILE).read_bytes())


def test_licences_of_everything_inside(program: Path) -> None:
    command = [str(program / "dash-appliance"), "version", "--licenses"]
    told = subprocess.run(command, capture_output=True, text=True, check=True, env={}).stdout
    for line in ("cpython 3.11", "duckdb ", "openssl " if "\nopenssl " in told else "libssl3 "):
        assert f"\n{line}" in told
    packed = json.loads((program.parent.parent / "build" / "inventory.json").read_text())
    for one in (part for whole in packed for part in (whole, *whole["inside"])):
        assert f"{one['name']} {one['version']}".rstrip() + f": {one['licence']}\n" in told
    assert {"authlib", "joserfc"} <= {line.split()[0].lower() for line in told.splitlines() if line.strip()}
    assert "PYTHON SOFTWARE FOUNDATION LICENSE" in told
    assert "readline" not in {path.name.split(".")[0] for path in (program / "lib").rglob("*.so*")}


def test_shells_complete_commands(program: Path) -> None:
    environment = {"COMP_WORDS": "dash-appliance ver", "COMP_CWORD": "1", "_DASH_APPLIANCE_COMPLETE": "bash_complete"}
    answer = subprocess.run(
        [str(program / "dash-appliance")], capture_output=True, text=True, check=True, env=environment
    )
    assert answer.stdout.split() == ["plain,verify", "plain,version"]
