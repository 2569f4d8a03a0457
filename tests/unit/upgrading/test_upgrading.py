"""What stands in the way of an upgrade, the order of versions, releases on disk, and the gate."""

import fcntl
import os
import threading
from collections.abc import Iterator
from datetime import date
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest

from appliance.cli.upgrade_parts import _service
from appliance.errors import Conflict
from appliance.release import Manifest
from appliance.settings import load
from appliance.settings.sections import Server
from appliance.upgrading import preflight
from appliance.upgrading.course import Data
from appliance.upgrading.health import Gate
from appliance.upgrading.releases import Releases, ordinal
from appliance.upgrading.service import Standing, _port

MADE = 1_767_225_600  # 2026-01-01


def manifest(version: str = "1.1.0", **changed: Any) -> Manifest:
    told: dict[str, Any] = {
        "format": 1, "version": version, "machine": "x86_64", "glibc": "2.31", "python": "3.11", "commit_time": MADE,
        "control_schema": "v0005", "files": (),
    }  # fmt: skip
    return Manifest(**(told | changed))


@pytest.fixture
def releases(tmp_path: Path) -> Releases:
    for version in ("1.0.0", "0.9.0", "0.8.0", "0.10.0"):
        folder = tmp_path / "releases" / version
        folder.mkdir(parents=True)
        (folder / "release.json").write_bytes(msgspec.json.encode(manifest(version)))
    made = Releases(tmp_path)
    made.use("1.0.0")
    return made


@pytest.mark.parametrize(
    ("before", "after", "state"),
    [
        ("1.0.0", "1.0.1", "fine"), ("1.0.0", "1.1.3", "fine"), ("1.9.0", "1.10.0", "fine"), ("1.4.0", "2.0.1", "fine"),
        ("1.0.0", "1.2.0", "bad"), ("1.0.0", "2.4.0", "bad"), ("1.0.0", "3.0.0", "bad"),
        ("1.0.0", "1.0.0", "bad"), ("1.10.0", "1.9.9", "bad"), ("1.0.0", "0.9.0", "bad"),
    ],
)  # fmt: skip
def test_the_way_from_version_to_version(before: str, after: str, state: str) -> None:
    assert [one.state for one in preflight._path(before, manifest(after))] == [state]


def test_another_release_than_was_asked_for_is_refused() -> None:
    assert list(preflight._asked_for(manifest("1.1.0"), None)) == list(preflight._asked_for(manifest(), "1.1.0")) == []
    (found,) = preflight._asked_for(manifest("1.2.0"), "1.1.0")
    assert (found.state, found.message) == ("bad", "1.1.0 was asked for, and 1.2.0 lies there")


def test_a_release_that_the_licence_does_not_cover_is_refused() -> None:
    assert [one.state for one in preflight._licence(manifest(), date(2026, 1, 1))] == ["fine"]
    (found,) = preflight._licence(manifest(), date(2025, 12, 31))
    assert (found.state, found.remedy) == ("bad", "renew maintenance; the release in use runs on")


def test_a_database_that_would_be_migrated_needs_a_copy(tmp_path: Path) -> None:
    there, here = Data(tmp_path, None, 0, copies=False), Data(tmp_path, None, 0)
    newer = manifest(control_schema="v9999")
    assert [one.state for one in preflight._schema(newer, there, copied=False)] == ["bad"]
    assert [one.state for one in preflight._schema(newer, there, copied=True)] == ["warning"]
    assert [one.state for one in preflight._schema(newer, here, copied=False)] == ["fine"]
    assert [one.state for one in preflight._schema(manifest(control_schema="v0001"), here, copied=False)] == ["bad"]


def test_another_machine_or_an_older_system_is_refused() -> None:
    assert [one.state for one in preflight._machine(manifest(machine="riscv64"))] == ["bad"]
    assert [one.state for one in preflight._machine(manifest(glibc="9.99"))] == ["bad"]


def test_what_a_package_has_installed_is_left_to_it(
    releases: Releases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = tmp_path / "list"
    monkeypatch.setattr(preflight, "DPKG_LIST", listed)
    assert list(preflight._package(releases)) == []
    listed.write_text(f"{releases.home}/releases/1.0.0/dash-appliance\n")
    assert [one.state for one in preflight._package(releases)] == ["bad"]


def test_what_is_in_use_and_the_newest_others_are_kept(releases: Releases) -> None:
    assert releases.current == "1.0.0"
    assert releases.tidy([]) == ["0.8.0"]
    assert releases.versions() == ["0.10.0", "0.9.0", "1.0.0"]
    releases.use("0.10.0")
    assert releases.current == "0.10.0"


def test_versions_are_numbers() -> None:
    assert ordinal("1.10.2-rc1") == (1, 10, 2)
    assert ordinal("0.9.0") < ordinal("0.10.0")


def test_the_port_of_a_process_is_what_its_arguments_say() -> None:
    assert _port(["serve", "--port", "8099"]) == _port(["serve", "--port=8099"]) == 8099
    assert _port(["serve", "--port", "0"]) is None
    assert _port(["serve", "--data-dir", "x"]) is None


def test_no_process_of_somebody_else_is_ended_because_the_data_say_so(tmp_path: Path) -> None:
    """The file with the pid lies where the service writes: a service that was taken over may name any process."""
    settings = load({"server.data_dir": str(tmp_path)}, env={})
    with (tmp_path / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write("1\n")
        lock.flush()
        if os.getuid() == 0:
            os.chown(tmp_path, 54321, -1)
        with pytest.raises(Conflict, match=r"process 1, which says that it owns .* runs as another user"):
            _service(settings, Releases(tmp_path), may_stand=False)


class Answers(BaseHTTPRequestHandler):
    version, ready = "1.1.0", True

    def do_GET(self) -> None:
        ready = type(self).ready
        body = f'dash_build_info{{version="{type(self).version}"}} 1.0\n'.encode()
        if self.path == "/readyz":
            body = msgspec.json.encode({"parts": {"disk": {"ready": ready, "reason": "it is full"}}})
        self.send_response(200 if ready or self.path != "/readyz" else 503)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None: ...


class Up(Standing):
    def runs(self) -> bool:
        return True


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    with HTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield Gate(Server(data_dir=tmp_path, port=server.server_port), within_secs=0.6, settles_secs=0.1)
        server.shutdown()
        thread.join()


def test_the_gate_wants_the_very_version_well(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    assert gate.trouble("1.1.0", Up()) is None
    assert gate.trouble("1.2.0", Up()) == "not well within 1 s: 1.1.0 answers, and 1.2.0 is meant"
    monkeypatch.setattr(Answers, "ready", False)
    assert gate.trouble("1.1.0", Up()) == "not well within 1 s: disk: it is full"
    assert gate.trouble("1.1.0", Standing()) == "it ended by itself; the last line of its log: none"
