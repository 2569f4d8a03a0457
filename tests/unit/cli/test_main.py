"""The command line as a script sees it: output, exit codes, and the time it takes to answer."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from appliance.cli.exits import CannotCreate, Exit, Unavailable, code_of, report
from appliance.cli.main import COMMANDS, run
from appliance.errors import ConfigError, Conflict, FatalError, Problem, TransientError

HEAVY = (
    "nicegui",
    "litestar",
    "sqlalchemy",
    "pyarrow",
    "duckdb",
    "granian",
    "httpx",
    "cryptography",
    "prometheus_client",
)


@pytest.fixture(autouse=True)
def no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DASH_SERVER_DATA_DIR", str(tmp_path / "data"))


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError([Problem("a", "b")]), 78),
        (Conflict("x"), 1),
        (TransientError("x"), 75),
        (FatalError("x", "y"), 70),
        (CannotCreate("x"), 73),
        (Unavailable("x"), 69),
        (ZeroDivisionError("x"), 70),
    ],
)
def test_exit_codes(error: Exception, code: int) -> None:
    assert code_of(error) == code


def test_help_lists_every_command_and_none_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == Exit.FINE
    shown = capsys.readouterr().out
    for name in COMMANDS:
        assert f"\n  {name} " in shown


def test_help_imports_nothing_that_would_keep_it_waiting() -> None:
    told = (
        "import sys; from appliance.cli.main import run; run(['--help']);"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    assert answer.stdout.splitlines()[-1] == "[]"


def test_an_unknown_command_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["srve"]) == Exit.USAGE
    assert "No such command 'srve'" in capsys.readouterr().err


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["version"]) == Exit.FINE
    assert capsys.readouterr().out == "dash-appliance 0.1.0\n"
    assert run(["version", "--json"]) == Exit.FINE
    assert json.loads(capsys.readouterr().out)["version"] == "0.1.0"


def test_check_lists_every_problem(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text("[server]\nprot = 1\n[log]\nlevel = 'loud'\n")
    assert run(["check", "--config", str(file)]) == Exit.CONFIGURATION
    assert capsys.readouterr().out.splitlines() == [
        f"{file}:2 server.prot: no such setting (did you mean 'server.port'?)",
        f"{file}:4 log.level: expected one of debug, info, warning, error, got 'loud'",
    ]
    assert run(["check", "--config", str(file), "--json"]) == Exit.CONFIGURATION
    assert [problem["line"] for problem in json.loads(capsys.readouterr().out)["problems"]] == [2, 4]


def test_check_of_a_good_configuration(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check"]) == Exit.FINE
    assert capsys.readouterr().out == "fine: no settings file, defaults and environment only\n"


def test_config_show_names_origins(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run(["config", "show", "--json"]) == Exit.FINE
    rows = {row["key"]: row for row in json.loads(capsys.readouterr().out)["settings"]}
    assert rows["server.data_dir"] == {
        "key": "server.data_dir",
        "value": str(tmp_path / "data"),
        "origin": "DASH_SERVER_DATA_DIR",
    }
    assert rows["bronze.segment_size"]["value"] == "64 MiB"


def test_a_wrong_configuration_stops_every_command(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DASH_SERVER_PORT", "http")
    assert run(["serve"]) == Exit.CONFIGURATION
    assert capsys.readouterr().err == (
        "error: DASH_SERVER_PORT: expected a whole number, got 'http'\n  more: /docs/errors#e_config\n"
    )
    assert run(["serve", "--json"]) == Exit.CONFIGURATION
    assert json.loads(capsys.readouterr().err) == {
        "error": {
            "code": "E_CONFIG",
            "title": "the configuration has problems",
            "problems": [{"pointer": "DASH_SERVER_PORT", "message": "expected a whole number, got 'http'"}],
            "more": "/docs/errors#e_config",
        }
    }


def test_an_upgrade_without_data_says_where_it_looked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "releases" / "1.0.0").mkdir(parents=True)
    (tmp_path / "current").symlink_to("releases/1.0.0")
    nowhere = str(tmp_path / "nowhere")
    answer = run(["upgrade", "x.tar.xz", "--dry-run", "--program", str(tmp_path), "--data-dir", nowhere])
    assert (answer, f"there is no {nowhere}" in capsys.readouterr().err) == (Exit.CONFIGURATION, True)


def test_a_program_that_its_user_may_not_read_is_no_bug(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Root has become somebody else, and modules are imported when they are needed."""
    monkeypatch.setattr("os.access", lambda *_: False)
    assert report(ModuleNotFoundError("No module named 'sqlite3'")) is Exit.UNAVAILABLE
    assert "may not read the program in" in capsys.readouterr().err
