"""Acknowledged is durable, exactly once: the whole appliance is killed at random moments while a writer posts.

The writer behaves as senders must: a delivery without an answer is sent again under the same id. So at the end every
number must be there exactly once, whether its first attempt died before, during or after it became durable. That the
storage layer would notice a missing sync is shown by the control run of ``test_bronze_storage``: SIGKILL alone does not
empty the page cache, so this test is about order, recovery and bookkeeping.
"""

import json
import random
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.running import RunningAppliance, standard_headers

MAPPING: dict[str, Any] = {
    "fields": [{"name": "number", "path": "$.number", "type": "integer", "required": True}],
    "unmapped": "drop",
}


class Writer(threading.Thread):
    """Posts deliveries of one to forty numbers until told to end; keeps each until it is acknowledged."""

    def __init__(self, appliance: RunningAppliance, pipeline_id: str, secret: str, seed: int) -> None:
        super().__init__(daemon=True)
        self._appliance, self._pipeline_id, self._secret = appliance, pipeline_id, secret
        self._random = random.Random(seed)
        self._seed = seed
        self._client = httpx.Client(timeout=5, trust_env=False)
        self.ending = threading.Event()
        self.acknowledged: list[int] = []
        self.repeated = 0

    def run(self) -> None:
        with self._client:
            self._write()

    def _write(self) -> None:
        number, delivery = self._seed * 1_000_000, 0
        while not self.ending.is_set():
            numbers = list(range(number, number + self._random.randint(1, 40)))
            number, delivery = numbers[-1] + 1, delivery + 1
            self._deliver(f"delivery-{self._seed}-{delivery}", numbers)
            self.acknowledged += numbers

    def _deliver(self, delivery_id: str, numbers: list[int]) -> None:
        body = json.dumps([{"number": number} for number in numbers]).encode()
        while True:
            headers = standard_headers(self._secret, delivery_id, body)
            try:
                answer = self._client.post(
                    f"{self._appliance.url}/in/{self._pipeline_id}", content=body, headers=headers
                )
            except httpx.HTTPError:
                self.repeated += 1
                self.ending.wait(0.01)
                continue
            if answer.status_code in (200, 202):
                return
            assert answer.status_code == 503, answer.text
            self.ending.wait(0.01)


def kill_again_and_again(folder: Path, rounds: int, seed: int) -> None:
    appliance = RunningAppliance(folder, environment={"DASH_BRONZE_SEGMENT_SIZE": "1 MiB"})
    appliance.setup()
    appliance.start()
    pipeline_id, secret = appliance.create_pipeline("crash", MAPPING)
    writers = [Writer(appliance, pipeline_id, secret, number) for number in (1, 2)]
    for writer in writers:
        writer.start()
    moments = random.Random(seed)
    for _ in range(rounds):
        threading.Event().wait(moments.uniform(0.02, 0.5))
        appliance.kill()
        appliance.start()
    for writer in writers:
        writer.ending.set()
    for writer in writers:
        writer.join(timeout=30)
        assert not writer.is_alive()

    expected = sorted(number for writer in writers for number in writer.acknowledged)
    ledger = appliance.wait_refined(pipeline_id)
    assert sum(writer.repeated for writer in writers) > 0, "nothing was ever interrupted: this run proves nothing"
    assert ledger == {
        "received": len(expected), "stored": len(expected), "filtered": 0, "duplicate": 0, "dead": 0, "pending": 0,
    }  # fmt: skip
    with appliance.client() as client:
        lines = client.get(
            f"/api/v1/pipelines/{pipeline_id}/records",
            params={"limit": 1_000_000, "order": "asc"},
            headers={"accept": "application/x-ndjson"},
        ).raise_for_status()
    rows = [json.loads(line) for line in lines.text.splitlines()]
    assert sorted(row["number"] for row in rows) == expected
    assert sorted(row["_seq"] for row in rows) == list(range(1, len(expected) + 1))
    assert appliance.stop() == 0
    verified = appliance.run("verify", "--json")
    assert verified.returncode == 0, verified.stdout + verified.stderr


def test_seven_kills_lose_nothing_and_repeat_nothing(tmp_path: Path) -> None:
    kill_again_and_again(tmp_path, rounds=7, seed=20261122)


@pytest.mark.slow
def test_three_hundred_kills_lose_nothing_and_repeat_nothing(tmp_path: Path) -> None:
    kill_again_and_again(tmp_path, rounds=300, seed=4)
