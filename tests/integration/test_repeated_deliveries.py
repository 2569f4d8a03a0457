"""Two real appliances, a sender that takes them in turn and repeats whatever was not acknowledged: each number once."""

import itertools
import json
import shutil
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import httpx
import pytest

from tests.integration.test_two_ingestors import BOILERS, Pair, ledger, settled, stored
from tests.running import RunningAppliance, at_work, standard_headers, until

SENDERS = 3
UNHEARD = 4  # of so many answers one is lost on the way: its delivery comes again, to the other node


class Senders:
    """Post numbered events to the nodes in turn, each again with the same id until an answer was heard."""

    def __init__(self, pair: Pair, pipeline_id: str, secret: str) -> None:
        self._urls, self._path, self._secret = [node.url for node in pair], f"/in/{pipeline_id}", secret
        self._numbers, self._turns, self._ended = itertools.count(), itertools.count(), threading.Event()
        self._threads = [threading.Thread(target=self._send) for _ in range(SENDERS)]
        self.acknowledged: list[int] = []
        self.twice: list[int] = []  # acknowledged by both nodes, as new by each
        self.unanswered: list[int] = []

    def at_work(self) -> AbstractContextManager[None]:
        return at_work(self._threads, self._ended)

    def _send(self) -> None:
        with httpx.Client(trust_env=False, timeout=10) as client:
            while not self._ended.is_set():
                self._deliver(client, next(self._numbers))

    def _deliver(self, client: httpx.Client, number: int) -> None:
        heard = self._until_answered(client, number)
        if number % UNHEARD == 0:
            again = self._until_answered(client, number)
            if (heard, again) == (202, 202):
                self.twice.append(number)
        self.acknowledged.append(number)

    def _until_answered(self, client: httpx.Client, number: int) -> int:
        body, deadline = json.dumps({"n": number}).encode(), time.monotonic() + 60
        while time.monotonic() < deadline:
            headers = standard_headers(self._secret, f"msg_{number}", body)
            try:
                url = self._urls[next(self._turns) % len(self._urls)] + self._path
                status = client.post(url, content=body, headers=headers).status_code
            except httpx.TransportError:
                self.unanswered.append(number)
                time.sleep(0.05)
                continue
            if status in (200, 202):
                return status
        raise AssertionError(f"{number} was not taken for a minute")


def begun(pair: Pair) -> tuple[str, str]:
    pipeline_id, secret = pair[0].create_pipeline("boilers", BOILERS)
    with pair[1].client() as there:
        until(lambda: there.post(f"/in/{pipeline_id}").status_code == 401)
    return pipeline_id, secret


def expect_exactly_once(node: RunningAppliance, pipeline_id: str, senders: Senders) -> dict[str, int]:
    """Fail unless every acknowledged number is one row, and all else that was received a duplicate."""
    told = ledger(node, pipeline_id)
    counted = Counter(stored(node, pipeline_id))
    assert [n for n, times in counted.items() if times > 1] == []
    assert counted.keys() == set(senders.acknowledged)
    assert (told["stored"], told["filtered"], told["dead"]) == (len(counted), 0, 0)
    assert told["duplicate"] == told["received"] - len(counted)
    return told


def test_what_is_repeated_to_the_other_node_is_stored_once(pair: Pair) -> None:
    pipeline_id, secret = begun(pair)
    senders = Senders(pair, pipeline_id, secret)
    with senders.at_work():
        until(lambda: len(senders.acknowledged) > 100)
    for node in pair:
        settled(node, pipeline_id, len(senders.acknowledged) + len(senders.twice))
        told = expect_exactly_once(node, pipeline_id, senders)
        assert told["duplicate"] == len(senders.twice) > 0


@pytest.mark.slow
def test_what_a_lone_node_took_is_known_to_the_second_one(alone: RunningAppliance, joining: RunningAppliance) -> None:
    pipeline_id, secret = alone.create_pipeline("boilers", BOILERS)
    assert [_post(alone, pipeline_id, secret, n) for n in range(20)] == [202] * 20
    settled(alone, pipeline_id, 20)
    joining.start()
    with joining.client() as there:
        until(lambda: there.post(f"/in/{pipeline_id}").status_code == 401)
    assert [_post(joining, pipeline_id, secret, n) for n in range(10, 30)] == [202] * 20
    settled(joining, pipeline_id, 40)
    assert sorted(stored(alone, pipeline_id)) == list(range(30))
    told = ledger(joining, pipeline_id)
    assert (told["received"], told["stored"], told["duplicate"]) == (40, 30, 10)


def _post(node: RunningAppliance, pipeline_id: str, secret: str, number: int) -> int:
    body = json.dumps({"n": number}).encode()
    with node.client() as client:
        headers = standard_headers(secret, f"msg_{number}", body)
        return client.post(f"/in/{pipeline_id}", content=body, headers=headers).status_code


@pytest.fixture
def alone(tmp_path: Path, database_url: str) -> Iterator[RunningAppliance]:
    node = RunningAppliance(tmp_path / "anna", environment={"DASH_DATABASE_URL": database_url})
    (tmp_path / "anna").mkdir()
    node.setup()
    node.start()
    yield node
    node.stop()


@pytest.fixture
def joining(alone: RunningAppliance, tmp_path: Path, database_url: str) -> Iterator[RunningAppliance]:
    """A second node that was never started."""
    (tmp_path / "bert").mkdir()
    node = RunningAppliance(tmp_path / "bert", environment={"DASH_DATABASE_URL": database_url})
    node.data_dir.mkdir()
    shutil.copy(alone.data_dir / "secret.key", node.data_dir)
    node.token = alone.token
    yield node
    node.stop()


@pytest.mark.slow
def test_a_node_is_killed_while_deliveries_are_repeated(pair: Pair) -> None:
    anna, bert = pair
    pipeline_id, secret = begun(pair)
    senders = Senders(pair, pipeline_id, secret)
    with senders.at_work():
        for node in (bert, anna):
            heard = len(senders.acknowledged)
            until(lambda heard=heard: len(senders.acknowledged) > heard + 100, 60)  # type: ignore[misc]
            node.kill()
            stood = len(senders.acknowledged)
            until(lambda stood=stood: len(senders.acknowledged) > stood + 50, 60)  # type: ignore[misc]
            node.start("--port", node.url.rpartition(":")[2])
    for node in pair:
        settled(node, pipeline_id, len(senders.acknowledged) + len(senders.twice))
        told = expect_exactly_once(node, pipeline_id, senders)
        assert told["duplicate"] >= len(senders.twice) > 0
    until(lambda: ledger(anna, pipeline_id) == ledger(bert, pipeline_id))
    print(f"{len(senders.acknowledged)} acknowledged, {len(senders.unanswered)} unanswered, ledger {told}")
