"""The section ``database``: what it takes, and that no way of showing settings shows a password."""

from pathlib import Path

import pytest

from appliance.cli.main import run
from appliance.errors import ConfigError
from appliance.settings import load, resolve
from appliance.settings.reference import effective


def test_urls_keywords_and_replicas(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text(
        '[database]\nurl = "host=db1,db2 dbname=dash"\nreplicas = ["postgresql://r1/dash", "host=r2 dbname=x"]'
    )
    database = load({"server.data_dir": str(tmp_path)}, {}, file).database
    assert database.url is not None
    assert [one.host for one in database.url.endpoints] == ["db1", "db2"]
    assert [dsn.endpoints[0].host for dsn in database.replicas] == ["r1", "r2"]
    env = {"DASH_SERVER_DATA_DIR": str(tmp_path), "DASH_DATABASE_REPLICAS": "postgresql://a,b/x postgresql://c/x"}
    assert [len(dsn.endpoints) for dsn in load({}, env).database.replicas] == [2, 1]


@pytest.mark.parametrize("name", ["URL", "REPLICAS"])
def test_a_wrong_dsn_is_told_by_its_variable_and_not_quoted(tmp_path: Path, name: str) -> None:
    env = {"DASH_SERVER_DATA_DIR": str(tmp_path), f"DASH_DATABASE_{name}": "postgresql://ada:hun@ter2@h/d"}
    with pytest.raises(ConfigError) as caught:
        load({}, env)
    assert str(caught.value).startswith(f"DASH_DATABASE_{name}: the address cannot be taken apart: percent-encode")
    assert "ter2" not in str(caught.value)


@pytest.mark.parametrize("schema", ["Dash", "pg_dash", "a" * 31, "da-sh", "1dash"])
def test_a_schema_that_needs_quoting_is_refused(tmp_path: Path, schema: str) -> None:
    with pytest.raises(ConfigError, match="expected a name of at most 30 lower-case letters"):
        load({}, {"DASH_SERVER_DATA_DIR": str(tmp_path), "DASH_DATABASE_SCHEMA": schema})


def test_no_password_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DASH_SERVER_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("DASH_DATABASE_URL", "postgresql://ada:hunter2@h/d")
    monkeypatch.setenv("DASH_DATABASE_REPLICAS", "postgresql://ada:hunter2@r/d")
    loaded = resolve({})
    assert "hunter2" not in repr(loaded) + repr(effective(loaded))
    assert [row["value"] for row in effective(loaded) if row["key"] == "database.url"] == [
        "postgresql://ada:********@h/d"
    ]
    assert run(["config", "show"]) == 0
    assert run(["config", "show", "--json"]) == 0
    assert run(["check"]) == 0
    shown = capsys.readouterr()
    assert "@h/d" in shown.out
    assert "hunter2" not in shown.out + shown.err
