"""A whole appliance with a read replica: what it answers is new, by whomever, and it tells who answers."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.crash.faults import until
from tests.postgres import PostgresServer, postgres_server, standby_of
from tests.running import RunningAppliance, standard_headers

MAPPING: dict[str, Any] = {"fields": [{"name": "n", "path": "$.n", "type": "integer"}]}


@pytest.fixture
def servers() -> Iterator[tuple[PostgresServer, PostgresServer]]:
    with postgres_server() as primary, standby_of(primary) as standby:
        yield primary, standby


@pytest.fixture
def one(tmp_path: Path, servers: tuple[PostgresServer, PostgresServer]) -> Iterator[RunningAppliance]:
    url = servers[0].new_database().replace("dash@", "dash:hunter2@")
    copy_url = url.replace(str(servers[0].folder), str(servers[1].folder))
    environment = {"DASH_DATABASE_URL": url, "DASH_DATABASE_REPLICAS": copy_url}
    one = RunningAppliance(tmp_path, environment=environment)
    yield one
    one.stop()
    assert "hunter2" not in one.log.read_text()


def by_replica(one: RunningAppliance) -> float:
    text = httpx.get(f"{one.url}/metrics", trust_env=False).text
    told = dict(line.rsplit(" ", 1) for line in text.splitlines() if line.startswith("dash_database"))
    return float(told['dash_database_reads_total{place="1"}'])


def database(one: RunningAppliance) -> tuple[int, str]:
    answer = httpx.get(f"{one.url}/readyz?part=database", trust_env=False)
    return answer.status_code, answer.json()["parts"]["database"]["reason"]


def test_rows_are_answered_by_the_replica_and_by_the_primary_when_it_is_gone(
    one: RunningAppliance, servers: tuple[PostgresServer, PostgresServer]
) -> None:
    one.setup()
    one.start()
    pipeline_id, secret = one.create_pipeline("numbers", MAPPING)
    until(lambda: database(one) == (200, "the database answers; replica 1 is read from"), lambda: database(one))

    def sent(number: int) -> None:
        body = json.dumps({"n": number}).encode()
        headers = standard_headers(secret, f"msg_{number}", body)
        httpx.post(f"{one.url}/in/{pipeline_id}", content=body, headers=headers, trust_env=False).raise_for_status()
        assert one.wait_refined(pipeline_id)["stored"] == number

    with one.client() as client:

        def newest() -> int:
            answer = client.get(f"/api/v1/pipelines/{pipeline_id}/records?limit=1").raise_for_status()
            return int(answer.json()["items"][0]["n"])

        for number in range(1, 11):
            sent(number)
            assert newest() == number
        until(lambda: newest() == 10 and by_replica(one) > 0)
        servers[1].stop()
        for number in range(11, 14):
            sent(number)
            assert newest() == number
        left = "the database answers; replica 1 is not read from: it cannot be reached"
        until(lambda: database(one) == (200, left), lambda: database(one))
        servers[1].start()
        before = by_replica(one)
        until(lambda: newest() == 13 and by_replica(one) > before)
    assert one.stop() == 0
    told = one.log.read_text()
    assert [told.count(f'"silver.replica_{event}"') for event in ("followed", "left")] == [2, 1]
