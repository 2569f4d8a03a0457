"""Precedence, units, and every problem at once."""

import sys
from datetime import timedelta
from pathlib import Path

import pytest

from appliance.errors import ConfigError, Problem
from appliance.settings import LogLevel, load, resolve
from appliance.settings.reference import effective


def problems(flags: dict[str, object], env: dict[str, str], file: Path | None = None) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(flags, env, file)
    return [str(problem) for problem in caught.value.problems]


def test_defaults(tmp_path: Path) -> None:
    settings = load({"server.data_dir": str(tmp_path)}, {})
    assert settings.server.host == "127.0.0.1"
    assert settings.server.port == 8080
    assert settings.bronze.segment_size == 67_108_864
    assert settings.bronze.segment_age == timedelta(hours=1)
    assert settings.ingest.max_body == 10_485_760
    assert settings.egress.allow == ()


def test_flag_before_environment_before_file_before_default(tmp_path: Path) -> None:
    file = tmp_path / "some.toml"
    file.write_text('[server]\nport = 1\nhost = "::1"\n[log]\nlevel = "error"\n[silver]\nthreads = 3\n')
    env = {"DASH_SERVER_PORT": "2", "DASH_LOG_LEVEL": "debug", "HOME": "/nowhere"}
    loaded = resolve({"server.data_dir": str(tmp_path), "server.port": 3, "server.host": None}, env, file)
    assert (loaded.settings.server.port, loaded.origins["server.port"]) == (3, "flag")
    assert (loaded.settings.log.level, loaded.origins["log.level"]) == (LogLevel.DEBUG, "DASH_LOG_LEVEL")
    assert (loaded.settings.server.host, loaded.origins["server.host"]) == ("::1", f"{file}:3")
    assert (loaded.settings.silver.threads, loaded.origins["silver.threads"]) == (3, f"{file}:7")
    assert loaded.origins["log.format"] == "default"


def test_the_file_in_the_data_directory_is_found(tmp_path: Path) -> None:
    (tmp_path / "dash-appliance.toml").write_text('[bronze]\nsegment_age = "5m"\n')
    loaded = resolve({}, {"DASH_SERVER_DATA_DIR": str(tmp_path)})
    assert loaded.file == tmp_path / "dash-appliance.toml"
    assert loaded.settings.bronze.segment_age == timedelta(minutes=5)


def test_every_problem_is_told_at_once_with_file_line_and_suggestion(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text(
        '[server]\nprot = 80\n\n[bronze]\nsegment_size = "64"\nsegment_age = "1s"\n\n[sliver]\nthreads = 1\n'
    )
    told = problems({"server.port": 70_000}, {"DASH_LOG_LEVLE": "debug", "DASH_LOG_FORMAT": "jsn"}, file)
    assert told == [
        "DASH_LOG_LEVLE: no such setting (did you mean 'DASH_LOG_LEVEL'?)",
        f"{file}:2 server.prot: no such setting (did you mean 'server.port'?)",
        f"{file}:9 sliver.threads: no such setting (did you mean 'silver'?)",
        "server.port: expected at most 65535, got 70000",
        f"{file}:5 bronze.segment_size: expected a size such as '512 B', '10 MiB' or '2 GB', "
        "got '64': the unit is missing",
        f"{file}:6 bronze.segment_age: expected at least 10s, got 1s",
        "DASH_LOG_FORMAT: expected one of auto, text, json, got 'jsn': did you mean 'json'?",
    ]


def test_a_file_that_is_not_toml_is_told_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text("[server]\nport = \n")
    assert problems({}, {}, file) == [f"{file}:2: not TOML: Invalid value (at line 2, column 8)"]


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    file = tmp_path / "none.toml"
    assert problems({}, {}, file) == [f"{file}: the file cannot be read: No such file or directory"]


def test_the_file_in_the_data_directory_cannot_move_it(tmp_path: Path) -> None:
    (tmp_path / "dash-appliance.toml").write_text('[server]\ndata_dir = "/elsewhere"\n')
    with pytest.raises(ConfigError) as caught:
        load({"server.data_dir": str(tmp_path)}, {})
    assert caught.value.problems == (
        Problem(
            "server.data_dir",
            f"this file was found in '{tmp_path}' and names '/elsewhere' as the data directory",
            hint="remove the line, or say --data-dir",
            file=str(tmp_path / "dash-appliance.toml"),
            line=2,
        ),
    )


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("DASH_EGRESS_ALLOW", "10.0.0.0/8, 192.168.1.7:8080,fd00::/8,[fd00::/8]:443",
         ("10.0.0.0/8", "192.168.1.7:8080", "fd00::/8", "[fd00::/8]:443")),
        ("DASH_EGRESS_ALLOW", "", ()),
        ("DASH_SERVER_BASE_URL", "https://dash.example.org/", "https://dash.example.org"),
        ("DASH_SERVER_BASE_URL", "", None),
        ("DASH_ARCHIVE_URL", "file:///mnt/archive/", "file:///mnt/archive"),
        ("DASH_ARCHIVE_LOCAL_CACHE", "", None),
        ("DASH_ARCHIVE_KEEP", "10d", timedelta(days=10)),
    ],
)  # fmt: skip
def test_lists_addresses_and_absent_values(tmp_path: Path, variable: str, value: str, expected: object) -> None:
    settings = load({}, {"DASH_SERVER_DATA_DIR": str(tmp_path), variable: value})
    section, _, name = variable.removeprefix("DASH_").lower().partition("_")
    assert getattr(getattr(settings, section), name) == expected


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("DASH_EGRESS_ALLOW", "10.0.0.1/8",
         "expected a network such as '10.0.0.0/8' or '10.1.2.3/32:8080', got '10.0.0.1/8'"),
        ("DASH_EGRESS_ALLOW", "10.0.0.1:99999",
         "expected a port between 1 and 65535 after the colon, got '10.0.0.1:99999'"),
        ("DASH_SERVER_BASE_URL", "dash.example.org",
         "expected an address such as 'https://dash.example.org', got 'dash.example.org'"),
        ("DASH_SERVER_PORT", "eighty", "expected a whole number, got 'eighty'"),
        ("DASH_SERVER_HOST", " ", "expected a text, got ' '"),
        ("DASH_ARCHIVE_URL", "s3://key:secret@bucket/x",
         "expected 's3://bucket/prefix' or 'file:///folder', without keys in it"),
        ("DASH_ARCHIVE_ENDPOINT", "http://169.254.169.254",
         "expected the address of an object store, got 'http://169.254.169.254': a link-local address is never asked"),
        ("DASH_ARCHIVE_NAME", "../other", "expected lower-case letters, digits, '.', '-' and '_', got '../other'"),
    ],
)  # fmt: skip
def test_wrong_values_are_told_with_what_was_expected(tmp_path: Path, variable: str, value: str, message: str) -> None:
    env = {"DASH_SERVER_DATA_DIR": str(tmp_path), variable: value}
    assert problems({}, env) == [f"{variable}: {message}"]


def test_an_object_store_needs_one_key_and_nothing_shows_it(tmp_path: Path) -> None:
    env = {"DASH_SERVER_DATA_DIR": str(tmp_path), "DASH_ARCHIVE_URL": "s3://bucket"}
    (told,) = problems({}, env)
    assert "archive.access_key: an S3 archive needs a key of its own" in told
    (told,) = problems({}, env | {"DASH_ARCHIVE_ACCESS_KEY": "AKIA"})
    assert "archive.secret_key: an S3 archive needs a key of its own" in told
    both = {"DASH_ARCHIVE_ACCESS_KEY": "AKIA", "DASH_ARCHIVE_SECRET_KEY": "geheim"}
    (told,) = problems({}, env | both | {"DASH_ARCHIVE_CREDENTIALS_FILE": "/run/s3"})
    assert "archive.credentials_file: a file and a key are both given" in told
    settings = load({}, env | both)
    assert str(settings.archive.secret_key) == "geheim"
    assert "geheim" not in repr(settings)
    assert "geheim" not in str(effective(resolve({}, env | both)))


def test_credentials_stand_between_environment_and_file(tmp_path: Path) -> None:
    (tmp_path / "given").mkdir()
    (tmp_path / "given" / "archive.secret_key").write_text("from systemd\n")
    (tmp_path / "given" / "archive.access_key").write_text("from systemd\n")
    (tmp_path / "given" / "database.url").write_text("")
    file = tmp_path / "some.toml"
    file.write_text('[archive]\nsecret_key = "from the file"\nregion = "here"\nurl = "s3://bucket"\n')
    env = {"CREDENTIALS_DIRECTORY": str(tmp_path / "given"), "DASH_ARCHIVE_ACCESS_KEY": "from the environment"}
    loaded = resolve({"server.data_dir": str(tmp_path)}, env, file)
    archive = loaded.settings.archive
    assert (archive.secret_key, archive.access_key) == ("from systemd", "from the environment")
    assert loaded.settings.database.url is None
    assert loaded.origins["archive.secret_key"] == str(tmp_path / "given" / "archive.secret_key")
    (tmp_path / "given" / "database.password").write_text("for database.password_file")
    (tmp_path / "given" / "server.port").write_text("no number")
    assert problems({}, env, file) == [
        f"{tmp_path}/given/server.port server.port: expected a whole number, got 'no number'"
    ]


def test_what_kubernetes_tells_of_services_is_no_setting(tmp_path: Path) -> None:
    env = {"DASH_SERVER_DATA_DIR": str(tmp_path)}
    for service in ("DASH", "DASH_SERVER"):  # as the kubelet writes them for Services called dash and dash-server
        env |= {
            f"{service}_SERVICE_HOST": "10.96.0.7", f"{service}_SERVICE_PORT": "80",
            f"{service}_SERVICE_PORT_HTTP": "80", f"{service}_PORT": "tcp://10.96.0.7:80",
            f"{service}_PORT_80_TCP": "tcp://10.96.0.7:80", f"{service}_PORT_80_TCP_PROTO": "tcp",
            f"{service}_PORT_80_TCP_PORT": "80", f"{service}_PORT_80_TCP_ADDR": "10.96.0.7",
        }  # fmt: skip
    assert load({}, env).server.port == 8080
    assert load({}, env | {"DASH_SERVER_PORT": "9000"}).server.port == 9000
    (told,) = problems({}, env | {"DASH_SERVICE_NAME": "x"})
    assert told.startswith("DASH_SERVICE_NAME: no such setting")
    assert len(problems({}, {"DASH_SERVER_DATA_DIR": str(tmp_path), "DASH_PORT": "80"})) == 1


def test_whoever_may_not_read_the_settings_of_the_installed_one_is_not_answered_by_defaults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = tmp_path / "etc"
    closed.mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    module = sys.modules["appliance.settings.load"]  # of the same name as the function
    monkeypatch.setattr(module, "SYSTEM_FILE", closed / "dash-appliance.toml")
    monkeypatch.setattr(module, "_enters", lambda folder: folder != closed)  # root enters everywhere
    with pytest.raises(ConfigError, match=r"there is an installed Dash here.*put 'sudo' before the command"):
        load({}, {})
    assert load({"server.data_dir": str(tmp_path)}, {}).server.port == 8080
