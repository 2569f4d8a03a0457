"""Exactly once from pipeline to pipeline: the appliance is killed at random moments while rows go down a chain.

What makes it exact is that a page's events and its checkpoint are durable in one frame. The control shows that this
test would see it if they were not: a reader that saves its place before the rows loses some when it is killed, and one
that saves it after them repeats some.
"""

import json
import random
import threading
from pathlib import Path
from typing import Any

import httpx

from tests.crash.down_the_chain import MAPPING, THROUGH, killed_between
from tests.running import RunningAppliance, standard_headers


class Posting(threading.Thread):
    """Posts ten numbers at a time until told to end; each delivery again and again until it is acknowledged."""

    def __init__(self, appliance: RunningAppliance, pipeline_id: str, secret: str) -> None:
        super().__init__(daemon=True)
        self._appliance, self._pipeline_id, self._secret = appliance, pipeline_id, secret
        self.ending = threading.Event()
        self.acknowledged = 0

    def run(self) -> None:
        with httpx.Client(timeout=5, trust_env=False) as client:
            while not self.ending.is_set():
                numbers = range(self.acknowledged, self.acknowledged + 10)
                body = json.dumps([{"number": number} for number in numbers]).encode()
                while not self._posted(client, f"delivery-{self.acknowledged}", body):
                    self.ending.wait(0.01)
                self.acknowledged += 10

    def _posted(self, client: httpx.Client, delivery_id: str, body: bytes) -> bool:
        headers = standard_headers(self._secret, delivery_id, body)
        try:
            answer = client.post(f"{self._appliance.url}/in/{self._pipeline_id}", content=body, headers=headers)
        except httpx.HTTPError:
            return False
        return answer.status_code in (200, 202)


def numbers_in(appliance: RunningAppliance, pipeline_id: str) -> list[int]:
    with appliance.client() as client:
        lines = client.get(
            f"/api/v1/pipelines/{pipeline_id}/records",
            params={"order": "asc"},
            headers={"accept": "application/x-ndjson"},
        ).raise_for_status()
    return [json.loads(line)["number"] for line in lines.text.splitlines()]


def create_reader(appliance: RunningAppliance, name: str, read: list[str]) -> str:
    document: dict[str, Any] = {
        "name": name, "source": {"type": "pipeline", "pipelines": read}, "mapping": THROUGH,
    }  # fmt: skip
    with appliance.client() as client:
        pipeline_id: str = client.post("/api/v1/pipelines", json=document).raise_for_status().json()["id"]
    return pipeline_id


def test_five_kills_lose_no_row_and_repeat_none_through_a_chain(tmp_path: Path) -> None:
    appliance = RunningAppliance(tmp_path, environment={"DASH_BRONZE_SEGMENT_SIZE": "1 MiB"})
    appliance.setup()
    appliance.start()
    first, secret = appliance.create_pipeline("first", MAPPING)
    second = create_reader(appliance, "second", ["first"])
    third = create_reader(appliance, "third", [first, "second"])  # each number comes by both ways
    posting, moments = Posting(appliance, first, secret), random.Random(20261122)
    posting.start()
    for _ in range(5):
        threading.Event().wait(moments.uniform(0.05, 0.6))
        appliance.kill()
        appliance.start()
    posting.ending.set()
    posting.join(timeout=30)
    expected = list(range(posting.acknowledged))
    assert len(expected) > 100, "hardly anything was on its way: this run proves nothing"
    deadline = threading.Event()
    for _ in range(600):
        if appliance.ledger(third)["received"] >= 2 * len(expected):
            break
        deadline.wait(0.05)
    appliance.wait_refined(third)
    assert numbers_in(appliance, first) == expected
    assert numbers_in(appliance, second) == expected
    assert sorted(numbers_in(appliance, third)) == sorted(expected * 2)
    assert appliance.stop() == 0
    verified = appliance.run("verify", "--json")
    assert verified.returncode == 0, verified.stdout + verified.stderr


def test_a_checkpoint_in_the_frame_of_its_events_is_exact(tmp_path: Path) -> None:
    assert killed_between(tmp_path, "in the frame") == list(range(40))


def test_control_a_checkpoint_before_its_events_loses_rows(tmp_path: Path) -> None:
    got = killed_between(tmp_path, "before")
    assert len(got) < 40
    assert len(set(got)) == len(got)


def test_control_a_checkpoint_after_its_events_repeats_rows(tmp_path: Path) -> None:
    got = killed_between(tmp_path, "after")
    assert set(got) == set(range(40))
    assert len(got) > 40
