"""PgBouncer between Dash and the server: what works in each mode, and what doctor says of it."""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from appliance.domain.database.access import Access
from appliance.domain.database.dsn import Dsn
from appliance.storage.control import notify
from appliance.storage.control.notify import NotifyBus
from appliance.storage.control.plane import ControlPlane
from tests.pooler import pooled
from tests.postgres import PostgresServer
from tests.running import RunningAppliance, standard_headers

MAPPING: dict[str, Any] = {
    "key": ["device"],
    "fields": [
        {"name": "device", "path": "$.device", "type": "string"},
        {"name": "n", "path": "$.n", "type": "integer"},
    ],
}
ROLLUPS = [{"name": "all", "bucket": "1d", "measures": [{"op": "sum", "field": "n"}]}]
POOLER = "a pooler lends connections by transaction: all is kept there as it should, but no notification arrives"


def test_everything_is_kept_through_a_pooler_by_transaction(
    tmp_path: Path, postgres: PostgresServer, database_url: str
) -> None:
    with pooled(postgres, database_url, "transaction") as url:
        one = RunningAppliance(tmp_path, environment={"DASH_DATABASE_URL": url})
        one.setup()
        one.start()
        pipeline_id, secret = one.create_pipeline("devices", MAPPING, rollups=ROLLUPS)
        for number in range(1, 31):
            body = json.dumps({"device": f"d{number % 3}", "n": number}).encode()
            headers = standard_headers(secret, f"msg_{number}", body)
            posted = httpx.post(f"{one.url}/in/{pipeline_id}", content=body, headers=headers, trust_env=False)
            assert posted.status_code == 202
            if number % 10 == 0:
                one.wait_refined(pipeline_id)  # more transactions than psycopg needs to prepare a statement
        assert one.wait_refined(pipeline_id) == {
            "received": 30, "stored": 3, "filtered": 0, "duplicate": 27, "dead": 0, "pending": 0,
        }  # fmt: skip
        with one.client() as client:
            path = f"/api/v1/pipelines/{pipeline_id}"
            rows = client.get(f"{path}/records").raise_for_status().json()["items"]
            assert sorted((row["device"], row["n"]) for row in rows) == [("d0", 30), ("d1", 28), ("d2", 29)]
            measured = {"pipeline": pipeline_id, "measures": [{"op": "sum", "field": "n", "as": "n"}]}
            assert client.post("/api/v1/query", json=measured).raise_for_status().json()["rows"] == [{"n": 87}]
            client.post(f"{path}/pause").raise_for_status()
        assert one.stop() == 0
        told = [found["message"] for found in json.loads(one.run("doctor", "--json").stdout)["findings"]]
        assert POOLER in told
        assert one.run("verify").returncode == 0


@pytest.mark.parametrize(("mode", "told"), [("transaction", True), ("session", False)])
def test_a_pooler_is_told_of_where_it_changes_something(
    postgres: PostgresServer, database_url: str, tmp_path: Path, mode: str, told: bool
) -> None:
    with pooled(postgres, database_url, mode) as url:
        one = RunningAppliance(tmp_path, environment={"DASH_DATABASE_URL": url})
        found = json.loads(one.run("database", "check", "--json").stdout)["findings"]
    assert (POOLER in [finding["message"] for finding in found]) == told


@pytest.mark.usefixtures("all_is_logged")
@pytest.mark.parametrize(("mode", "hears"), [("transaction", False), ("session", True)])
async def test_a_bus_that_hears_nothing_says_so_once(
    postgres: PostgresServer, database_url: str, monkeypatch: pytest.MonkeyPatch, mode: str, hears: bool
) -> None:
    for name, secs in (("PING_SECS", 0.1), ("DEAD_SECS", 0.5), ("DEAF_SECS", 0.1)):
        monkeypatch.setattr(notify, name, secs)
    ControlPlane.open(database_url).close()
    with pooled(postgres, database_url, mode) as url, capture_logs() as logs:
        bus = NotifyBus(Access(dsn=Dsn.parse(url)))
        task = asyncio.create_task(bus.run())
        async with asyncio.timeout(20):
            while not (bus.reconnects >= 3 or bus.latency_secs is not None):  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.01)
        assert bus.connected == hears
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert [entry["event"] for entry in logs] == (["bus.connected"] if hears else ["bus.connected", "bus.deaf"])
