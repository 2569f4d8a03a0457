"""One replay of what two real nodes have received, asked of either: all rows by the new version, none lost, none twice.

Both go on receiving meanwhile. Each check would notice a row of the old version, a lost one and a double one.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.crash.test_replay_killed import DYING
from tests.integration.conftest import two_nodes
from tests.integration.test_two_ingestors import BOILERS, UNSIGNED, Pair, Sender, expect_once, settled
from tests.running import RunningAppliance, until

TWICE = {**BOILERS, "fields": [*BOILERS["fields"], {"name": "twice", "expr": "n * 2", "type": "integer"}]}
A_REQUEST = 2_000
SECOND = 1 << 44


class History:
    """A pipeline on both nodes, with events of before at each and a candidate version that doubles them."""

    def __init__(self, pair: Pair, each: int) -> None:
        self.pair, self.each = pair, each
        anna, bert = pair
        self.pipeline_id, _ = anna.create_pipeline("boilers", BOILERS, source=UNSIGNED)
        self.path = f"/api/v1/pipelines/{self.pipeline_id}"
        with bert.client() as there:
            until(lambda: there.get(self.path).status_code == 200 and self._post(bert, [0]))
        for node, first in ((anna, -each), (bert, -2 * each)):
            for at in range(first, first + each, A_REQUEST):
                assert self._post(node, list(range(at, at + A_REQUEST)))
        document = {"name": "boilers", "source": UNSIGNED, "mapping": TWICE}
        with anna.client() as client:
            client.post(f"{self.path}/versions", json={"document": document}).raise_for_status()
        self.numbers = list(range(-2 * each, 1))
        settled(anna, self.pipeline_id, 2 * each + 1)

    def _post(self, node: RunningAppliance, numbers: list[int]) -> bool:
        body = json.dumps([{"n": n} for n in numbers])
        with node.client() as client:
            return client.post(f"/in/{self.pipeline_id}", content=body).status_code == 202

    @contextmanager
    def live(self) -> Iterator[list[Sender]]:
        """Send events to both meanwhile, one by one; what was acknowledged is added to ``numbers`` at the end."""
        enough = threading.Event()

        def numbers(first: int) -> Iterator[int]:
            for n in count(first):
                if enough.is_set():
                    return
                yield n

        senders = [
            Sender(node, self.pipeline_id, numbers(first)) for node, first in zip(self.pair, (1, 10**6), strict=True)
        ]
        try:
            yield senders
        finally:
            enough.set()
            for sender in senders:
                sender.join()
                self.numbers += sender.acknowledged

    def begin(self, node: RunningAppliance, **wish: Any) -> str:
        with node.client() as client:
            answer = client.post(f"{self.path}/replays", json={"version": 2} | wish)
            assert answer.status_code == 201, answer.text
            return str(answer.json()["id"])

    def replay(self, node: RunningAppliance, replay_id: str) -> dict[str, Any]:
        with node.client() as client:
            return dict(client.get(f"{self.path}/replays/{replay_id}").raise_for_status().json())

    def wait(self, node: RunningAppliance, replay_id: str, *states: str, secs: float = 60) -> dict[str, Any]:
        def there() -> bool:
            now = self.replay(node, replay_id)
            assert now["state"] in states or now["state"] not in ("failed", "cancelled"), now
            return now["state"] in states

        until(there, secs)
        return self.replay(node, replay_id)

    def ask(self, node: RunningAppliance, replay_id: str, deed: str) -> Any:
        with node.client() as client:
            return client.post(f"{self.path}/replays/{replay_id}/{deed}")

    def rows(self, node: RunningAppliance) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        cursor: dict[str, str] = {}
        with node.client() as client:
            while True:
                asked = client.get(f"{self.path}/records", params={"limit": 10_000, **cursor})
                page = asked.raise_for_status().json()
                found += page["items"]
                if not page.get("next_cursor"):
                    return found
                cursor = {"cursor": page["next_cursor"]}

    def check(self, version: int, *, perhaps: list[int] | None = None) -> None:
        """Fail unless every number is there once, as ``version`` makes it, for either node, and all books agree."""
        for node in self.pair:
            settled(node, self.pipeline_id, len(self.numbers))
        for node in self.pair:
            rows = self.rows(node)
            expect_once([row["n"] for row in rows], self.numbers, perhaps or ())
            if version == 2:
                assert [row for row in rows if row["twice"] != 2 * row["n"]] == []
            else:
                assert [row for row in rows if "twice" in row] == []
            with node.client() as client:
                assert client.get(self.path).json()["version"] == version
            assert self.refined_by(node) == {version: len(rows)}

    def refined_by(self, node: RunningAppliance) -> dict[int, int]:
        """Return how many events became rows by which version."""
        with node.client() as client:
            lines = client.get(f"{self.path}/ledger/lines", params={"by": "version"}).raise_for_status().json()
        return {line["version"]: line["stored"] for line in lines["items"]}


def test_both_go_on_receiving_while_the_history_of_both_is_replayed_and_swapped_in(pair: Pair) -> None:
    history = History(pair, each=8_000)
    anna, bert = pair
    with history.live() as senders:
        replay_id = history.begin(bert, swap=False)
        for node in pair:
            told = history.wait(node, replay_id, "ready")
            assert told["progress"]["total_events"] >= 16_001
        with anna.client() as client:
            [listed] = client.get(f"{history.path}/replays").json()["items"]
        assert listed["id"] == replay_id
        assert history.ask(anna, replay_id, "swap").status_code == 200
        for node in pair:
            history.wait(node, replay_id, "swapped")
        heard = [len(sender.acknowledged) for sender in senders]
        until(lambda: all(len(one.acknowledged) > n + 20 for one, n in zip(senders, heard, strict=True)))
    history.check(version=2)
    again = history.begin(anna)
    assert history.wait(bert, again, "swapped")["identical"] is True
    assert history.ask(bert, replay_id, "undo").status_code == 409  # the later one first
    assert history.ask(bert, again, "undo").json()["state"] == "undone"
    history.check(version=2)


@pytest.mark.slow
def test_a_range_of_both_is_exchanged_and_put_back_and_cancelled_from_the_other_node(pair: Pair) -> None:
    history = History(pair, each=2_000)
    anna, bert = pair
    replay_id = history.begin(bert, first_seq=1_901, last_seq=SECOND + 100)
    history.wait(anna, replay_id, "swapped")
    for node in pair:
        assert history.refined_by(node) == {
            1: 3_801,
            2: 200,
        }  # 100 of the 2000 of one, and 100 of the 2001 of the other
        expect_once([row["n"] for row in history.rows(node)], history.numbers)
    assert history.ask(anna, replay_id, "undo").json()["state"] == "undone"
    assert history.refined_by(bert) == {1: 4_001}
    replay_id = history.begin(anna, swap=False)
    history.wait(anna, replay_id, "ready")
    assert [history.ask(node, replay_id, "cancel").status_code for node in (bert, anna)] == [200, 409]
    assert history.replay(anna, replay_id)["state"] == "cancelled"
    settled(anna, history.pipeline_id, 4_001)


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1])
def test_it_goes_on_whichever_node_is_killed_and_waits_for_what_that_one_has(pair: Pair, victim: int) -> None:
    history = History(pair, each=20_000)
    killed, other = pair[victim], pair[1 - victim]
    with history.live() as senders:
        replay_id = history.begin(other)
        killed.kill()

        def waits() -> bool:
            now = history.replay(other, replay_id)
            assert now["state"] in ("waiting", "rebuilding"), now
            return "answer" in (now["error"] or "")

        until(waits, 40)
        with other.client() as client:
            refused = client.post(f"{history.path}/replays", json={"version": 2, "dry_run": True})
        assert (refused.status_code, "answer" in refused.json()["detail"]) == (503, True)
        killed.start()
        history.wait(other, replay_id, "swapped", secs=90)
    history.check(version=2, perhaps=[n for sender in senders for n in sender.refused])


@pytest.mark.slow
@pytest.mark.parametrize("step", ["replay.swapping", "replay.exchanged"])
def test_an_exchange_that_is_cut_short_is_finished_by_another_node_or_done_again(
    tmp_path: Path, database_url: str, step: str
) -> None:
    """At the one step nothing is exchanged yet, and who takes over dies there too; at the other only the book lags."""
    with two_nodes(tmp_path, database_url, program=DYING) as pair:
        history = History(pair, each=2_000)
        for node in pair:
            node.stop()
            node.environment["DIE_AT"] = step
            node.start()
        with history.live() as senders:
            replay_id = history.begin(pair[0])
            until(lambda: not all(node.alive for node in pair), 40)
            if step == "replay.exchanged":
                [survivor] = [node for node in pair if node.alive]
                history.wait(survivor, replay_id, "swapped", secs=40)
            until(lambda: swapped_in(history, replay_id), 90)
        history.check(version=2, perhaps=[n for sender in senders for n in sender.refused])


def swapped_in(history: History, replay_id: str) -> bool:
    """Return whether both say so; start the one that has died, which lives from then on."""
    for node in history.pair:
        if not node.alive:
            node.wait_dead(5)
            node.environment["DIE_AT"] = ""
            node.start()
    try:
        return all(history.replay(node, replay_id)["state"] == "swapped" for node in history.pair)
    except httpx.HTTPError:  # it dies at this moment
        return False
