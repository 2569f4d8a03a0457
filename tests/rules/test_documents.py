"""Documents say what is so: generated pages, links, and the commands they name."""

import re
import subprocess
import sys
from pathlib import Path

from appliance.cli.main import COMMANDS
from appliance.settings import ObjectStorage
from appliance.settings.declared import declared

LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)")
TARGET = re.compile(r"^([a-z][a-z-]*):", re.MULTILINE)
MAKE = re.compile(r"(?:^|`|\n)make ([a-z][a-z-]*)")
COMMAND = re.compile(r"(?:^|`|\n|'|-m )(?:dash-appliance|appliance) ([a-z][a-z-]*)")


def pages(root: Path, files: list[Path]) -> dict[Path, str]:
    return {file: (root / file).read_text("utf-8") for file in files if file.suffix == ".md"}


def test_generated_pages_are_up_to_date(root: Path) -> None:
    command = [sys.executable, "docs/generate.py", "--check"]
    answer = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr


def test_every_setting_is_documented(root: Path) -> None:
    page = (root / "docs/reference/settings.md").read_text()
    assert [one.key for one in declared() if f"### `{one.key}`" not in page or one.variable not in page] == []


def test_every_setting_is_used(root: Path) -> None:
    """One that does nothing is a lie in the reference."""
    files = (path for path in (root / "appliance").rglob("*.py") if path.parent.name != "settings")
    readers = [text for text in (path.read_text() for path in files) if "settings." in text]

    def is_read(section: str, name: str) -> bool:
        if name in ObjectStorage.__struct_fields__ and any(f"access_to(settings.{section}" in text for text in readers):
            return True  # which reads all of them
        whole, alias = f"{section}.{name}", re.compile(rf"settings\.{section}\b(?s:.*)\.{name}\b")
        return any(whole in text or alias.search(text) for text in readers)

    assert [one.key for one in declared() if not is_read(one.section, one.name)] == []


def test_every_make_target_that_is_named_exists(root: Path, files: list[Path]) -> None:
    targets = set(TARGET.findall((root / "Makefile").read_text()))
    named = {
        (str(path), target)
        for path, text in {**pages(root, files), Path(".ci/run"): (root / ".ci/run").read_text()}.items()
        for target in MAKE.findall(text)
    }
    assert {(path, target) for path, target in named if target not in targets} == set()
    assert {"run", "test"} <= {target for path, target in named if path == "README.md"}


def test_every_command_that_is_named_exists(root: Path, files: list[Path]) -> None:
    named = {(str(path), name) for path, text in pages(root, files).items() for name in COMMAND.findall(text)}
    assert {(path, name) for path, name in named if name not in COMMANDS} == set()


def test_links_between_pages_lead_somewhere(root: Path, files: list[Path]) -> None:
    broken = [
        f"{path}: {link}"
        for path, text in pages(root, files).items()
        for link in LINK.findall(text)
        if "://" not in link and not (root / path.parent / link).exists()
    ]
    assert broken == []


def test_the_readme_begins_with_the_two_commands(root: Path) -> None:
    lines = (root / "README.md").read_text().splitlines()
    assert lines[0] == "# Dash"
    assert lines[2].startswith("```")
    assert lines[3].split()[:2] == ["make", "run"]
    assert lines[4].split()[:2] == ["make", "test"]


def test_ci_runs_the_tests(root: Path) -> None:
    assert "\nmake test-airgap " in (root / ".ci/run").read_text()
    assert re.search(r"^test-airgap:.*\n\t.*exec \$\(MAKE\) test'$", (root / "Makefile").read_text(), re.MULTILINE)
