"""A whole appliance whose control plane is in a PostgreSQL, while that goes away and comes back."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.postgres import PostgresServer, postgres_server
from tests.running import RunningAppliance, standard_headers

MAPPING: dict[str, Any] = {"fields": [{"name": "n", "path": "$.n", "type": "integer"}]}


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with postgres_server() as server:
        yield server


@pytest.fixture
def one(tmp_path: Path, server: PostgresServer) -> Iterator[RunningAppliance]:
    url = server.new_database().replace("dash@", "dash:hunter2@")
    one = RunningAppliance(tmp_path, environment={"DASH_DATABASE_URL": url})
    yield one
    one.stop()
    if one.log.exists():
        assert "hunter2" not in one.log.read_text()


def post(one: RunningAppliance, hook: tuple[str, str], number: int) -> int:
    body = json.dumps({"n": number}).encode()
    headers = standard_headers(hook[1], f"msg_{number}", body)
    return httpx.post(f"{one.url}/in/{hook[0]}", content=body, headers=headers, trust_env=False).status_code


def part(one: RunningAppliance, name: str) -> tuple[int, str]:
    """Return the status of ``/readyz`` for one part, and its reason."""
    answer = httpx.get(f"{one.url}/readyz?part={name}", trust_env=False)
    return answer.status_code, answer.json()["parts"][name]["reason"]


def until_answered(one: RunningAppliance, path: str, status: int) -> httpx.Response:
    deadline = time.monotonic() + 30
    with one.client() as client:
        while (answer := client.get(path)).status_code != status:
            assert time.monotonic() < deadline, answer.text
            time.sleep(0.05)
    return answer


def test_receiving_goes_on_and_everything_else_comes_back(one: RunningAppliance, server: PostgresServer) -> None:
    one.setup()
    assert not (one.data_dir / "control.sqlite3").exists()
    one.start()
    hook = one.create_pipeline("numbers", MAPPING)
    path = f"/api/v1/pipelines/{hook[0]}"
    assert post(one, hook, 1) == 202
    assert one.wait_refined(hook[0])["stored"] == 1
    until_answered(one, path, 200)
    server.stop()
    try:
        answer = until_answered(one, "/api/v1/pipelines", 503)
        assert answer.headers["retry-after"] == "2"
        assert "no server is on the socket" in answer.json()["detail"]
        assert [post(one, hook, number) for number in (2, 3)] == [202, 202]
        with one.client() as client:  # what was looked at before is shown on, with the numbers of now
            live = client.get(path).raise_for_status().json()["live"]
            assert (live["ledger"]["received"], live["ledger"]["pending"]) == (3, 2)
            recent = client.get(f"{path}/recent").raise_for_status().json()["items"]
            assert [row["n"] for row in recent] == [1]
            assert client.post(f"{path}/pause").status_code == 503  # nothing is changed by what was known
        until_answered(one, "/readyz?part=database", 503)
        assert "events are received and kept" in part(one, "database")[1]
        assert part(one, "receiving") == (200, "events are taken and made durable")
    finally:
        server.start()
    until_answered(one, "/api/v1/pipelines", 200)
    assert one.wait_refined(hook[0])["stored"] == 3
    until_answered(one, "/readyz", 200)
    assert one.stop() == 0


def test_doctor_and_check_tell_of_the_database(one: RunningAppliance) -> None:
    one.setup()
    doctor = json.loads(one.run("doctor", "--json").stdout)["findings"]
    told = [finding["message"] for finding in doctor if finding["about"] in ("database", "egress")]
    assert told[0].startswith("PostgreSQL 1")
    assert told[-1].startswith("control plane and rows are kept by the database on the socket ")
    check = one.run("database", "check", "--json")
    found = json.loads(check.stdout)
    assert check.returncode == 1  # fsync is off in tests
    assert [one["message"] for one in found["findings"] if one["state"] == "bad"] == [
        "fsync is off: a crash of its machine ruins the whole database"
    ]
    assert found["intentions"][0] == "Use schema dash as it is: somebody set Dash up in it before."
    assert "hunter2" not in check.stdout + json.dumps(doctor) + one.run("config", "show").stdout


def test_a_server_that_is_away_at_the_start_is_told_with_a_code_to_try_again(tmp_path: Path) -> None:
    for url, code in ((f"postgresql://a:hunter2@/dash?host={tmp_path}", 75), ("postgresql://a:hunter2@h:1:2/d", 78)):
        one = RunningAppliance(tmp_path, environment={"DASH_DATABASE_URL": url})
        answer = one.run("serve", "--port", "0")
        assert (answer.returncode, answer.stderr.count("\n")) == (code, 2)  # what is wrong, and where more is
        assert "hunter2" not in answer.stderr


def test_moving_by_command(tmp_path: Path, server: PostgresServer) -> None:
    one, url = RunningAppliance(tmp_path), server.new_database()
    one.setup()
    dry = one.run("database", "move", "--to", url, "--dry-run")
    assert (dry.returncode, dry.stdout.splitlines()[-1]) == (
        0, "nothing was changed: leave --dry-run out to move it",
    )  # fmt: skip
    assert json.loads(one.run("database", "move", "--to", url, "--dry-run", "--json").stdout)["pipelines"] == []
    done = one.run("database", "move", "--to", url)
    assert done.returncode == 0, done.stderr
    assert "moved and compared: 0 rows and 0 dead letters of 0 pipelines" in done.stdout
    assert "next: set DASH_DATABASE_URL" in done.stdout
    refused = one.run("verify")
    assert (refused.returncode, "no database is set" in refused.stderr) == (70, True)
    there = RunningAppliance(tmp_path, environment={"DASH_DATABASE_URL": url})
    assert there.run("verify").stdout == "fine: 0 pipelines, 0 events\n"
    assert there.run("database", "accept-loss").stdout == "nothing is lost: there is nothing to give up\n"
    assert "--json" in one.run("database", "move", "--help").stdout


@pytest.mark.parametrize(
    "rebuild",
    [pytest.param(False, id="with rows"), pytest.param(True, id="rows made again", marks=pytest.mark.slow)],
)
def test_a_moved_appliance_goes_on(tmp_path: Path, server: PostgresServer, rebuild: bool) -> None:
    one, url = RunningAppliance(tmp_path), server.new_database()
    one.setup()
    one.start()
    hook = one.create_pipeline("numbers", MAPPING)
    assert [post(one, hook, number) for number in (1, 2, 3)] == [202, 202, 202]
    assert one.wait_refined(hook[0])["stored"] == 3
    assert one.stop() == 0
    done = one.run("database", "move", "--to", url, "--json", *(["--rebuild"] if rebuild else []))
    assert done.returncode == 0, done.stderr
    assert (json.loads(done.stdout)["rows"] or {"rows": None})["rows"] == (None if rebuild else 3)
    there = RunningAppliance(tmp_path, environment={"DASH_DATABASE_URL": url})
    there.token = one.token
    there.start()
    assert there.wait_refined(hook[0])["stored"] == 3
    assert post(there, hook, 4) == 202
    assert there.wait_refined(hook[0])["stored"] == 4
    assert there.stop() == 0
    assert ("rows.made_again" in there.log.read_text()) == rebuild
    assert there.run("verify").stdout == "fine: 1 pipeline, 4 events\n"
