"""A replay survives kill -9 of the whole appliance in each of its phases, while a writer goes on posting.

After the next start it is finished or gone on with, by itself; every acknowledged number is there once, as the version
that the pipeline says it runs makes it, and the ledger balances. The control shows that the check notices a book that
does not know of an exchange.
"""

import json
import re
import shutil
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.crash.test_appliance_killed import MAPPING, Writer
from tests.running import RunningAppliance, standard_headers

TWICE = {**MAPPING, "fields": [*MAPPING["fields"], {"name": "twice", "expr": "number * 2", "type": "integer"}]}
HISTORY, LONG_HISTORY, A_REQUEST = 20_000, 450_000, 5_000
DYING = (sys.executable, "-m", "tests.crash.dying_appliance")
WITHIN_SECS = 60.0


class Scenario:
    """An appliance with history, a candidate version that doubles each number, and a writer that goes on."""

    def __init__(self, appliance: RunningAppliance, pipeline_id: str, secret: str) -> None:
        self.appliance, self.pipeline_id, self.secret = appliance, pipeline_id, secret
        self.path = f"/api/v1/pipelines/{pipeline_id}"
        self.history = 0
        self.writer = Writer(appliance, pipeline_id, secret, seed=9)

    @classmethod
    def made(cls, folder: Path) -> "Scenario":
        """Set a new one up; it runs."""
        appliance = RunningAppliance(folder, program=DYING)
        appliance.setup()
        appliance.start()
        scenario = cls(appliance, *appliance.create_pipeline("crash", MAPPING))
        document = {"name": "crash", "source": {"type": "webhook"}, "mapping": TWICE}
        with appliance.client() as client:
            client.post(f"{scenario.path}/versions", json={"document": document}).raise_for_status()
        scenario.receive(HISTORY)
        return scenario

    def copied(self, folder: Path) -> "Scenario":
        """Return the same in another folder; neither runs."""
        shutil.copytree(self.appliance.data_dir, folder / "data")
        appliance = RunningAppliance(folder, program=DYING)
        appliance.token = self.appliance.token
        scenario = Scenario(appliance, self.pipeline_id, self.secret)
        scenario.history = self.history
        return scenario

    def receive(self, count: int) -> None:
        for first in range(self.history, self.history + count, A_REQUEST):
            body = json.dumps([{"number": -1 - number} for number in range(first, first + A_REQUEST)]).encode()
            headers = standard_headers(self.secret, f"history-{first}", body)
            url = f"{self.appliance.url}/in/{self.pipeline_id}"
            httpx.post(url, content=body, headers=headers, timeout=30, trust_env=False).raise_for_status()
        self.history += count
        self.appliance.wait_refined(self.pipeline_id)

    def mortal(self, event: str) -> None:
        """Start the appliance such that it dies when it logs ``event``; the empty one lets it live."""
        self.appliance.stop()
        self.appliance.environment |= {"DIE_AT": event, "DASH_LOG_LEVEL": "debug"}
        self.appliance.start()
        self.writer.start()

    def revive(self) -> None:
        """Wait for the death, and start it as it should be."""
        self.appliance.wait_dead(WITHIN_SECS)
        self.appliance.environment["DIE_AT"] = ""
        self.appliance.start()

    def begin(self, **wish: Any) -> str:
        with self.appliance.client() as client:
            answer = client.post(f"{self.path}/replays", json={"version": 2} | wish)
            return str(answer.raise_for_status().json()["id"])

    def replay(self) -> dict[str, Any]:
        with self.appliance.client() as client:
            return dict(client.get(f"{self.path}/replays").raise_for_status().json()["items"][0])

    def wait(self, *states: str) -> dict[str, Any]:
        """Return the replay once it is in one of ``states``."""
        deadline = time.monotonic() + WITHIN_SECS
        while (replay := self.replay())["state"] not in states:
            assert replay["state"] != "failed", replay
            assert time.monotonic() < deadline, replay
            time.sleep(0.05)
        return replay

    def ask(self, deed: str) -> None:
        """Ask something of the newest replay; the appliance may die of it."""
        one = self.replay()
        with self.appliance.client() as client:
            try:
                client.post(f"{self.path}/replays/{one['id']}/{deed}", timeout=10).raise_for_status()
            except httpx.TransportError:
                return

    def rest(self) -> None:
        """End the writer and wait until everything is refined."""
        self.writer.ending.set()
        self.writer.join(timeout=30)
        assert not self.writer.is_alive()
        self.appliance.wait_refined(self.pipeline_id)

    def refined_by(self) -> dict[int, int]:
        """Return how many events are stored by which version."""
        with self.appliance.client() as client:
            lines = client.get(f"{self.path}/ledger/lines").raise_for_status().json()["items"]
        counts: Counter[int] = Counter()
        for line in lines:
            counts[line["version"]] += line["stored"]
        return dict(counts)

    def check(self, version: int) -> None:
        """Assert that every number is there once, as ``version`` makes it, and that all books agree."""
        expected = sorted([*(-1 - number for number in range(self.history)), *self.writer.acknowledged])
        ledger = self.appliance.wait_refined(self.pipeline_id)
        with self.appliance.client() as client:
            assert client.get(self.path).raise_for_status().json()["version"] == version
            records = client.get(
                f"{self.path}/records",
                params={"limit": 1_000_000, "order": "asc"},
                headers={"accept": "application/x-ndjson"},
            ).raise_for_status()
        rows = [json.loads(line) for line in records.text.splitlines()]
        assert sorted(row["_seq"] for row in rows) == list(range(1, len(expected) + 1))
        assert sorted(row["number"] for row in rows) == expected
        wanted = [row["number"] * 2 if version == 2 else None for row in rows]
        assert [row.get("twice") for row in rows] == wanted
        assert self.refined_by() == {version: len(expected)}
        assert ledger == {
            "received": len(expected), "stored": len(expected), "filtered": 0, "duplicate": 0, "dead": 0, "pending": 0,
        }  # fmt: skip

    def verify(self) -> None:
        assert self.appliance.stop() == 0
        verified = self.appliance.run("verify", "--json")
        assert verified.returncode == 0, verified.stdout + verified.stderr


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Scenario:
    scenario = Scenario.made(tmp_path_factory.mktemp("made"))
    assert scenario.appliance.stop() == 0
    return scenario


@pytest.fixture
def scenario(made: Scenario, tmp_path: Path) -> Iterator[Scenario]:
    copy = made.copied(tmp_path)
    try:
        yield copy
    finally:
        copy.writer.ending.set()
        copy.appliance.stop()


@pytest.mark.parametrize(
    "event",
    [
        "replay.swapping",
        "replay.exchanged",
        pytest.param("replay.begun", marks=pytest.mark.slow),
        pytest.param("replay.settled", marks=pytest.mark.slow),
    ],
)
def test_a_replay_goes_on_by_itself(scenario: Scenario, event: str) -> None:
    scenario.mortal(event)
    scenario.begin()
    scenario.revive()
    scenario.wait("swapped")
    scenario.rest()
    scenario.check(version=2)
    scenario.verify()


def test_killed_in_the_middle_of_rebuilding_it_takes_up_where_it_was(scenario: Scenario) -> None:
    scenario.appliance.start()
    scenario.receive(LONG_HISTORY)
    scenario.mortal("replay.committed")
    scenario.begin()
    scenario.revive()
    scenario.wait("swapped")
    log = scenario.appliance.log.read_text()
    first, *rest = re.findall(r'"replay\.committed".*?"first":(\d+)', log)
    assert first == "1"
    assert rest, "it was too quick: nothing was interrupted"
    assert int(rest[0]) > 1  # not from the beginning
    scenario.rest()
    scenario.check(version=2)
    scenario.verify()


@pytest.mark.slow
def test_killed_while_it_is_ready_it_waits_again(scenario: Scenario) -> None:
    scenario.mortal("")
    scenario.begin(swap=False)
    scenario.wait("ready")
    scenario.appliance.kill()
    scenario.revive()
    assert scenario.wait("ready")["swap"] is False
    scenario.ask("swap")
    scenario.wait("swapped")
    scenario.rest()
    scenario.check(version=2)
    scenario.verify()


@pytest.mark.parametrize(
    ("event", "version"), [("replay.undoing", 2), pytest.param("replay.put_back", 1, marks=pytest.mark.slow)]
)
def test_undoing_is_done_or_not_done(scenario: Scenario, event: str, version: int) -> None:
    scenario.mortal(event)
    scenario.begin()
    scenario.wait("swapped")
    scenario.ask("undo")
    scenario.revive()
    assert scenario.wait("swapped", "undone")["state"] == {1: "undone", 2: "swapped"}[version]
    scenario.rest()
    scenario.check(version)
    scenario.verify()


@pytest.mark.parametrize("event", ["replay.swapping", pytest.param("replay.exchanged", marks=pytest.mark.slow)])
def test_a_range_is_exchanged_once(scenario: Scenario, event: str) -> None:
    scenario.mortal(event)
    scenario.begin(first_seq=1001, last_seq=3000)
    scenario.revive()
    scenario.wait("swapped")
    scenario.rest()
    with scenario.appliance.client() as client:
        query = {"pipeline": scenario.pipeline_id, "measures": [{"op": "count"}]}
        assert client.post("/api/v1/query", json=query).raise_for_status().json()["rows"][0] == {
            "count": HISTORY + len(scenario.writer.acknowledged)
        }
    assert scenario.refined_by() == {2: 2000, 1: HISTORY + len(scenario.writer.acknowledged) - 2000}
    scenario.ask("undo")
    scenario.check(version=1)
    scenario.verify()


def test_the_check_notices_an_exchange_that_nobody_settles(scenario: Scenario) -> None:
    """The control: the rows are exchanged, and the book is made to forget that it was about to be done."""
    scenario.mortal("replay.exchanged")
    scenario.begin()
    scenario.appliance.wait_dead(WITHIN_SECS)
    with sqlite3.connect(scenario.appliance.data_dir / "control.sqlite3") as book:
        book.execute("UPDATE replay SET state = 'cancelled', document = json_set(document, '$.state', 'cancelled')")
    scenario.revive()
    scenario.rest()
    with pytest.raises(AssertionError):
        scenario.check(version=2)
    with pytest.raises(AssertionError):
        scenario.check(version=1)
