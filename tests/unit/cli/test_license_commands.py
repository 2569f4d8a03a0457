"""``dash-appliance license`` on a stopped appliance: asked for, tried, installed, shown, and what a script gets."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from appliance.cli.main import run
from appliance.observe import logs
from tests.licensed import RING, issued, listed


@pytest.fixture(autouse=True)
def logs_as_they_were() -> Iterator[None]:
    """A command has the log go to a standard error that ends with its test."""
    handlers, level = logging.root.handlers[:], logging.root.level
    yield
    structlog.reset_defaults()
    logs.set_level("info")
    logging.captureWarnings(False)
    logging.root.handlers[:], logging.root.level = handlers, level


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DASH_SERVER_DATA_DIR", str(tmp_path / "data"))
    (tmp_path / "data").mkdir(mode=0o700)
    return tmp_path / "data"


def test_a_licence_is_asked_for_tried_installed_and_shown(
    data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["license", "request"], ring=RING) == 0
    code = capsys.readouterr().out.strip()
    assert len(code) == len("7KQ2-M8XD-0T3W-E9HP")
    file = tmp_path / "licence.txt"
    file.write_text(issued(installation=code))
    assert run(["license", "install", str(file), "--dry-run"], ring=RING) == 0
    told = capsys.readouterr().out
    assert "Edition" in told
    assert told.endswith("nothing is changed yet\n")
    assert run(["license", "install", str(file)], ring=RING) == 0
    assert "in force: Enterprise, of Example Works (lic_tests): valid" in capsys.readouterr().out
    assert run(["license", "show", "--json"], ring=RING) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["edition"], shown["bound_to"], shown["installed_by"]) == ("Enterprise", code, "command line")
    assert shown["keys"] == RING.names
    assert run(["license", "simulate", "--date", "2099-12-31"], ring=RING) == 0
    assert "lapsed" in capsys.readouterr().out
    (tmp_path / "list").write_text(listed(1, "lic_tests"))
    assert run(["license", "revocations", str(tmp_path / "list")], ring=RING) == 0
    assert "was taken back" in capsys.readouterr().out


def test_without_the_ring_of_the_tests_nothing_of_theirs_is_believed(
    data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "licence.txt").write_text(issued())
    assert run(["license", "install", str(tmp_path / "licence.txt"), "--json"]) == 1
    [problem] = json.loads(capsys.readouterr().err)["error"]["problems"]
    assert "which this version does not know" in problem["message"]
    assert run(["license", "show"]) == 0
    told = capsys.readouterr().out
    assert told.startswith("Community: no licence is in force")
    assert not any(name in told for name in RING.names)


def test_what_cannot_be_read_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["license", "show", "--data-dir", str(tmp_path / "nowhere")]) == 73
    assert run(["license", "install", str(tmp_path / "none"), "--data-dir", str(tmp_path)]) == 73
    assert "No such file" in capsys.readouterr().err
