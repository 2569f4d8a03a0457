"""A whole appliance that archives to an object store: while that is away, and when its own disk is lost."""

import json
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event
from typing import Any

import httpx
import pytest

from tests.running import RunningAppliance, standard_headers
from tests.s3 import REGION, Fault, FaultProxy, S3Server

MAPPING: dict[str, Any] = {
    "fields": [{"name": "n", "path": "$.n", "type": "integer"}, {"name": "pad", "path": "$.pad", "type": "string"}]
}
WITHIN_SECS = 60.0
PAD = "x" * 2000
A_DELIVERY = 100  # events of about 2 kB: a segment of 1 MiB closes after six deliveries


def until(holds: Callable[[], Any], told: Callable[[], object]) -> Any:
    deadline = time.monotonic() + WITHIN_SECS
    while not (found := holds()):
        assert time.monotonic() < deadline, told()
        Event().wait(0.05)
    return found


class Machine:
    """An appliance that archives under the name ``here``, and has one pipeline."""

    def __init__(self, folder: Path, endpoint: str, bucket: str, s3: S3Server, **more: str) -> None:
        folder.mkdir()
        chosen = {
            "ARCHIVE_URL": f"s3://{bucket}/bronze", "ARCHIVE_ENDPOINT": endpoint, "ARCHIVE_REGION": REGION,
            "ARCHIVE_ACCESS_KEY": s3.access_key, "ARCHIVE_SECRET_KEY": s3.secret_key, "ARCHIVE_NAME": "here",
            "ARCHIVE_LOCAL_CACHE": "0 B", "BRONZE_SEGMENT_SIZE": "1 MiB", "DISK_STOP_FREE": "0 B", "DISK_STOP": "99",
            "DISK_SLOW": "99", **more,
        }  # fmt: skip
        environment = {f"DASH_{name}": value for name, value in chosen.items()}
        self.appliance = RunningAppliance(folder, environment=environment)
        self.pipeline_id = self.secret = ""
        self.sent = 0

    def create(self) -> None:
        self.appliance.setup()
        self.appliance.start()
        self.pipeline_id, self.secret = self.appliance.create_pipeline("numbers", MAPPING)

    def send(self, deliveries: int) -> None:
        for _ in range(deliveries):
            numbers = range(self.sent, self.sent + A_DELIVERY)
            body = json.dumps([{"n": number, "pad": PAD} for number in numbers]).encode()
            headers = standard_headers(self.secret, f"delivery-{self.sent}", body)
            url = f"{self.appliance.url}/in/{self.pipeline_id}"
            httpx.post(url, content=body, headers=headers, trust_env=False, timeout=30).raise_for_status()
            self.sent += A_DELIVERY

    def get(self, path: str) -> Any:
        with self.appliance.client() as client:
            return client.get(path).json()

    def archive(self) -> dict[str, Any]:
        found: dict[str, Any] = self.get("/api/v1/storage")["archive"]
        return found

    def archived(self, segments: int) -> dict[str, Any]:
        """Return the state once so many segments are archived, and as many here as the cache holds."""
        stay = self.appliance.environment["DASH_ARCHIVE_LOCAL_CACHE"] != "0 B"

        def settled() -> Any:
            state = self.archive()
            return state["archived_segments"] == segments and (stay or not state["local_bytes"]) and state

        return until(settled, self.archive)  # type: ignore[no-any-return]

    def segments(self) -> list[str]:
        folder = self.appliance.data_dir / "bronze" / self.pipeline_id
        return sorted(path.name for path in folder.glob("*.zst"))


@pytest.fixture
def machine(tmp_path: Path, s3: S3Server, s3_proxy: FaultProxy) -> Iterator[Machine]:
    machine = Machine(tmp_path / "old", s3_proxy.endpoint, s3.new_bucket(), s3)
    machine.create()
    yield machine
    machine.appliance.stop()


def test_a_lost_machine_loses_what_was_told_to_be_pending_and_nothing_else(
    machine: Machine, tmp_path: Path, s3: S3Server, s3_proxy: FaultProxy
) -> None:
    machine.send(13)
    state = machine.archived(2)
    machine.appliance.wait_refined(machine.pipeline_id)
    assert (state["well"], state["pending_events"], machine.segments()) == (True, 100, [])
    assert machine.get("/readyz")["parts"]["archive"]["ready"] is True
    lineage = machine.get(f"/api/v1/pipelines/{machine.pipeline_id}/records/7/lineage")
    assert lineage["event"]["payload"]["n"] == 6
    replayed(machine)

    s3_proxy.fault = lambda method, path: Fault(status=503, code="SlowDown")
    machine.send(6)  # receiving goes on
    machine.appliance.wait_refined(machine.pipeline_id)
    told = until(lambda: not machine.archive()["well"] and machine.archive(), machine.archive)
    assert "it asks for fewer requests" in told["told"]
    assert told["pending_events"] == 700
    ready = machine.get("/readyz")["parts"]["archive"]
    assert ready["ready"] is True
    s3_proxy.fault = lambda method, path: None
    state = machine.archived(3)
    machine.appliance.kill()

    new = Machine(tmp_path / "new", s3_proxy.endpoint, s3_bucket(machine), s3, ARCHIVE_LOCAL_CACHE="1 GiB")
    new.appliance.data_dir.mkdir()
    for path in [*machine.appliance.data_dir.glob("control.sqlite3*"), machine.appliance.data_dir / "secret.key"]:
        shutil.copy(path, new.appliance.data_dir)
    done = new.appliance.run("archive", "restore", "--from", "here")
    assert (done.returncode, "1 pipeline restored" in done.stdout) == (0, True), done.stderr + done.stdout
    assert (new.appliance.data_dir / "node.id").read_text() == (machine.appliance.data_dir / "node.id").read_text()
    proved = new.appliance.run("verify", "--archive", "--json")
    assert (proved.returncode, json.loads(proved.stdout)["findings"]) == (0, []), proved.stderr
    new.appliance.token = machine.appliance.token
    assert new.appliance.run("archive", "take-over").returncode == 0
    new.pipeline_id, new.secret, new.sent = machine.pipeline_id, machine.secret, machine.sent
    new.appliance.start()
    try:
        kept = machine.sent - state["pending_events"]
        assert new.appliance.wait_refined(new.pipeline_id) == {
            "received": kept, "stored": kept, "filtered": 0, "duplicate": 0, "dead": 0, "pending": 0,
        }  # fmt: skip
        new.send(7)
        assert new.archived(4)["well"] is True
    finally:
        assert new.appliance.stop() == 0


def replayed(machine: Machine) -> None:
    """Replay from the archive: every row as before."""
    path = f"/api/v1/pipelines/{machine.pipeline_id}/replays"
    with machine.appliance.client() as client:
        client.post(path, json={}).raise_for_status()
    done = until(
        lambda: (one := machine.get(path)["items"][0])["state"] in ("swapped", "failed") and one,
        lambda: machine.get(path)["items"][0],
    )
    assert (done["state"], done["identical"]) == ("swapped", True), done


def s3_bucket(machine: Machine) -> str:
    return machine.appliance.environment["DASH_ARCHIVE_URL"].split("/")[2]


def test_commands_say_what_is_archived_and_what_is_wrong(tmp_path: Path, s3: S3Server) -> None:
    one = Machine(tmp_path / "one", s3.endpoint, s3.new_bucket(), s3)
    one.appliance.data_dir.mkdir()
    state = one.appliance.run("archive", "status")
    assert state.returncode == 0, state.stderr
    assert "under the name here: what has closed is archived\n" in state.stdout
    assert "not yet archived: 0 events, 0.0 MiB" in state.stdout
    shown = one.appliance.run("config", "show")
    assert s3.secret_key not in shown.stdout + shown.stderr
    doctor = json.loads(one.appliance.run("doctor", "--json").stdout)["findings"]
    (archive,) = [one["message"] for one in doctor if one["about"] == "archive" and one["state"] == "fine"]
    assert archive.endswith("stores, reads, lists and deletes")
    away = Machine(tmp_path / "away", s3.endpoint, "bucket-none", s3, ARCHIVE_SECRET_KEY="")
    told = away.appliance.run("check")
    assert (told.returncode, "an S3 archive needs a key of its own" in told.stdout) == (78, True)
    away.appliance.environment["DASH_ARCHIVE_SECRET_KEY"] = "secret"
    told = away.appliance.run("archive", "restore", "--from", "here")
    assert (told.returncode, "there is no such bucket: create it" in told.stderr) == (75, True)
    away.appliance.environment["DASH_ARCHIVE_URL"] = ""
    told = away.appliance.run("archive", "status")
    assert (told.returncode, "there is no archive" in told.stderr) == (78, True)
