"""Two real appliances on one PostgreSQL: pipelines caught up with, polled by one at a time, watched across nodes."""

import json
import time
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect

from tests.licensed import issued
from tests.running import RunningAppliance, until

MAPPING: dict[str, Any] = {"fields": [{"name": "device", "path": "$.device", "type": "string"}]}
UNSIGNED = {"type": "webhook", "signature": "none"}


def nodes(client: httpx.Client) -> dict[bool, dict[str, Any]]:
    """Return this node (True) and the other (False)."""
    return {one["here"]: one for one in client.get("/api/v1/nodes").raise_for_status().json()["items"]}


def polled_by(client: httpx.Client, pipeline_id: str) -> list[int]:
    """Return how many events anna has polled, and how many bert."""
    answer = client.get(f"/api/v1/pipelines/{pipeline_id}/records", params={"limit": 1000})
    seqs = [row["_seq"] for row in answer.json()["items"]] if answer.status_code == 200 else []
    return [sum(seq >> 44 == partition for seq in seqs) for partition in (0, 1)]


@pytest.mark.slow
def test_two_nodes_are_one_installation(pair: tuple[RunningAppliance, RunningAppliance]) -> None:
    anna, bert = pair
    with anna.client() as here, bert.client() as there:
        assert {one["state"] for one in nodes(here).values()} == {"running"}
        pipeline_id, _ = anna.create_pipeline("boilers", MAPPING, source=UNSIGNED)
        until(lambda: there.post(f"/in/{pipeline_id}", json={"device": "b1"}).status_code == 202)
        _watch_from_the_other(bert, here, pipeline_id)
        polled, _ = anna.create_pipeline("hosts", {"fields": []}, source={"type": "host_metrics", "interval": "200ms"})
        until(lambda: sum(polled_by(here, polled)) > 3)
        who = 0 if polled_by(here, polled)[0] else 1
        first, heir = (here, there)[who], 1 - who
        assert polled_by(here, polled)[heir] == 0
        holder = nodes(first)[True]
        first.post(f"/api/v1/nodes/{holder['id']}/drain").raise_for_status()
        assert until(lambda: polled_by(here, polled)[heir] > 0) < 15
        stood = polled_by(here, polled)[who]
        until(lambda: polled_by(here, polled)[heir] > 5)
        assert polled_by(here, polled)[who] == stood  # one at a time
        assert first.get("/readyz").status_code == 503
        first.post(f"/api/v1/nodes/{holder['id']}/resume").raise_for_status()
        until(lambda: first.get("/readyz").status_code == 200)
        _maintenance_is_told_on_both(here, there)
        _a_name_is_known_on_both(here, there)


def _maintenance_is_told_on_both(here: httpx.Client, there: httpx.Client) -> None:
    here.post("/api/v1/maintenance", json={"message": "A new disk"}).raise_for_status()
    took = until(lambda: "A new disk" in there.get("/readyz").json()["parts"].get("maintenance", {}).get("reason", ""))
    assert took < 3  # a bell tells, before anybody looks by themselves
    there.delete("/api/v1/maintenance").raise_for_status()
    until(lambda: here.get("/api/v1/maintenance").json()["on"] is False)


def _a_name_is_known_on_both(here: httpx.Client, there: httpx.Client) -> None:
    here.put("/api/v1/license", json={"document": issued(features=("white_label",))}).raise_for_status()
    there.put("/api/v1/branding", json={"name": "Example Insight"}).raise_for_status()
    took = until(lambda: here.get("/api/v1/branding").json()["name"] == "Example Insight")
    assert took < 3
    here.delete("/api/v1/branding").raise_for_status()


def _watch_from_the_other(node: RunningAppliance, here: httpx.Client, pipeline_id: str) -> None:
    """Follow a pipeline on one node while the other commits."""
    address = node.url.replace("http://", "ws://") + "/api/v1/feed"
    with connect(address, additional_headers={"authorization": f"Bearer {node.token}"}) as feed:
        feed.send(json.dumps({"subscribe": [f"pipeline:{pipeline_id}"]}))
        assert "snapshot" in json.loads(feed.recv(timeout=10))
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            here.post(f"/in/{pipeline_id}", json={"device": "from-anna"}).raise_for_status()
            try:
                payload = json.loads(feed.recv(timeout=0.5))
            except TimeoutError:
                continue
            if [row["device"] for row in payload["rows"]] == ["from-anna"]:  # not what this node received itself
                return
        raise AssertionError("nothing was heard of the other node")


@pytest.mark.slow
def test_a_killed_node_is_polled_for_by_the_other_within_fifteen_seconds(
    pair: tuple[RunningAppliance, RunningAppliance],
) -> None:
    anna, bert = pair
    with anna.client() as here, bert.client() as there:
        polled, _ = anna.create_pipeline("hosts", {"fields": []}, source={"type": "host_metrics", "interval": "200ms"})
        until(lambda: sum(polled_by(here, polled)) > 3)
        who = 0 if polled_by(here, polled)[0] else 1
        dead, heir, client = (anna, bert, there) if who == 0 else (bert, anna, here)
        dead.kill()
        took = until(lambda: polled_by(client, polled)[1 - who] > 0)
        print(f"polled again {took:.1f} s after the death")
        assert took <= 15
        until(lambda: nodes(client)[False]["state"] == "gone")
        assert heir.pid
