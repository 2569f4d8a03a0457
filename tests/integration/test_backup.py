"""A whole appliance that is backed up while it receives, killed, and brought back elsewhere."""

import json
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.running import RunningAppliance, at_work, standard_headers, until

MAPPING: dict[str, Any] = {
    "fields": [
        {"name": "n", "path": "$.n", "type": "integer"},
        {"name": "device", "path": "$.device", "type": "string"},
    ]
}
PASSPHRASE = "correct horse battery staple"


class Sender:
    """Posts deliveries of 200 events one after the other and counts those acknowledged."""

    def __init__(self, appliance: RunningAppliance, pipeline_id: str, secret: str) -> None:
        self._url, self._secret = f"{appliance.url}/in/{pipeline_id}", secret
        self.acknowledged = 0
        self.ended = threading.Event()

    def send(self, client: httpx.Client) -> None:
        numbers = range(self.acknowledged, self.acknowledged + 200)
        body = json.dumps([{"n": number, "device": f"d{number % 7}"} for number in numbers]).encode()
        headers = standard_headers(self._secret, f"delivery-{self.acknowledged}", body)
        client.post(self._url, content=body, headers=headers).raise_for_status()
        self.acknowledged += 200

    def run(self) -> None:
        with httpx.Client(trust_env=False, timeout=30) as client:
            while not self.ended.is_set():
                self.send(client)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("backup")


@pytest.fixture(scope="module")
def one(folder: Path) -> Iterator[RunningAppliance]:
    """An appliance that is backed up to a folder, sealed."""
    (folder / "repository").mkdir()
    (folder / "passphrase").write_text(PASSPHRASE)
    environment = {
        "DASH_BACKUP_URL": f"file://{folder}/repository",
        "DASH_BACKUP_PASSPHRASE_FILE": str(folder / "passphrase"),
        "DASH_BRONZE_SEGMENT_SIZE": "1 MiB",
    }
    appliance = RunningAppliance(folder, environment=environment)
    appliance.setup()
    appliance.start()
    yield appliance
    appliance.stop()


def commanded(appliance: RunningAppliance, *arguments: str) -> Any:
    appliance.environment["DASH_TOKEN"] = appliance.token
    done = appliance.run(*arguments, "--json")
    assert done.returncode == 0, done.stderr + done.stdout
    return json.loads(done.stdout)


def rows(appliance: RunningAppliance, pipeline_id: str) -> list[dict[str, Any]]:
    query = {
        "pipeline": pipeline_id, "group_by": ["device"],
        "measures": [{"op": "count", "as": "rows"}, {"op": "sum", "field": "n", "as": "sum"}],
    }  # fmt: skip
    with appliance.client() as client:
        found = client.post("/api/v1/query", json=query).raise_for_status().json()["rows"]
    return sorted(found, key=lambda row: str(row["device"]))


def test_backed_up_under_load_killed_and_restored_elsewhere(one: RunningAppliance, folder: Path) -> None:
    pipeline_id, secret = one.create_pipeline("numbers", MAPPING)
    sender = Sender(one, pipeline_id, secret)
    with at_work([threading.Thread(target=sender.run)], sender.ended):
        until(lambda: sender.acknowledged >= 10_000)
        full = commanded(one, "backup", "create", "--full", "--url", one.url)
        before = sender.acknowledged
        until(lambda: sender.acknowledged >= before + 4_000)
        second = commanded(one, "backup", "create", "--url", one.url)
        after = sender.acknowledged
        until(lambda: sender.acknowledged >= after + 1_000)  # these are lost with the machine
    assert (full["kind"], second["kind"]) == ("full", "incremental")
    assert second["events"] - full["events"] >= 4_000
    one.wait_refined(pipeline_id)
    one.kill()

    new = RunningAppliance(folder / "elsewhere", environment=dict(one.environment))
    new.folder.mkdir()
    new.environment["DASH_SERVER_DATA_DIR"] = str(new.data_dir)
    planned = commanded(new, "restore", "--dry-run")
    assert (planned["done"], new.data_dir.exists(), "secret.key is in no backup" in planned["key"]) == (
        False,
        False,
        True,
    )
    new.data_dir.mkdir(mode=0o700)
    shutil.copy(one.data_dir / "secret.key", new.data_dir)
    restored = commanded(new, "restore")
    assert (restored["backup"], restored["key"]) == (second["id"], None)
    proved = new.run("verify", "--json")  # opens it and refines nothing: chain, ledgers and audit as they were restored
    assert (proved.returncode, json.loads(proved.stdout)["findings"]) == (0, []), proved.stderr
    new.token = one.token
    new.start()
    try:
        ledger = new.wait_refined(pipeline_id)
        events = second["events"]
        assert ledger == {
            "received": events, "stored": events, "filtered": 0, "duplicate": 0, "dead": 0, "pending": 0,
        }  # fmt: skip
        assert sum(row["rows"] for row in rows(new, pipeline_id)) == events
        assert sum(row["sum"] for row in rows(new, pipeline_id)) == events * (events - 1) // 2  # 0, 1, … each once
        body = b'{"n": 1, "device": "again"}'  # and it goes on: a known delivery id is still known
        headers = standard_headers(secret, "delivery-0", body)
        again = httpx.post(f"{new.url}/in/{pipeline_id}", content=body, headers=headers, trust_env=False)
        assert (again.status_code, again.json()["duplicate"]) == (200, True)
    finally:
        assert new.stop() == 0


def test_it_is_proved_listed_and_told(one: RunningAppliance, folder: Path) -> None:
    """On the repository that the test before has filled; its appliance is dead."""
    (verdict,) = commanded(one, "backup", "verify").values()
    assert (verdict["opened"], verdict["problems"]) == (True, [])
    largest = max((folder / "repository" / "objects").rglob("*"), key=lambda path: path.stat().st_size)
    content = bytearray(largest.read_bytes())
    content[len(content) // 2] ^= 1
    largest.write_bytes(content)
    wrong = one.run("backup", "verify", "--json")
    (verdict,) = json.loads(wrong.stdout).values()
    assert (wrong.returncode, len(verdict["problems"]) > 0) == (1, True)
    listed = commanded(one, "backup", "list")
    assert [item["kind"] for item in listed["items"]] == ["full", "incremental"]
    assert (listed["encrypted"], listed["items"][-1]["verified"]["problems"]) == (True, verdict["problems"])
    refused = one.run("restore", "--data-dir", str(folder / "third"))
    assert (refused.returncode, "not as it was written" in refused.stderr) == (70, True)
    assert [name for name in os.listdir(folder / "third") if name != "lock"] == []
