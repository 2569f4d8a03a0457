"""What several nodes have in common is worked on once: erasures and upkeep, by real processes on one database."""

from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest

from tests.running import RunningAppliance, until

Pair = tuple[RunningAppliance, RunningAppliance]
MAPPING: dict[str, Any] = {"fields": [{"name": "who", "path": "$.who", "type": "string", "required": True}]}
OLD: dict[str, Any] = {"time": {"path": "$.ts"}, "fields": [{"name": "n", "path": "$.n", "type": "integer"}]}
UNSIGNED = {"type": "webhook", "signature": "none"}


def received(pair: Pair, whos: tuple[list[str], list[str]]) -> str:
    """Make a pipeline, send events of ``whos`` to either node, and return its id once both have refined theirs."""
    pipeline_id, _ = pair[0].create_pipeline("people", MAPPING, source=UNSIGNED)
    for node, some in zip(pair, whos, strict=True):
        with node.client() as client:
            until(lambda client=client: client.get(f"/api/v1/pipelines/{pipeline_id}/recent").is_success)  # type: ignore[misc]
            for who in some:
                client.post(f"/in/{pipeline_id}", json={"who": who}).raise_for_status()
    for node in pair:
        until(lambda node=node: node.ledger(pipeline_id)["stored"] == sum(map(len, whos)))  # type: ignore[misc]
    return pipeline_id


def whos(client: httpx.Client, pipeline_id: str, what: str) -> list[str]:
    items = client.get(f"/api/v1/pipelines/{pipeline_id}/{what}").raise_for_status().json()["items"]
    return sorted(one["who"] for one in items)


def hurry(database_url: str) -> None:
    """Have what an erasure looks at once more a little later be due now."""
    with psycopg.connect(database_url, autocommit=True) as database:
        database.execute("UPDATE dash.job SET run_at = now() WHERE kind = 'erasure.run' AND state = 'ready'")


@pytest.mark.slow
def test_an_erasure_is_one_and_waits_for_the_node_that_is_down(pair: Pair, database_url: str) -> None:
    anna, bert = pair
    pipeline_id = received(pair, (["ada", "bob"], ["ada", "eve"]))
    with bert.client() as there:
        assert whos(there, pipeline_id, "recent")[:1] == ["ada"]
    bert.kill()
    with anna.client() as client:
        wish = {"reason": "4711", "pipelines": [pipeline_id], "payload": [{"path": "$.who", "value": "ada"}]}
        place = client.post("/api/v1/erasures", json=wish).raise_for_status().headers["location"]

        def told() -> Any:
            hurry(database_url)
            return client.get(place).raise_for_status().json()

        until(lambda: told()["state"] == "confirming" and told()["waits_for"], 60)
        assert whos(client, pipeline_id, "records") == ["ada", "bob", "eve"]  # what bert has is not known of here
        bert.start()
        until(lambda: told()["state"] == "done", 90)
        [erasure] = client.get("/api/v1/erasures").json()["items"]
        assert [(one["events"], one["rows"], one["segments"]) for one in erasure["pipelines"]] == [(2, 2, 2)]
        ledger = dict.fromkeys(("duplicate", "dead", "pending"), 0) | {"received": 4, "stored": 2, "filtered": 2}
    for node in pair:
        with node.client() as client:
            assert whos(client, pipeline_id, "records") == ["bob", "eve"]
            until(lambda client=client: "ada" not in whos(client, pipeline_id, "recent"))  # type: ignore[misc]
        until(lambda node=node: node.ledger(pipeline_id) == ledger)  # type: ignore[misc]
    for seq in (1, (1 << 44) + 1):
        with anna.client() as client:
            gone = client.get(f"/api/v1/pipelines/{pipeline_id}/records/{seq}")
            assert (gone.status_code, "erased" in gone.json()["detail"]) == (404, True)


def round_everywhere(database: psycopg.Connection[Any]) -> None:
    """Have every node that keeps events make a round of retention now."""
    for (node_id,) in database.execute("SELECT id FROM dash.node").fetchall():
        job = f"job_{node_id}_{uuid4().hex}"
        database.execute(
            "INSERT INTO dash.job (id, state, kind, payload, run_at, priority, attempt, max_attempts, created_at)"
            " VALUES (%s, 'ready', 'retention.round', '{}', now(), 9, 0, 5, now())",
            (job,),
        )
        database.execute("INSERT INTO dash.job_need VALUES (%s, %s)", (job, f"node:{node_id}"))


@pytest.mark.slow
def test_rows_of_both_are_kept_by_one(pair: Pair, database_url: str) -> None:
    pipeline_id, _ = pair[0].create_pipeline("old", OLD, source=UNSIGNED, retention={"silver": "1d"})
    for node in pair:
        with node.client() as client:
            until(
                lambda client=client: (
                    client.post(f"/in/{pipeline_id}", json={"n": 1, "ts": "2026-01-01T12:00:00Z"}).status_code == 202
                )
            )  # type: ignore[misc]
        until(lambda node=node: node.ledger(pipeline_id)["stored"] == 1 + pair.index(node))  # type: ignore[misc]

    def removed() -> list[int]:
        with pair[0].client() as client:
            done = client.get("/api/v1/storage").raise_for_status().json()["rounds"]
        return [one["rows"] for one in done if one["rows"]]

    with psycopg.connect(database_url, autocommit=True) as database:
        held = "SELECT FROM dash.lease WHERE name = 'upkeep:rows' AND until > now()"
        until(lambda: len(database.execute(held).fetchall()) == 1)
        round_everywhere(database)
        until(lambda: removed() == [2], 30)  # rows of both, in one round


@pytest.mark.slow
def test_a_node_that_is_forgotten_leaves_its_rows_and_comes_back_with_its_partition(pair: Pair) -> None:
    anna, bert = pair
    pipeline_id = received(pair, (["ada"], ["bob", "eve"]))
    bert.kill()
    with anna.client() as client:
        other = next(one for one in client.get("/api/v1/nodes").json()["items"] if not one["here"])
        until(lambda: client.delete(f"/api/v1/nodes/{other['id']}").status_code == 204, 30)  # once it counts as gone
        full = dict.fromkeys(("filtered", "duplicate", "dead", "pending"), 0) | {"received": 3, "stored": 3}
        until(lambda: anna.ledger(pipeline_id) == full)
        assert whos(client, pipeline_id, "records") == ["ada", "bob", "eve"]
        trail = client.get("/api/v1/audit").json()["items"]
        assert next(one["detail"] for one in trail if one["action"] == "node.forget") == {"name": other["name"]}
        lost = client.get(f"/api/v1/pipelines/{pipeline_id}/records/{(1 << 44) + 1}/lineage").json()
        assert lost.get("event") is None
        bert.start()
        again = next(one for one in client.get("/api/v1/nodes").json()["items"] if not one["here"])
        assert [(one["id"], one["partition"]) for one in (other, again)] == [(other["id"], 1)] * 2
        client.post(f"/in/{pipeline_id}", json={"who": "zoe"}).raise_for_status()
    for node in pair:
        until(lambda node=node: node.ledger(pipeline_id) == full | {"received": 4, "stored": 4})  # type: ignore[misc]
