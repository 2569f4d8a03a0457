"""The tutorials of the handbook, typed as they stand there: one appliance, one shell, every answer compared.

A block ``sh`` is run, ``sh before`` before the appliance starts. ``json answer`` after it has to be part of what it
printed; ``json soon`` too, within some seconds, asked again until then.
"""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from handbook.reference.metrics import metrics
from tests.running import REPOSITORY, RunningAppliance

PAGES = REPOSITORY / "docs" / "handbook"
TUTORIALS = ("getting-started", *sorted(path.stem for path in PAGES.glob("tutorial-*.md")))
BLOCK = re.compile(r"^```(sh before|sh|json answer|json soon)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
WRITTEN = "http://127.0.0.1:8080"
DEADLINE_SECS = 30.0


class Shell:
    """One bash that keeps its variables, as the one that somebody types into."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        command = ["bash", "--noprofile", "--norc"]
        self._bash = subprocess.Popen(
            command, cwd=folder, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    def type(self, block: str) -> str:
        """Return what the block printed; it must not fail."""
        assert self._bash.stdin is not None
        assert self._bash.stdout is not None
        self._bash.stdin.write(f"{block}\nprintf '\\n<ended %s>\\n' $?\n")
        self._bash.stdin.flush()
        printed = ""
        for line in self._bash.stdout:
            if line.startswith("<ended "):
                assert line == "<ended 0>\n", f"{block}\nprinted {printed}"
                break
            printed += line
        return printed

    def close(self) -> None:
        assert self._bash.stdin is not None
        assert self._bash.stdout is not None
        self._bash.stdin.close()
        self._bash.wait(10)
        self._bash.stdout.close()


def blocks(slug: str) -> list[tuple[str, str]]:
    return BLOCK.findall((PAGES / f"{slug}.md").read_text("utf-8"))


@pytest.fixture(scope="module")
def appliance(tmp_path_factory: pytest.TempPathFactory) -> RunningAppliance:
    return RunningAppliance(tmp_path_factory.mktemp("tutorials"))


@pytest.fixture(scope="module")
def shell(appliance: RunningAppliance) -> Iterator[Shell]:
    environment = {**os.environ, **appliance.environment, "PYTHONPATH": str(REPOSITORY)}
    shell = Shell(appliance.folder, environment)
    shell.type(f'dash-appliance() {{ {sys.executable} -m appliance "$@"; }}')
    for kind, text in blocks("getting-started"):
        if kind == "sh before":
            shell.type(text)
    appliance.start()
    yield shell
    shell.close()
    assert appliance.stop() == 0


@pytest.mark.parametrize("slug", TUTORIALS)
def test_every_step_does_what_the_page_says(shell: Shell, appliance: RunningAppliance, slug: str) -> None:
    typed, printed, compared = "", "", 0
    for kind, text in blocks(slug):
        if kind == "sh":
            typed = text.replace(WRITTEN, appliance.url)
            printed = shell.type(typed)
        elif kind != "sh before":
            deadline = time.monotonic() + (DEADLINE_SECS if kind == "json soon" else 0)
            while (told := missing(json.loads(text), printed)) and time.monotonic() < deadline:
                printed = shell.type(typed)
            assert told == [], f"{typed}\nprinted {printed}"
            compared += 1
    assert compared >= 4


def missing(wanted: Any, printed: str) -> list[str]:
    """Return what is wanted and was not printed."""
    try:
        found = json.loads(printed)
    except ValueError:
        return [f"no JSON: {printed!r}"]
    return list(_missing(wanted, found, ""))


def _missing(wanted: Any, found: Any, place: str) -> Iterator[str]:
    if isinstance(wanted, dict) and isinstance(found, dict):
        for key, value in wanted.items():
            yield from _missing(value, found.get(key), f"{place}/{key}")
    elif isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        for number, (one, other) in enumerate(zip(wanted, found, strict=True)):
            yield from _missing(one, other, f"{place}/{number}")
    elif wanted != found:
        yield f"{place}: expected {wanted!r}, got {found!r}"


def test_an_answer_that_differs_is_noticed() -> None:
    """The control."""
    assert missing({"a": [{"b": 1}]}, '{"a": [{"b": 1, "c": 2}], "d": 3}') == []
    assert missing({"a": [{"b": 1}]}, '{"a": [{"b": 2}]}') == ["/a/0/b: expected 1, got 2"]
    assert missing({"a": [1]}, '{"a": []}') == ["/a: expected [1], got []"]
    assert missing({"a": 1}, "curl: (7) refused") != []


def test_what_a_running_appliance_measures_is_in_the_reference(shell: Shell, appliance: RunningAppliance) -> None:
    told = httpx.get(f"{appliance.url}/metrics", trust_env=False).text
    shown = {name.removesuffix("_created") for name in re.findall(r"^# TYPE (dash_\w+)", told, re.MULTILINE)}
    known = {one.name.removesuffix("_total") for one in metrics()} | {one.name for one in metrics()}
    assert len(shown) > 20
    assert shown - known == set()


def test_problems_lead_into_the_handbook_of_the_same_appliance(shell: Shell, appliance: RunningAppliance) -> None:
    problem = httpx.get(f"{appliance.url}/api/v1/nothing", trust_env=False).json()
    place, _, anchor = problem["type"].partition("#")
    page = httpx.get(appliance.url + place, trust_env=False, timeout=60)
    assert page.status_code == 200
    assert f'id="{anchor}"' in page.text
