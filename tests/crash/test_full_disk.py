"""A disk that fills to the last byte under load, and then has space again: nothing acknowledged is lost.

The disk is a small tmpfs of its own. While it is full, senders hear 503 with ``Retry-After``, and what needs little
works on the reserve: signing in, deleting, erasing, the audit trail. Then service comes back without hands. That the
reserve is what makes it work is shown by the control, which has none.
"""

import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.running import EMAIL, PASSWORD, RunningAppliance, standard_headers

MIB = 1 << 20
SIZE = 160 * MIB
HELD_SECS = 10.0
TEN_MINUTES_SECS = 600.0
MAPPING: dict[str, Any] = {
    "fields": [{"name": "number", "path": "$.number", "type": "integer", "required": True}],
    "unmapped": "drop",
}
PADDING_BYTES = 1_500  # random, so that compressing gives little back
PER_DELIVERY = 20


def as_root(*command: str) -> None:
    prefix = [] if os.getuid() == 0 else ["sudo", "-n"]
    subprocess.run([*prefix, *command], check=True, capture_output=True)


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """The folder of an appliance whose data directory is a disk of 160 MiB."""
    disk = tmp_path / "data"
    disk.mkdir()
    as_root("mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=0700,uid={os.getuid()}", "tmpfs", str(disk))
    try:
        yield tmp_path
    finally:
        as_root("umount", "--lazy", str(disk))


class Sender(threading.Thread):
    """Posts deliveries of twenty numbers until told to end; keeps each until it is acknowledged, as senders must."""

    def __init__(self, appliance: RunningAppliance, pipeline: tuple[str, str], name: str) -> None:
        super().__init__(daemon=True)
        self._url, self._secret, self._name = f"{appliance.url}/in/{pipeline[0]}", pipeline[1], name
        self.ending = threading.Event()
        self.acknowledged: list[int] = []
        self.refused: list[tuple[int, str | None]] = []
        self.failed: list[str] = []

    def run(self) -> None:
        with httpx.Client(timeout=30, trust_env=False) as client:
            number = 0
            while not self.ending.is_set():
                numbers = list(range(number, number + PER_DELIVERY))
                number += PER_DELIVERY
                if self._delivered(client, f"{self._name}-{number}", numbers):
                    self.acknowledged += numbers

    def _delivered(self, client: httpx.Client, delivery_id: str, numbers: list[int]) -> bool:
        padding = os.urandom(PADDING_BYTES).hex()
        body = json.dumps([{"number": one, "padding": f"{one}{padding}"} for one in numbers]).encode()
        while True:
            headers = standard_headers(self._secret, delivery_id, body)
            answer = client.post(self._url, content=body, headers=headers)
            if answer.status_code in (200, 202):
                return True
            if answer.status_code == 404:  # deleted
                return False
            if answer.status_code not in (429, 503):
                self.failed.append(answer.text)
                return False
            self.refused.append((answer.status_code, answer.headers.get("retry-after")))
            if self.ending.wait(0.1):
                return False


def until(holds: Callable[[], bool], within_secs: float = 60) -> None:
    deadline = time.monotonic() + within_secs
    while not holds():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.1)


def fill(disk: Path) -> Path:
    """Take everything that is left, to the last byte."""
    ballast = disk / "ballast"
    with ballast.open("ab", buffering=0) as file:
        for step in (MIB, 4096, 1):
            try:
                while True:
                    file.write(b"\0" * step)
            except OSError:
                continue
    return ballast


def readiness(appliance: RunningAppliance) -> dict[str, Any]:
    with appliance.client() as client:
        found: dict[str, Any] = client.get("/readyz").json()
    return found


def disk_stopped(appliance: RunningAppliance) -> bool:
    return not readiness(appliance)["parts"]["disk"]["ready"]


def signed_in(appliance: RunningAppliance) -> int:
    with httpx.Client(base_url=appliance.url, timeout=30, trust_env=False) as client:
        asked = {"email": EMAIL, "password": PASSWORD}
        return client.post("/api/v1/session", json=asked, headers={"origin": appliance.url}).status_code


def numbers_stored(appliance: RunningAppliance, pipeline_id: str) -> list[int]:
    with appliance.client() as client:
        lines = client.get(
            f"/api/v1/pipelines/{pipeline_id}/records",
            params={"limit": 1_000_000, "order": "asc"},
            headers={"accept": "application/x-ndjson"},
        ).raise_for_status()
    return sorted(json.loads(line)["number"] for line in lines.text.splitlines())


def small_appliance(folder: Path, reserve: str) -> RunningAppliance:
    settings = {
        "DASH_DISK_STOP_FREE": "0 B",
        "DASH_DISK_RESERVE": reserve,
        "DASH_DISK_SLOW": "95",  # as the stop mark: holding acknowledgements back would only take time here
        "DASH_BRONZE_SEGMENT_SIZE": "4 MiB",
        "DASH_BRONZE_SEGMENT_AGE": "10s",
    }
    appliance = RunningAppliance(folder, environment=settings)
    appliance.setup()
    appliance.start()
    return appliance


def work_on_a_full_disk(appliance: RunningAppliance, doomed: str, kept: str) -> None:
    """Sign in, erase an event, delete a pipeline, read rows and the audit trail."""
    assert signed_in(appliance) in (200, 201)
    with appliance.client() as client:
        asked = {"pipelines": [kept], "seqs": [1], "reason": "a full disk", "dry_run": True}
        erasure = client.post("/api/v1/erasures", json=asked)
        assert erasure.status_code == 202, erasure.text
        assert client.get(f"/api/v1/pipelines/{kept}/records").status_code == 200
        deleted = client.delete(f"/api/v1/pipelines/{doomed}")
        assert deleted.status_code == 204, deleted.text
        actions = [one["action"] for one in client.get("/api/v1/audit").json()["items"]]
        assert {"pipeline.delete", "erasure.request"} <= set(actions)
        until(lambda: client.get(erasure.headers["location"]).json()["state"] == "found")


def test_a_disk_filled_to_the_last_byte_and_freed_again_loses_nothing(small: Path) -> None:
    full_and_free_again(small, HELD_SECS)


@pytest.mark.slow
def test_ten_minutes_on_a_full_disk_lose_nothing(small: Path) -> None:
    full_and_free_again(small, TEN_MINUTES_SECS)


def full_and_free_again(small: Path, held_secs: float) -> None:
    appliance = small_appliance(small, "64 MiB")
    kept, doomed = appliance.create_pipeline("kept", MAPPING), appliance.create_pipeline("doomed", MAPPING)
    senders = [Sender(appliance, kept, "kept"), Sender(appliance, doomed, "doomed")]
    for sender in senders:
        sender.start()
    until(lambda: all(len(sender.acknowledged) > 200 for sender in senders))
    ballast = fill(appliance.data_dir)
    until(lambda: disk_stopped(appliance))
    told = readiness(appliance)["parts"]["disk"]["reason"]
    assert "receiving and refining wait" in told
    refused = len(senders[0].refused)
    until(lambda: len(senders[0].refused) > refused + 5)
    assert {status for status, _ in senders[0].refused} == {503}
    assert all(after is not None and int(after) >= 1 for _, after in senders[0].refused)

    work_on_a_full_disk(appliance, doomed[0], kept[0])
    time_full = time.monotonic()
    until(lambda: time.monotonic() - time_full > held_secs, held_secs + 10)  # a full disk for a while, under load
    assert signed_in(appliance) in (200, 201)
    assert disk_stopped(appliance)

    ballast.unlink()
    until(lambda: readiness(appliance)["ready"])
    before = len(senders[0].acknowledged)
    until(lambda: len(senders[0].acknowledged) > before + 200)
    for sender in senders:
        sender.ending.set()
        sender.join(timeout=60)
        assert sender.failed == []
    everything_is_there(appliance, kept[0], senders[0].acknowledged)


def everything_is_there(appliance: RunningAppliance, pipeline_id: str, acknowledged: list[int]) -> None:
    """All that was acknowledged is stored, once; at most one delivery more, whose answer nobody waited for."""
    ledger = appliance.wait_refined(pipeline_id, 120)
    assert ledger["received"] == ledger["stored"]
    assert missing(acknowledged, numbers_stored(appliance, pipeline_id)) == ([], [])
    assert ledger["received"] - len(acknowledged) in (0, PER_DELIVERY)
    assert appliance.stop() == 0
    verified = appliance.run("verify", "--json")
    assert verified.returncode == 0, verified.stdout + verified.stderr


def missing(acknowledged: list[int], stored: list[int]) -> tuple[list[int], list[int]]:
    """Return which numbers are not there, and which are there twice."""
    found = set(stored)
    twice = [one for one in found if stored.count(one) > 1] if len(found) < len(stored) else []
    return sorted(set(acknowledged) - found), twice


def test_the_control_sees_a_number_that_is_missing_or_there_twice() -> None:
    assert missing([1, 2, 3], [1, 3, 3]) == ([2], [3])


def test_without_a_reserve_a_full_disk_takes_no_sign_in(small: Path) -> None:
    """The control: the same disk, full to the last byte, and nothing kept back."""
    appliance = small_appliance(small, "0 B")
    fill(appliance.data_dir)
    until(lambda: disk_stopped(appliance))
    assert signed_in(appliance) == 503
    appliance.kill()


@pytest.mark.slow
def test_a_disk_filled_by_what_is_received_stops_in_time_and_deleting_frees_it(small: Path) -> None:
    """Nobody else fills it: receiving stops at the mark, with room left, and a deletion by a person gives room."""
    appliance = small_appliance(small, "64 MiB")
    kept, doomed = appliance.create_pipeline("kept", MAPPING), appliance.create_pipeline("doomed", MAPPING)
    sender = Sender(appliance, kept, "kept")
    fillers = [Sender(appliance, doomed, f"filler-{number}") for number in range(3)]
    ballast = appliance.data_dir / "ballast"
    with ballast.open("wb") as file:  # so that it does not take long
        os.posix_fallocate(file.fileno(), 0, 112 * MIB)
    for one in (sender, *fillers):
        one.start()
    until(lambda: disk_stopped(appliance), 120)
    assert shutil.disk_usage(appliance.data_dir).free > MIB
    refused = len(sender.refused)
    until(lambda: len(sender.refused) > refused + 3)
    with appliance.client() as client:
        assert client.delete(f"/api/v1/pipelines/{doomed[0]}").status_code == 204
    until(lambda: readiness(appliance)["ready"], 60)
    before = len(sender.acknowledged)
    until(lambda: len(sender.acknowledged) > before + 40)
    for one in (sender, *fillers):
        one.ending.set()
        one.join(timeout=60)
        assert one.failed == []
    everything_is_there(appliance, kept[0], sender.acknowledged)
