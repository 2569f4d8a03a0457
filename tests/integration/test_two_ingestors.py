"""Two real appliances that both receive one pipeline's events into one database: none twice, none lost."""

import threading
from collections import Counter
from collections.abc import Iterable
from itertools import count
from typing import Any

import httpx
import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from appliance.domain.ids import PipelineId
from appliance.storage.silver_postgres.names import tables
from tests.running import RunningAppliance, until

Pair = tuple[RunningAppliance, RunningAppliance]
FIELDS = [{"name": "n", "path": "$.n", "type": "integer", "required": True}]
UNSIGNED = {"type": "webhook", "signature": "none"}
BOILERS: dict[str, Any] = {"fields": FIELDS, "unmapped": "drop"}
DOWNSTREAM: dict[str, Any] = {**BOILERS, "time": {"path": "$._time"}}
SECOND = 1 << 44  # of the second node's events
PLACES = ("stored", "filtered", "duplicate", "dead", "pending")


class Sender:
    """Posts events to one node, one after the other, and remembers which were acknowledged."""

    def __init__(self, node: RunningAppliance, pipeline_id: str, numbers: Iterable[int]) -> None:
        self.acknowledged: list[int] = []
        self.refused: list[int] = []
        self._node, self._path, self._numbers = node, f"/in/{pipeline_id}", numbers
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        with self._node.client() as client:
            for number in self._numbers:
                try:
                    taken = client.post(self._path, json={"n": number}).status_code == 202
                except httpx.HTTPError:
                    self.refused.append(number)  # it may have been taken and not said so
                    return
                (self.acknowledged if taken else self.refused).append(number)

    def join(self) -> None:
        self._thread.join(timeout=120)
        assert not self._thread.is_alive()


def ledger(node: RunningAppliance, pipeline_id: str) -> dict[str, int]:
    told = node.ledger(pipeline_id)
    assert told["received"] == sum(told[place] for place in PLACES), told
    return told


def settled(node: RunningAppliance, pipeline_id: str, events: int) -> None:
    """Wait until so many events are refined, of whichever node asked; balanced all the while."""
    until(lambda: (told := ledger(node, pipeline_id))["pending"] == 0 and told["received"] >= events, 30)


def stored(node: RunningAppliance, pipeline_id: str) -> list[int]:
    """Return ``n`` of every row."""
    found: list[int] = []
    cursor: dict[str, str] = {}
    with node.client() as client:
        while True:
            asked = client.get(f"/api/v1/pipelines/{pipeline_id}/records", params={"limit": 1000, **cursor})
            page = asked.raise_for_status().json()
            found += [row["n"] for row in page["items"]]
            if not page.get("next_cursor"):
                return found
            cursor = {"cursor": page["next_cursor"]}


def expect_once(rows: Iterable[int], acknowledged: Iterable[int], perhaps: Iterable[int] = ()) -> None:
    """Fail unless every acknowledged event is there once; ``perhaps``: those that may be there, not acknowledged."""
    counted, wanted = Counter(rows), set(acknowledged)
    assert [n for n, times in counted.items() if times > 1] == []
    assert wanted - counted.keys() == set()
    assert counted.keys() - wanted - set(perhaps) == set()


def begun(pair: Pair) -> tuple[str, str]:
    """Make a pipeline and one that reads it, running on both nodes; return their ids."""
    anna, bert = pair
    pipeline_id, _ = anna.create_pipeline("boilers", BOILERS, source=UNSIGNED)
    reader_id, _ = anna.create_pipeline("reader", DOWNSTREAM, source={"type": "pipeline", "pipeline": "boilers"})
    with bert.client() as there:
        until(lambda: there.post(f"/in/{pipeline_id}", json={"n": 0}).status_code == 202)
    return pipeline_id, reader_id


def test_what_two_nodes_receive_is_stored_once_told_by_both_and_read_once(pair: Pair, database_url: str) -> None:
    anna, bert = pair
    pipeline_id, reader_id = begun(pair)
    senders = [Sender(anna, pipeline_id, range(1, 51)), Sender(bert, pipeline_id, range(51, 101))]
    for sender in senders:
        sender.join()
    assert [len(sender.acknowledged) for sender in senders] == [50, 50]
    for node in pair:
        settled(node, pipeline_id, 101)
        assert ledger(node, pipeline_id) == dict.fromkeys(PLACES, 0) | {"received": 101, "stored": 101}
        expect_once(stored(node, pipeline_id), range(101))
        days = by_day_and_version(node, pipeline_id)
        assert [(line["version"], line["received"], line["stored"]) for line in days] == [(1, 101, 101)]
    _find_the_bytes(anna, pipeline_id, SECOND + 1)
    _find_the_bytes(bert, pipeline_id, 1)
    settled(anna, reader_id, 101)
    expect_once(stored(bert, reader_id), range(101))
    _see_that_the_check_can_fail(bert, pipeline_id, database_url)


def by_day_and_version(node: RunningAppliance, pipeline_id: str) -> list[dict[str, Any]]:
    with node.client() as client:
        asked = client.get(f"/api/v1/pipelines/{pipeline_id}/ledger/lines", params={"by": "day,version"})
        lines: list[dict[str, Any]] = asked.raise_for_status().json()["items"]
    return lines


def _find_the_bytes(node: RunningAppliance, pipeline_id: str, seq: int) -> None:
    """Ask ``node`` for what the other one has received as event ``seq``."""
    with node.client() as client:
        told = client.get(f"/api/v1/pipelines/{pipeline_id}/records/{seq}/lineage").raise_for_status().json()
    [row] = told["rows"]
    assert told["event"]["payload"] == {"n": row["n"]}


def _see_that_the_check_can_fail(node: RunningAppliance, pipeline_id: str, database_url: str) -> None:
    """Lose a row, and double one, behind everybody's back."""
    with psycopg.connect(database_url, autocommit=True) as database:
        schemas = "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'dash_org%'"
        [(schema,)] = database.execute(schemas).fetchall()
        rows = SQL("{}.{}").format(Identifier(schema), SQL(tables(PipelineId(pipeline_id), 1)["rows"]))
        database.execute(SQL("DELETE FROM {} WHERE n = 7").format(rows))
        with pytest.raises(AssertionError, match="7"):
            expect_once(stored(node, pipeline_id), range(101))
        database.execute(SQL("INSERT INTO {0} SELECT * FROM {0} WHERE n = 9").format(rows))
        with pytest.raises(AssertionError, match="9"):
            expect_once(stored(node, pipeline_id), set(range(101)) - {7})


@pytest.mark.slow
def test_a_node_that_is_killed_while_both_receive_loses_and_doubles_nothing(pair: Pair) -> None:
    anna, bert = pair
    pipeline_id, reader_id = begun(pair)
    enough = threading.Event()

    def numbers(first: int) -> Iterable[int]:
        for n in count(first):
            if enough.is_set():
                return
            yield n

    there, here = Sender(bert, pipeline_id, numbers(1_000_000)), Sender(anna, pipeline_id, numbers(1))
    until(lambda: len(there.acknowledged) > 200)
    bert.kill()
    there.join()
    heard = len(here.acknowledged)
    until(lambda: len(here.acknowledged) > heard + 100)
    assert ledger(anna, pipeline_id)["received"] > 200
    bert.start()
    again = Sender(bert, pipeline_id, numbers(2_000_000))
    until(lambda: len(again.acknowledged) > 100)
    enough.set()
    again.join()
    here.join()
    acknowledged = [0, *here.acknowledged, *there.acknowledged, *again.acknowledged]
    for node in pair:
        settled(node, pipeline_id, len(acknowledged))
        expect_once(stored(node, pipeline_id), acknowledged, there.refused)
    until(lambda: ledger(anna, pipeline_id) == ledger(bert, pipeline_id))
    settled(anna, reader_id, ledger(anna, pipeline_id)["stored"])
    expect_once(stored(anna, reader_id), stored(bert, pipeline_id))


@pytest.mark.slow
def test_whoever_reads_on_down_the_chain_reads_nothing_twice(pair: Pair) -> None:
    pipeline_id, reader_id = begun(pair)
    for node, numbers in zip(pair, (range(1, 21), range(21, 41)), strict=True):
        Sender(node, pipeline_id, numbers).join()
    settled(pair[0], reader_id, 41)
    who = read_by(pair[0], reader_id).index(41)
    former, heir = pair[who], pair[1 - who]
    with former.client() as client:
        here = next(one for one in client.get("/api/v1/nodes").json()["items"] if one["here"])
        client.post(f"/api/v1/nodes/{here['id']}/drain").raise_for_status()
    for node, numbers in zip(pair, (range(41, 51), range(51, 61)), strict=True):
        Sender(node, pipeline_id, numbers).join()
    until(lambda: read_by(heir, reader_id)[1 - who] > 0)
    settled(heir, reader_id, 61)
    expect_once(stored(heir, reader_id), range(61))


def read_by(node: RunningAppliance, reader_id: str) -> list[int]:
    """Return how many rows the first node has read, and how many the second."""
    with node.client() as client:
        rows = client.get(f"/api/v1/pipelines/{reader_id}/records", params={"limit": 1000}).json()["items"]
    return [sum(row["_seq"] >> 44 == partition for row in rows) for partition in (0, 1)]
