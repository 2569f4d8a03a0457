"""An appliance that moves while senders send: into a PostgreSQL and back, killed, cancelled, its database away."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from appliance.moving import ordered
from appliance.moving.ordered import State
from appliance.placing import ELSEWHERE
from tests.moving_senders import Senders
from tests.postgres import PostgresServer, postgres_server
from tests.running import REPOSITORY, RunningAppliance, until

MAPPING: dict[str, Any] = {"fields": [{"name": "n", "path": "$.n", "type": "integer"}]}
WHOLE_SECS = 60.0


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with postgres_server() as server:
        yield server


Makes = Callable[..., "Moving"]


@pytest.fixture
def moving(tmp_path: Path) -> Iterator["Makes"]:
    """Make an appliance that ends with the test, however that does."""
    made: list[Moving] = []

    def make(url: str | None = None) -> Moving:
        made.append(Moving(tmp_path, url))
        return made[-1]

    yield make
    for it in made:
        it.one.stop()


class Moving:
    """An appliance with one hook, and those who send to it."""

    def __init__(self, folder: Path, url: str | None = None) -> None:
        self.one = RunningAppliance(folder, environment={} if url is None else {"DASH_DATABASE_URL": url})
        self.one.setup()
        self.one.start()
        self.hook = self.one.create_pipeline("numbers", MAPPING)
        self.senders = Senders(self.one, self.hook)
        self.filled = 0

    def fill(self, rows: int) -> None:
        self.senders.fill(rows)
        self.filled = rows

    def move(self, *arguments: str) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "appliance", "database", "move", *arguments]
        return subprocess.Popen(
            command, env=self.one.environment, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def is_whole(self) -> bool:
        with self.one.client() as client:
            try:
                return client.get("/api/v1/pipelines").status_code == 200
            except httpx.TransportError:
                return False

    def browse(self) -> tuple[int, str]:
        """Return the status of a page that a browser asks for, and its title."""
        try:
            url = f"{self.one.url}/pipelines"
            answer = httpx.get(url, headers={"accept": "text/html"}, trust_env=False, timeout=60)
        except httpx.TransportError:
            return 0, ""
        return answer.status_code, answer.text.partition("<h1>")[2].partition("<")[0]

    def check_unrefused(self) -> None:
        """Nobody is told to come again; a connection may end when the process starts anew, and its sender repeats."""
        told = [status for status, _ in self.senders.told if status not in (200, 202)]
        assert set(told) <= {0}
        assert len(told) <= 2 * self.senders.count

    def share(self) -> float:
        """Return how much of the rows is copied and compared, of 1."""
        told = ordered.told(self.one.data_dir)
        going = told is not None and told.state is State.MOVING and told.step is not None
        return told.step.done / told.step.total if going else 0.0

    def ended(self) -> bool:
        told = ordered.told(self.one.data_dir)
        return told is not None and told.state.ended

    def start_again(self) -> None:
        """Start on the same port, as a service manager does."""
        self.one.start("--port", self.one.url.rpartition(":")[2])

    def lives_in_database(self) -> bool:
        return (self.one.data_dir / ELSEWHERE).exists()

    def check(self) -> None:
        """What was acknowledged is stored, each event once, whatever else was tried."""
        until(self.is_whole, WHOLE_SECS)
        ledger = self.one.wait_refined(self.hook[0], 60)
        with self.one.client() as client:
            measures = [{"op": "count", "as": "rows"}, {"op": "distinct", "field": "n", "as": "numbers"}]
            asked = {"pipeline": self.hook[0], "measures": measures}
            (found,) = client.post("/api/v1/query", json=asked).raise_for_status().json()["rows"]
        expected = self.filled + len(self.senders.acknowledged)
        assert (ledger["received"], ledger["stored"], found["rows"], found["numbers"]) == (expected,) * 4
        assert len(set(self.senders.acknowledged)) == len(self.senders.acknowledged)


def test_there_and_back_no_sender_is_refused(moving: Makes, server: PostgresServer) -> None:
    it, url = moving(), server.new_database().replace("dash@", "dash:hunter2@")
    it.fill(2_000)
    seen: set[tuple[int, str]] = set()
    with it.senders.at_work():
        there = it.move("--to", url)
        while there.poll() is None:
            seen.add(it.browse())
        told, error = there.communicate()
        assert there.returncode == 0, error
        assert "events are received meanwhile" in error
        assert "rows and 0 dead letters of 1 pipeline" in told
        assert (503, "This appliance is being moved") in seen
        until(it.is_whole, WHOLE_SECS)
        assert it.lives_in_database()
        refused = it.one.run("database", "move", "--to", url)
        assert (refused.returncode, "lives in a database already" in refused.stderr) == (1, True)
        it.one.environment["DASH_DATABASE_URL"] = url  # as somebody sets it who follows the handbook, and forgets it
        back = it.one.run("database", "move", "--to", "embedded", "--json")
        assert back.returncode == 0, back.stderr
        assert json.loads(back.stdout)["rows"]["pipelines"] == 1
        until(it.is_whole, WHOLE_SECS)
    it.check_unrefused()
    it.check()
    assert not it.lives_in_database()
    assert it.one.stop() == 0
    it.one.start()  # with the database that it was moved out of in its environment
    it.check()
    assert it.one.stop() == 0
    assert "hunter2" not in it.one.log.read_text() + told + error + back.stdout + back.stderr
    assert '"event":"database.left","named_by":"DASH_DATABASE_URL"' in it.one.log.read_text()
    assert '"level":"error"' not in it.one.log.read_text()


def killed_in_the_middle(it: Moving, to: str, share: float) -> None:
    """Have the process killed when so much of the rows is copied and compared."""
    ordering = it.move("--to", to)
    until(lambda: it.share() >= share, WHOLE_SECS)
    it.one.kill()
    ended = it.ended()
    ordering.kill()
    ordering.communicate()
    assert not ended, "it was too late: give it more rows"


@pytest.mark.slow
@pytest.mark.parametrize("back", [False, True], ids=["there", "back"])
@pytest.mark.parametrize("share", [0.01, 0.4, 0.7], ids=["begun", "copying", "comparing"])
def test_killed_in_the_middle_it_goes_on(moving: Makes, server: PostgresServer, back: bool, share: float) -> None:
    url = server.new_database()
    it = moving(url if back else None)
    it.fill(200_000)
    with it.senders.at_work():
        killed_in_the_middle(it, "embedded" if back else url, share)
        assert it.lives_in_database() == back
        it.start_again()
        until(lambda: it.lives_in_database() != back, 120)
        until(it.is_whole, WHOLE_SECS)
    it.check()
    assert it.one.stop() == 0
    assert it.one.run("verify").returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize("back", [False, True], ids=["there", "back"])
def test_killed_and_withdrawn_it_stays_where_it_was(moving: Makes, server: PostgresServer, back: bool) -> None:
    url = server.new_database()
    it = moving(url if back else None)
    it.fill(200_000)
    with it.senders.at_work():
        killed_in_the_middle(it, "embedded" if back else url, 0.4)
        assert it.one.run("database", "move", "--cancel").returncode == 0
        it.start_again()
        until(it.is_whole, WHOLE_SECS)
        before = len(it.senders.acknowledged)
        until(lambda: len(it.senders.acknowledged) > before)  # what is received after it counts as well
    assert it.lives_in_database() == back
    it.check()
    assert it.one.stop() == 0


@pytest.mark.slow
def test_cancelled_and_failed_it_goes_on_where_it_was(moving: Makes) -> None:
    with postgres_server() as server:
        url = server.new_database()
        it = moving()
        it.fill(200_000)
        with it.senders.at_work():
            cancelled = it.move("--to", url)
            until(lambda: it.share() > 0, WHOLE_SECS)
            assert it.one.run("database", "move", "--cancel").returncode == 0
            assert "it was cancelled; everything is where it was" in cancelled.communicate()[1]
            until(it.is_whole, WHOLE_SECS)
            failed = it.move("--to", url)
            until(lambda: it.share() > 0, WHOLE_SECS)
            server.stop()
            told = failed.communicate()[1]
            assert (failed.returncode, "everything is where it was" in told) == (1, True), told
            until(it.is_whole, WHOLE_SECS)
            server.start()
            assert it.one.run("database", "move", "--to", url).returncode == 0
        it.check_unrefused()
        assert it.lives_in_database()
        it.check()
        assert it.one.stop() == 0
