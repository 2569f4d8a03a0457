"""Two real appliances that take turns at polling one source: killed in the middle of pages, nothing twice or lost."""

import shutil
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from appliance.domain.ids import PipelineId
from appliance.storage.silver_postgres.locks import pipeline_lock
from tests.counting_source import CountingSource
from tests.integration.test_two_ingestors import PLACES, UNSIGNED, Sender, ledger, stored
from tests.running import RunningAppliance, until

MAPPING: dict[str, Any] = {"fields": [{"name": "n", "path": "$.n", "type": "integer"}], "unmapped": "drop"}
BASES = (0, 1 << 44)


@pytest.fixture
def source() -> Iterator[CountingSource]:
    with CountingSource().serving() as serving:
        yield serving


@pytest.fixture
def pair(tmp_path: Path, database_url: str, source: CountingSource) -> Iterator[list[RunningAppliance]]:
    environment = {"DASH_DATABASE_URL": database_url, "DASH_EGRESS_ALLOW": source.address}
    nodes = [RunningAppliance(tmp_path / name, environment=environment) for name in ("anna", "bert")]
    for node in nodes:
        node.folder.mkdir()
    nodes[0].setup()
    nodes[1].data_dir.mkdir()
    shutil.copy(nodes[0].data_dir / "secret.key", nodes[1].data_dir)
    nodes[1].token = nodes[0].token
    for node in nodes:
        node.start()
    yield nodes
    for node in nodes:
        node.stop()


@contextmanager
def nothing_refined(database_url: str, pipeline_id: str) -> Iterator[None]:
    """Keep every node from storing rows of the pipeline."""
    with psycopg.connect(database_url) as database:
        schemas = "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'dash_org%'"
        [(schema,)] = database.execute(schemas).fetchall()
        database.execute("SELECT pg_advisory_xact_lock(%s)", (pipeline_lock(schema, PipelineId(pipeline_id)),))
        yield
        database.rollback()


def all_stored(node: RunningAppliance, pipeline_id: str, items: int) -> None:
    """Wait until so many items are stored; fail if one is there twice, or the ledger does not balance on the way."""
    until(lambda: ledger(node, pipeline_id)["stored"] >= items and len(stored(node, pipeline_id)) >= items, 45)
    assert sorted(stored(node, pipeline_id)) == list(range(1, items + 1))


def polled_by(node: RunningAppliance, pipeline_id: str) -> int:
    """Return the number of the node whose events the newest rows are."""
    with node.client() as client:
        [row] = client.get(f"/api/v1/pipelines/{pipeline_id}/records", params={"limit": 1}).json()["items"]
    return row["_seq"] >> 44


@pytest.mark.slow
def test_a_node_killed_in_the_middle_of_pages_that_it_had_not_refined(
    pair: list[RunningAppliance], source: CountingSource, database_url: str
) -> None:
    source.items = 12
    pipeline_id, _ = pair[0].create_pipeline("items", MAPPING, source=source.document())
    all_stored(pair[0], pipeline_id, 12)
    assert Counter(source.pages()) == {1: 1, 6: 1, 11: 1}
    who = polled_by(pair[0], pipeline_id)
    former, heir = pair[who], pair[1 - who]
    with nothing_refined(database_url, pipeline_id):
        source.hold_at(43)
        source.items = 60
        until(lambda: 43 in source.pages())  # thirty items are in its log, the next page is on its way
        former.kill()
        killed, asked = time.monotonic(), len(source.asked)
        source.let_go(43)
        until(lambda: len(source.asked) > asked, 30)
        took = source.asked[asked][1] - killed
        print(f"polled again {took:.1f} s after the death")
        assert took <= 15
        until(lambda: source.pages().count(58) == 1)
    source.items = 70
    all_stored(heir, pipeline_id, 70)
    refetched = {13: 2, 18: 2, 23: 2, 28: 2, 33: 2, 38: 2, 43: 2}
    assert Counter(source.pages()) == {1: 1, 6: 1, 11: 1, **refetched, 48: 1, 53: 1, 58: 1, 61: 1, 66: 1}
    former.start()
    until(lambda: ledger(heir, pipeline_id)["pending"] == 0 and ledger(heir, pipeline_id)["filtered"] > 0, 30)
    told = dict.fromkeys(PLACES, 0) | {"received": 100, "stored": 70, "filtered": 30}
    assert ledger(heir, pipeline_id) == told
    until(lambda: ledger(former, pipeline_id) == told)
    all_stored(former, pipeline_id, 70)
    _replay_what_the_former_has(former, pipeline_id, BASES[who])
    all_stored(former, pipeline_id, 70)
    _hand_over(heir, former, pipeline_id, source)


def _replay_what_the_former_has(node: RunningAppliance, pipeline_id: str, base: int) -> None:
    """Refine the events of one node again: the withdrawn ones stay so."""
    with node.client() as client:
        asked = {"first_seq": base + 1, "last_seq": base + 42}
        begun = client.post(f"/api/v1/pipelines/{pipeline_id}/replays", json=asked).raise_for_status().json()
        path = f"/api/v1/pipelines/{pipeline_id}/replays/{begun['id']}"
        until(lambda: client.get(path).json()["state"] == "swapped")
        assert client.get(path).json()["identical"] is not False


def _hand_over(holder: RunningAppliance, other: RunningAppliance, pipeline_id: str, source: CountingSource) -> None:
    """Drain the one that polls: nothing is fetched twice, nothing withdrawn."""
    before = Counter(source.pages())
    with holder.client() as client:
        here = next(one for one in client.get("/api/v1/nodes").json()["items"] if one["here"])
        client.post(f"/api/v1/nodes/{here['id']}/drain").raise_for_status()
    source.items = 90
    until(lambda: ledger(other, pipeline_id)["stored"] >= 90)
    source.items = 120
    all_stored(other, pipeline_id, 120)
    assert polled_by(other, pipeline_id) == ("anna", "bert").index(other.folder.name)
    fetched = Counter(source.pages()) - before
    assert [first for first, times in fetched.items() if times > 1] == []
    until(lambda: ledger(other, pipeline_id)["pending"] == 0)
    assert ledger(other, pipeline_id)["filtered"] == 30


@pytest.mark.slow
def test_a_reader_goes_on_without_the_node_that_read_and_died(pair: list[RunningAppliance]) -> None:
    boilers, _ = pair[0].create_pipeline("boilers", MAPPING, source=UNSIGNED)
    reader, _ = pair[0].create_pipeline("reader", MAPPING, source={"type": "pipeline", "pipeline": "boilers"})
    for node in pair:
        with node.client() as client:
            until(lambda client=client: client.post(f"/in/{boilers}", json={"n": 1}).status_code == 202)
    until(lambda: stored(pair[0], reader) == [1, 1])
    who = polled_by(pair[0], reader)
    pair[who].kill()
    heir = pair[1 - who]
    Sender(heir, boilers, range(2, 11)).join()
    until(lambda: len(stored(heir, reader)) >= 11, 30)
    assert sorted(stored(heir, reader)) == [1, *range(1, 11)]
    assert polled_by(heir, reader) == 1 - who
