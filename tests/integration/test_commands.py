"""The commands of an operator, each on a real data directory."""

import json
import os
import shutil
import socket
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.running import EMAIL, PASSWORD, RunningAppliance, standard_headers

MAPPING: dict[str, Any] = {"fields": [{"name": "n", "path": "$.n", "type": "integer"}]}


@pytest.fixture
def one(tmp_path: Path) -> Iterator[RunningAppliance]:
    one = RunningAppliance(tmp_path)
    yield one
    one.stop()


def set_up(one: RunningAppliance, *more: str, password: str = PASSWORD) -> Any:
    file = one.folder / "password"
    file.write_text(password + "\nwhat follows is not the password\n")
    return one.run("setup", "--admin-email", EMAIL, "--admin-password-file", str(file), *more)


@pytest.fixture(scope="module")
def with_events(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A data directory that was set up, took three events and was stopped; and the pipeline."""
    one = RunningAppliance(tmp_path_factory.mktemp("filled"))
    one.setup()
    one.start()
    pipeline_id, secret = one.create_pipeline("numbers", MAPPING)
    for number in range(3):
        body = json.dumps({"n": number}).encode()
        url = f"{one.url}/in/{pipeline_id}"
        httpx.post(url, content=body, headers=standard_headers(secret, f"msg_{number}", body), trust_env=False)
    one.wait_refined(pipeline_id)
    assert one.stop() == 0
    return one.data_dir, pipeline_id


@pytest.fixture
def filled(one: RunningAppliance, with_events: tuple[Path, str]) -> str:
    """Give the appliance a copy of that directory; return the pipeline."""
    data_dir, pipeline_id = with_events
    shutil.copytree(data_dir, one.data_dir, dirs_exist_ok=True)
    return pipeline_id


def findings(answer: Any) -> dict[str, dict[str, Any]]:
    return {finding["about"]: finding for finding in json.loads(answer.stdout)["findings"]}


def test_setup_tells_what_it_did_and_asks_for_a_password_worth_the_name(one: RunningAppliance) -> None:
    weak = set_up(one, password="short")
    assert (weak.returncode, weak.stdout) == (1, "")
    assert "12" in weak.stderr
    done = set_up(one, "--org", "Example Works", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == {"organisation": "Example Works", "admin_email": EMAIL, "token": None}


def test_setup_without_a_password_file(one: RunningAppliance) -> None:
    answer = one.run("setup", "--admin-email", EMAIL, "--admin-password-file", str(one.folder / "none"))
    assert answer.returncode == 73
    assert answer.stderr.startswith(f"error: the password file '{one.folder}/none' cannot be read: ")


def test_the_data_directory_belongs_to_its_owner_alone(one: RunningAppliance) -> None:
    assert set_up(one).returncode == 0
    assert one.data_dir.stat().st_mode & 0o777 == 0o700
    open_to_others = [
        str(path)
        for path in one.data_dir.rglob("*")
        if path.is_file() and path.name.startswith(("control", "vault", "key")) and path.stat().st_mode & 0o077
    ]
    assert open_to_others == []


@pytest.mark.usefixtures("filled")
def test_verify_proves_what_is_there(one: RunningAppliance) -> None:
    answer = one.run("verify")
    assert (answer.returncode, answer.stdout) == (0, "fine: 1 pipeline, 3 events\n")
    assert json.loads(one.run("verify", "--json").stdout) == {"summary": "1 pipeline, 3 events", "findings": []}


def test_verify_finds_a_byte_that_was_changed_in_bronze(one: RunningAppliance, filled: str) -> None:
    changed = 0
    for segment in (one.data_dir / "bronze").rglob("*"):
        if segment.is_file() and b'{"n": 1}' in (content := segment.read_bytes()):
            segment.write_bytes(content.replace(b'{"n": 1}', b'{"n": 7}'))
            changed += 1
    assert changed == 1
    answer = one.run("verify")
    assert answer.returncode == 1
    assert filled in answer.stdout
    assert "\n    -> " in answer.stdout
    assert answer.stdout.splitlines()[-1].startswith("wrong: ")


@pytest.mark.usefixtures("filled")
def test_verify_finds_an_audit_entry_that_was_changed(one: RunningAppliance) -> None:
    with sqlite3.connect(one.data_dir / "control.sqlite3") as control:
        (table,) = [
            name for (name,) in control.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            if name.startswith("audit") and "head" not in name
        ]  # fmt: skip
        control.execute(f"UPDATE {table} SET who = 'eve' WHERE sequence = 1")
    control.close()
    answer = one.run("verify")
    assert answer.returncode == 1
    assert "audit: audit entry 1 was changed after it was written" in answer.stdout


def test_verify_of_a_running_appliance_is_refused(one: RunningAppliance) -> None:
    one.setup()
    one.start()
    answer = one.run("verify")
    assert answer.returncode == 75
    assert f"belongs to the running process {one.pid}:" in answer.stderr


def test_doctor_beside_a_running_appliance_and_on_a_stopped_one(one: RunningAppliance) -> None:
    one.setup()
    one.start()
    port = one.url.rpartition(":")[2]
    config = one.folder / "a.toml"
    config.write_text(f"[server]\nport = {port}\n")
    running = one.run("doctor", "--json", "--config", str(config))
    assert running.returncode == 0, running.stdout
    assert findings(running)["process"]["message"] == f"process {one.pid} runs on this data directory"
    assert findings(running)["health"]["state"] == "fine"
    one.stop()
    stopped = one.run("doctor", "--json", "--config", str(config))
    assert stopped.returncode == 0, stopped.stdout
    assert findings(stopped)["port"]["message"] == f"127.0.0.1 port {port} is free"
    assert findings(stopped)["database"]["state"] == "fine"
    assert findings(stopped)["egress"]["message"].startswith("nothing leaves this machine")


@pytest.mark.usefixtures("filled")
def test_doctor_finds_what_is_wrong_and_says_what_to_do(one: RunningAppliance) -> None:
    os.chmod(one.data_dir, 0o755)
    (one.data_dir / "control.sqlite3").write_bytes(b"not a database at all" * 1000)
    for more in ("control.sqlite3-wal", "control.sqlite3-shm"):
        (one.data_dir / more).unlink(missing_ok=True)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        config = one.folder / "a.toml"
        config.write_text(f"[server]\nport = {taken.getsockname()[1]}\n")
        answer = one.run("doctor", "--config", str(config), "--json")
    assert answer.returncode == 1
    assert findings(answer)["permissions"]["remedy"] == f"chmod 700 {one.data_dir}"
    assert findings(answer)["port"]["state"] == "bad"
    bad = [one for one in json.loads(answer.stdout)["findings"] if one["about"] == "database" and one["state"] == "bad"]
    assert [finding["message"].split(":")[0] for finding in bad] == ["control.sqlite3"]


def test_airgap_lists_every_way_out(one: RunningAppliance) -> None:
    one.setup()
    one.start()
    source = {"type": "http_poll", "url": "https://api.example.com/v1/readings", "interval": "1h"}
    with one.client() as client:
        created = client.post("/api/v1/pipelines", json={"name": "weather", "source": source, "mapping": MAPPING})
        assert created.status_code == 201, created.text
        client.post(f"/api/v1/pipelines/{created.json()['id']}/pause")
    config = one.folder / "a.toml"
    config.write_text(
        '[egress]\nallow = ["10.1.0.0/16:443"]\n'
        '[telemetry]\nsentry_dsn = "https://abc@errors.example.com/7"\notlp_url = "http://10.1.2.3:4318/v1/metrics"\n'
    )
    for _ in range(2):  # beside the running appliance, then on the stopped one
        answer = one.run("doctor", "--airgap", "--json", "--config", str(config))
        assert [finding["message"] for finding in json.loads(answer.stdout)["findings"]] == [
            "pipeline 'weather' (paused) asks api.example.com",
            "private networks that may be asked: 10.1.0.0/16:443",
            "failures of this node are told to errors.example.com",
            "metrics of this node are told to 10.1.2.3:4318",
        ]
        one.stop()


def test_maintenance_by_command_survives_a_restart(one: RunningAppliance) -> None:
    one.setup()
    (one.folder / "token").write_text(one.token)
    one.start()
    reach = ("--url", one.url, "--token-file", str(one.folder / "token"))
    told = one.run("maintenance", "on", "A new disk", "--for", "2h", *reach)
    assert told.stdout.startswith("on: under maintenance until "), told.stderr
    assert ": A new disk (since " in told.stdout
    one.stop()
    one.start()
    reach = ("--url", one.url, *reach[2:])
    ready = httpx.get(f"{one.url}/readyz", trust_env=False)
    assert (ready.status_code, ready.json()["parts"]["maintenance"]["ready"]) == (200, True)
    assert "A new disk" in ready.json()["parts"]["maintenance"]["reason"]
    assert "dash_maintenance 1.0" in httpx.get(f"{one.url}/metrics", trust_env=False).text
    assert json.loads(one.run("maintenance", "off", "--json", *reach).stdout)["on"] is False
    assert "maintenance" not in httpx.get(f"{one.url}/readyz", trust_env=False).json()["parts"]


def test_the_service_manager_is_told(one: RunningAppliance) -> None:
    one.setup()
    address = str(one.folder / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(address)
        manager.settimeout(20)
        watched = RunningAppliance(
            one.folder, environment={"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "200000", "WATCHDOG_PID": ""}
        )
        watched.start()
        heard = {manager.recv(4096).decode().split("\n")[0] for _ in range(4)}
        assert heard == {"READY=1", "WATCHDOG=1"}
        assert watched.stop() == 0
        while (last := manager.recv(4096)) == b"WATCHDOG=1":
            continue
        assert last == b"STOPPING=1\nSTATUS=draining"


def test_a_data_directory_that_cannot_be_made(one: RunningAppliance) -> None:
    (one.folder / "file").write_text("")
    answer = one.run("serve", "--data-dir", str(one.folder / "file" / "data"))
    assert answer.returncode == 73
    assert answer.stderr.count("\n") == 2  # what is wrong, and where more is said


def test_jobs_and_nodes_by_command(one: RunningAppliance) -> None:
    one.setup()
    one.start()
    reach = ("--url", one.url, "--token-file", str(one.folder / "token"))
    (one.folder / "token").write_text(one.token)
    listed = one.run("jobs", "list", "--state", "ready", *reach)
    assert listed.stdout.splitlines()[0].split() == ["ID", "KIND", "STATE", "PROGRESS", "NODE", "RUN", "AT", "ERROR"]
    assert "retention.round" in listed.stdout
    jobs = json.loads(one.run("jobs", "list", "--kind", "storage.sample", "--json", *reach).stdout)
    cancelled = one.run("jobs", "cancel", jobs[0]["id"], *reach)
    assert (cancelled.returncode, cancelled.stdout) == (0, f"{jobs[0]['id']}: cancelled\n")
    assert one.run("jobs", "cancel", jobs[0]["id"], *reach).returncode == 1
    assert one.run("jobs", "retry", jobs[0]["id"], *reach).stdout == f"{jobs[0]['id']}: ready\n"
    assert one.run("jobs", "list", "--kind", "no.such", *reach).stdout == "there are no such jobs\n"
    [node] = json.loads(one.run("node", "list", "--json", *reach).stdout)
    heads, told = (line.split() for line in one.run("node", "list", *reach).stdout.splitlines())
    assert (heads[4], told[4], node["partition"]) == ("PARTITION", "0", 0)
    assert one.run("node", "drain", *reach).stdout == f"{node['name']}: draining\n"
    assert httpx.get(f"{one.url}/readyz", trust_env=False).json()["parts"]["node"]["ready"] is False
    assert one.run("node", "resume", node["id"], *reach).stdout == f"{node['name']}: running\n"
    unknown = one.run("node", "drain", "nobody", *reach)
    assert (unknown.returncode, node["name"] in unknown.stderr) == (1, True)
    assert one.run("node", "forget", node["id"], *reach).returncode == 1  # it lives
