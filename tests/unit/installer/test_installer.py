"""installer/install.sh below a directory of our own, with a program that only knows its version."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
SCRIPTS = sorted([*ROOT.glob("installer/*.sh"), *ROOT.glob("packaging/*.sh"), *ROOT.glob("packaging/debian/p*[a-z]")])


def bundle(at: Path, version: str, content: str = "") -> Path:
    """Make a bundle as build.py does, with a script in the place of the program."""
    (at / "installer" / "completion").mkdir(parents=True)
    (at / "dash-appliance").write_text(f"#!/bin/sh\n# {content}\necho dash-appliance {version}\n")
    (at / "dash-appliance").chmod(0o755)
    (at / "release.json").write_text(f'{{"version": "{version}", "content": "{content}"}}\n')
    for file in (ROOT / "installer").iterdir():
        if file.is_file():
            (at / "installer" / file.name).write_bytes(file.read_bytes())
            (at / "installer" / file.name).chmod(file.stat().st_mode)
    for name in ("dash-appliance.bash", "_dash-appliance", "dash-appliance.fish"):
        (at / "installer" / "completion" / name).write_text("complete\n")
    return at


def run(made: Path, *arguments: str, root: Path) -> str:
    command = ["sh", str(made / "installer" / "install.sh"), *arguments, "--root", str(root)]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert answer.returncode == 0, answer.stderr
    assert answer.stderr == ""
    return answer.stdout


def tree(root: Path) -> dict[str, tuple[int, int, str]]:
    """Return everything below ``root``: mode, when it was changed, and content or target."""
    return {
        str(path.relative_to(root)): (
            path.lstat().st_mode,
            path.lstat().st_ctime_ns,
            os.readlink(path) if path.is_symlink() else path.read_text() if path.is_file() else "",
        )
        for path in root.rglob("*")
    }


@pytest.fixture
def first(tmp_path: Path) -> Path:
    return bundle(tmp_path / "first", "1.0.0")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


def test_a_dry_run_changes_nothing_and_says_everything(first: Path, root: Path) -> None:
    told = run(first, "--dry-run", root=root)
    assert tree(root) == {}
    assert told.endswith("That was a dry run: nothing was changed.\n")
    for place in (
        "releases/1.0.0",
        "dash-appliance-resume.service",
        "/usr/bin/dash-appliance",
        "dash-appliance.service",
        "credentials/database.url",
    ):
        assert place in told


def test_installed_and_again_and_a_newer_one(first: Path, root: Path, tmp_path: Path) -> None:
    assert "Installed: dash-appliance 1.0.0." in run(first, root=root)
    opt, etc = root / "opt" / "dash-appliance", root / "etc" / "dash-appliance"
    assert os.readlink(opt / "current") == "releases/1.0.0"
    assert os.readlink(root / "usr/bin/dash-appliance") == "/opt/dash-appliance/current/dash-appliance"
    modes = {path: oct((root / path).stat().st_mode & 0o777) for path in (
        "var/lib/dash-appliance", "etc/dash-appliance", "etc/dash-appliance/credentials",
        "etc/dash-appliance/credentials/database.url", "etc/dash-appliance/dash-appliance.toml",
        "etc/systemd/system/dash-appliance.service", "opt/dash-appliance/releases/1.0.0",
    )}  # fmt: skip
    assert list(modes.values()) == ["0o700", "0o750", "0o700", "0o600", "0o640", "0o644", "0o755"]
    assert "Nothing to do" in run(first, root=root)
    (etc / "dash-appliance.toml").write_text("[server]\nport = 9000\n")
    (etc / "credentials" / "database.url").write_text("postgresql://…")
    run(first, root=root)  # lays the example beside the changed settings
    before = tree(root)
    assert "Nothing to do: dash-appliance 1.0.0 is installed." in run(first, root=root)
    assert tree(root) == before
    assert "Dash is at http://127.0.0.1:9000/" in run(bundle(tmp_path / "next", "1.1.0"), root=root)
    assert os.readlink(opt / "current") == "releases/1.1.0"
    assert sorted(path.name for path in (opt / "releases").iterdir()) == ["1.0.0", "1.1.0"]
    assert (etc / "dash-appliance.toml").read_text() == "[server]\nport = 9000\n"
    assert (etc / "credentials" / "database.url").read_text() == "postgresql://…"


def test_a_release_that_comes_by_an_upgrade_brings_what_lies_outside_of_it(
    first: Path, root: Path, tmp_path: Path
) -> None:
    run(first, root=root)
    units, opt = root / "etc/systemd/system", root / "opt/dash-appliance"
    (units / "multi-user.target.wants/dash-appliance-upgrade.path").unlink()  # switched off by somebody
    settings = (root / "etc/dash-appliance/dash-appliance.toml").stat().st_mtime_ns
    newer = bundle(tmp_path / "next", "1.1.0")
    (newer / "installer/dash-appliance.service").write_text("[Service]\nWatchdogSec=30\n")
    run(newer, "refresh", root=root)
    assert (units / "dash-appliance.service").read_text() == "[Service]\nWatchdogSec=30\n"
    assert not (units / "multi-user.target.wants/dash-appliance-upgrade.path").exists()
    assert os.readlink(opt / "current") == "releases/1.0.0"  # others exchange that
    assert (root / "etc/dash-appliance/dash-appliance.toml").stat().st_mtime_ns == settings


def test_another_build_of_the_same_version_takes_its_place(first: Path, root: Path, tmp_path: Path) -> None:
    run(first, root=root)
    run(bundle(tmp_path / "other", "1.0.0", content="mended"), root=root)
    home = root / "opt" / "dash-appliance" / "releases"
    assert [path.name for path in home.iterdir()] == ["1.0.0"]
    assert "mended" in (home / "1.0.0" / "dash-appliance").read_text()


def test_uninstalling_keeps_data_and_purging_does_not(first: Path, root: Path) -> None:
    run(first, root=root)
    (root / "var/lib/dash-appliance/control.sqlite3").write_text("data")
    before = tree(root)
    assert "would run: rm -rf" in run(first, "uninstall", "--purge", "--dry-run", root=root)
    assert tree(root) == before
    assert "Kept: /var/lib/dash-appliance" in run(first, "uninstall", root=root)
    left = sorted(name for name, (_, _, content) in tree(root).items() if content)
    assert left == ["etc/dash-appliance/dash-appliance.toml", "var/lib/dash-appliance/control.sqlite3"]
    run(first, "uninstall", "--purge", root=root)
    assert not list(root.rglob("*dash*"))


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["--purge"], 2, "--purge belongs to uninstall"),
        (["--prefix", "/x"], 2, "there is no option '--prefix'"),
        (["--bundle"], 2, "--bundle needs a path"),
        (["install", "uninstall"], 2, "one of install, refresh and uninstall at a time"),
        (["--bundle", "/nowhere"], 1, "there is no program in /nowhere; say where it is: --bundle PATH"),
    ],
)
def test_what_cannot_be_done_is_said(first: Path, root: Path, arguments: list[str], code: int, told: str) -> None:
    command = ["sh", str(first / "installer" / "install.sh"), "--root", str(root), *arguments]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (answer.returncode, told in answer.stderr) == (code, True), answer.stderr
    assert tree(root) == {}


def test_something_else_at_our_place_is_not_overwritten(first: Path, root: Path) -> None:
    (root / "usr/bin").mkdir(parents=True)
    (root / "usr/bin/dash-appliance").write_text("of somebody else")
    command = ["sh", str(first / "installer" / "install.sh"), "--root", str(root)]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert answer.returncode == 1
    assert answer.stderr == "error: /usr/bin/dash-appliance is not a link of ours; move it away first\n"


def test_shellcheck_has_nothing_to_say() -> None:
    answer = subprocess.run(["shellcheck", *map(str, SCRIPTS)], capture_output=True, text=True, timeout=60, cwd=ROOT)
    assert answer.returncode == 0, answer.stdout
