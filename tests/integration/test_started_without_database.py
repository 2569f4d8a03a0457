"""A node that starts while its database is away: events come in by what it knew last, all else follows by itself."""

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from appliance.storage.control.last_known import FILE
from appliance.storage.control.vault import Vault
from tests.postgres import PostgresServer, postgres_server
from tests.running import RunningAppliance, standard_headers, until

MAPPING: dict[str, Any] = {"fields": [{"name": "n", "path": "$.n", "type": "integer"}]}
WHOLE_SECS = 20.0  # from the database's return


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with postgres_server() as server:
        yield server


class Node:
    """A node with one open hook and one that is paused; whatever it is told stands in ``told``."""

    def __init__(self, folder: Path, url: str) -> None:
        self.one = RunningAppliance(folder, environment={"DASH_DATABASE_URL": url.replace("dash@", "dash:hunter2@")})
        self.one.setup()
        self.one.start()
        self.hook = self.one.create_pipeline("numbers", MAPPING)
        self.paused = self.one.create_pipeline("paused", MAPPING)
        with self.one.client() as client:
            client.post(f"/api/v1/pipelines/{self.paused[0]}/pause").raise_for_status()

    def post(self, number: int, hook: tuple[str, str] | None = None) -> httpx.Response:
        pipeline_id, secret = hook or self.hook
        body = json.dumps({"n": number}).encode()
        headers = standard_headers(secret, f"msg_{number}", body)
        url = f"{self.one.url}/in/{pipeline_id}"
        return httpx.post(url, content=body, headers=headers, trust_env=False, timeout=30)

    def get(self, path: str) -> httpx.Response:
        headers = {"authorization": f"Bearer {self.one.token}"}
        return httpx.get(self.one.url + path, headers=headers, trust_env=False, timeout=30)

    def knows(self) -> list[tuple[str, str]]:
        """Return name and state of the pipelines that it has kept for a start without the database."""
        path = self.one.data_dir / FILE
        if not path.exists():
            return []
        clear = Vault.open(self.one.data_dir, create=False).unseal(path.read_text())
        return [(one["document"]["name"], one["state"]) for one in json.loads(clear)["pipelines"]]

    def status(self, path: str) -> int:
        try:
            return self.get(path).status_code
        except httpx.TransportError:
            return 0


@pytest.fixture
def node(tmp_path: Path, server: PostgresServer) -> Iterator[Node]:
    node = Node(tmp_path, server.new_database())
    assert node.post(1).status_code == 202
    assert node.one.wait_refined(node.hook[0])["stored"] == 1
    until(lambda: node.knows() == [("numbers", "running"), ("paused", "paused")])
    assert node.one.stop() == 0
    server.stop()
    yield node
    node.one.stop()
    server.stop()
    server.start()
    for secret in ("hunter2", node.hook[1]):
        assert secret not in node.one.log.read_text()
        assert secret not in (node.one.data_dir / FILE).read_text()


def test_events_are_received_and_all_else_follows_by_itself(node: Node, server: PostgresServer) -> None:
    one = node.one
    one.start()
    url = one.url
    assert (node.post(2).status_code, node.post(2).status_code) == (202, 200)  # the log knows what it has
    assert node.post(3, (node.hook[0], "whsec_" + "A" * 32)).status_code == 401
    assert node.post(3, node.paused).status_code == 409
    unknown = node.post(3, ("pl_" + "0" * 26, node.hook[1]))
    assert (unknown.status_code, unknown.headers["retry-after"]) == (503, "5")
    told = node.get("/api/v1/pipelines")
    assert (told.status_code, told.headers["retry-after"]) == (503, "5")
    assert "When the database goes away" in node.get("/docs/database").text  # what somebody may need now
    assert "no server is on the socket" in told.json()["detail"]
    assert "events are received by what it knew last" in told.json()["detail"]
    assert [node.status(path) for path in ("/livez", "/readyz", "/readyz?part=receiving", "/sign-in")] == [
        200, 503, 200, 503,
    ]  # fmt: skip
    one.kill()
    one.start()
    assert node.post(3).json() == {"accepted": 1, "first_seq": 3, "last_seq": 3}

    assert one.url != url  # killed and started again: another port
    assert one.stop() == 0
    one.start()

    server.start()
    number, answered, ends = 3, set(), time.monotonic() + WHOLE_SECS
    while node.status("/api/v1/pipelines") != 200:
        number += 1
        answered.add(node.post(number).status_code)
        assert time.monotonic() < ends
    assert answered <= {202}  # no sender notices
    assert one.wait_refined(node.hook[0]) == {
        "received": number, "stored": number, "filtered": 0, "duplicate": 0, "dead": 0, "pending": 0,
    }  # fmt: skip
    rows = node.get(f"/api/v1/pipelines/{node.hook[0]}/records?limit=1000").json()["items"]
    assert sorted(row["n"] for row in rows) == list(range(1, number + 1))
    until(lambda: node.status("/readyz") == 200)
    assert one.stop() == 0


def test_without_what_it_knew_it_is_told_to_try_again(node: Node, server: PostgresServer) -> None:
    one, kept = node.one, node.one.data_dir / FILE
    kept.rename(kept.with_suffix(".away"))
    answer = one.run("serve", "--port", "0")
    assert (answer.returncode, answer.stdout) == (75, "")
    kept.with_suffix(".away").rename(kept)

    shutil.rmtree(one.data_dir / "bronze" / node.hook[0])  # numbers of lost events would pass for refined
    one.start()
    assert node.post(2).status_code == 503
    told = node.get("/readyz?part=receiving").json()["parts"]["receiving"]
    assert (told["ready"], "its log ends at event 0, and 1 were refined" in told["reason"]) == (False, True)
    server.start()
    until(lambda: node.status("/api/v1/pipelines") == 200, WHOLE_SECS)
    assert node.post(2).json() == {"accepted": 1, "first_seq": 2, "last_seq": 2}
    assert one.stop() == 0
