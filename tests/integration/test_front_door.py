"""The front doors of the handbook before two ingestors and a web node: what goes where, a node killed, nodes restarted.

Every event that was acknowledged is stored; what was not is sent again, as the handbook asks of senders.
"""

import itertools
import json
import shutil
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from websockets.sync.client import connect

from tests import front_door
from tests.running import RunningAppliance, at_work, standard_headers

KINDS = ("haproxy", "nginx")
MAPPING: dict[str, Any] = {"fields": [{"name": "number", "path": "$.number", "type": "integer", "required": True}]}
SENDERS = 4


@pytest.mark.parametrize("kind", KINDS)
def test_the_page_is_what_the_programs_take(tmp_path: Path, kind: str) -> None:
    hosts = {"ingestor-1": "127.0.0.1:1", "ingestor-2": "127.0.0.1:2", "web-1": "127.0.0.1:3"}
    path = front_door.written(kind, tmp_path, 4443, hosts)
    assert front_door.checked(kind, path) == ""
    path.write_text(path.read_text().replace("127.0.0.1:1", "127.0.0.1:none"))
    assert "none" in front_door.checked(kind, path)


class Nodes(NamedTuple):
    ingestors: list[RunningAppliance]
    web: RunningAppliance

    def hosts(self) -> dict[str, str]:
        named = {f"ingestor-{number}": one for number, one in enumerate(self.ingestors, 1)} | {"web-1": self.web}
        return {name: one.url.removeprefix("http://") for name, one in named.items()}


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory, postgres: Any) -> Iterator[Nodes]:
    url, made = postgres.new_database(), []
    for role in ("ingestor", "ingestor", "web"):
        environment = {"DASH_DATABASE_URL": url, "DASH_SERVER_ROLE": role}
        made.append(RunningAppliance(tmp_path_factory.mktemp(role), environment=environment))
    made[0].setup()
    for other in made[1:]:
        other.data_dir.mkdir()
        shutil.copy(made[0].data_dir / "secret.key", other.data_dir)
        other.token = made[0].token
    for node in made:
        node.start()
    yield Nodes(made[:2], made[2])
    for node in made:
        node.stop()


class Pipe(NamedTuple):
    id: str
    secret: str


@pytest.fixture
def pipe(nodes: Nodes, request: pytest.FixtureRequest) -> Pipe:
    """A pipeline that every ingestor takes events of: an empty delivery is refused by its signature, not unknown."""
    pipe = Pipe(*nodes.web.create_pipeline(request.node.name, MAPPING))
    for node in nodes.ingestors:
        with node.client() as client:
            until(lambda client=client: client.post(f"/in/{pipe.id}").status_code == 401)  # type: ignore[misc]
    return pipe


def until(holds: Callable[[], bool], secs: float = 30.0) -> float:
    began = time.monotonic()
    while not holds():
        assert time.monotonic() < began + secs, "it did not come about in time"
        time.sleep(0.05)
    return time.monotonic() - began


def received(node: RunningAppliance, pipe: Pipe) -> int:
    """Return how many events a node has received itself."""
    with node.client() as client:
        lines = client.get("/metrics").text.splitlines()
    named = f'dash_events_received_total{{pipeline="{pipe.id}"}} '
    return next((int(float(line.removeprefix(named))) for line in lines if line.startswith(named)), 0)


class Senders:
    """Send numbered events through the door, each again with the same id until it is acknowledged."""

    def __init__(self, door: str, pipe: Pipe) -> None:
        self._door, self._pipe = door, pipe
        self._numbers = itertools.count()
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._send) for _ in range(SENDERS)]
        self.acknowledged: list[int] = []
        self.refused: list[str] = []  # answers other than an acknowledgement
        self.unanswered = 0

    def at_work(self) -> AbstractContextManager[None]:
        return at_work(self._threads, self._ended)

    def _send(self) -> None:
        with httpx.Client(base_url=self._door, verify=False, trust_env=False, timeout=20) as client:
            while not self._ended.is_set():
                self._deliver(client, next(self._numbers))
                time.sleep(0.01)

    def _deliver(self, client: httpx.Client, number: int) -> None:
        body, deadline = json.dumps({"number": number}).encode(), time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                headers = standard_headers(self._pipe.secret, f"msg_{number}", body)
                answer = client.post(f"/in/{self._pipe.id}", content=body, headers=headers)
            except httpx.TransportError:
                self.unanswered += 1
            else:
                if answer.status_code in (200, 202):
                    self.acknowledged.append(number)
                    return
                self.refused.append(f"{answer.status_code} {answer.text[:200]}")
            time.sleep(0.2)


def stored(nodes: Nodes, pipe: Pipe) -> tuple[int, int]:
    """Return how many numbers are stored, and how many rows."""
    measures = [{"op": "distinct", "field": "number", "as": "numbers"}, {"op": "count", "as": "rows"}]
    with nodes.web.client() as client:
        answer = client.post("/api/v1/query", json={"pipeline": pipe.id, "measures": measures})
    (row,) = answer.raise_for_status().json()["rows"]
    return int(row["numbers"]), int(row["rows"])


def duplicates(nodes: Nodes, pipe: Pipe) -> int:
    return nodes.web.ledger(pipe.id)["duplicate"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_what_goes_where(nodes: Nodes, pipe: Pipe, tmp_path: Path, kind: str) -> None:
    with front_door.opened(kind, tmp_path, nodes.hosts()) as door:
        with httpx.Client(base_url=door, verify=False, trust_env=False, timeout=20) as client:
            body = b'{"number": 1}'
            headers = standard_headers(pipe.secret, "msg_1", body)
            answers = [client.post(f"/in/{pipe.id}", content=body, headers=headers) for _ in range(3)]
            assert [one.status_code for one in answers] == [202, 202, 200]  # in turn: each has it once
            assert client.post(f"/in/{pipe.id}", content=b"x" * (10 << 20) + b"x").status_code == 413
            page = client.get("/sign-in")
            assert (page.status_code, "Dash" in page.text) == (200, True)
            assert client.get("/internal/v1/ping").status_code == 404
            cookie = _signed_in(client)
            assert "Secure" in cookie
        _follow_through(door, nodes, pipe)


def _signed_in(client: httpx.Client) -> str:
    """Sign in through the API and return the header of the session's cookie."""
    from tests.running import EMAIL, PASSWORD

    answer = client.post("/api/v1/session", json={"email": EMAIL, "password": PASSWORD})
    assert answer.status_code == 201, answer.text
    return next(one for one in answer.headers.get_list("set-cookie") if "dash_node" not in one)


def _follow_through(door: str, nodes: Nodes, pipe: Pipe) -> None:
    """Follow the pipeline by the feed's WebSocket while an event comes in."""
    believing = ssl.create_default_context()
    believing.check_hostname, believing.verify_mode = False, ssl.CERT_NONE
    address = door.replace("https://", "wss://") + "/api/v1/feed"
    headers = {"authorization": f"Bearer {nodes.web.token}"}
    with connect(address, additional_headers=headers, ssl=believing) as feed:
        feed.send(json.dumps({"subscribe": [f"pipeline:{pipe.id}"]}))
        assert json.loads(feed.recv(timeout=10))["snapshot"] is True
        body = b'{"number": 2}'
        answer = httpx.post(
            f"{door}/in/{pipe.id}", content=body, headers=standard_headers(pipe.secret, "msg_2", body), verify=False,
            trust_env=False,
        )  # fmt: skip
        assert answer.status_code == 202, answer.text
        seen: list[int] = []
        while 2 not in seen:
            seen += [row["number"] for row in json.loads(feed.recv(timeout=10))["rows"]]


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_an_ingestor_killed_under_load(nodes: Nodes, pipe: Pipe, tmp_path: Path, kind: str) -> None:
    with front_door.opened(kind, tmp_path, nodes.hosts()) as door:
        senders = Senders(door, pipe)
        with senders.at_work():
            until(lambda: len(senders.acknowledged) > 100)
            first, second = nodes.ingestors
            until(lambda: min(received(node, pipe) for node in nodes.ingestors) > 20)
            before = received(second, pipe)
            first.kill()
            stood = len(senders.acknowledged)
            took = until(lambda: len(senders.acknowledged) > stood + SENDERS)
            until(lambda: received(second, pipe) > before + 50)
            first.start("--port", first.url.rpartition(":")[2])
        until(lambda: stored(nodes, pipe)[0] == len(senders.acknowledged))
    numbers, rows = stored(nodes, pipe)
    unknown = senders.unanswered + len(senders.refused)
    print(f"{kind}: acknowledged again after {took:.1f} s, {unknown} sent again, {duplicates(nodes, pipe)} taken twice")
    assert (numbers, rows) == (len(set(senders.acknowledged)),) * 2


@pytest.mark.slow
def test_nodes_restarted_one_by_one(nodes: Nodes, pipe: Pipe, tmp_path: Path) -> None:
    """As the handbook says it, behind HAProxy: nobody is refused, nothing is lost or stored twice."""
    with front_door.opened("haproxy", tmp_path, nodes.hosts()) as door:
        senders = Senders(door, pipe)
        with senders.at_work():
            until(lambda: len(senders.acknowledged) > 50)
            for node in nodes.ingestors:
                _restart(node, pipe)
        until(lambda: stored(nodes, pipe)[0] == len(senders.acknowledged))
    assert (senders.refused, senders.unanswered) == ([], 0)
    assert stored(nodes, pipe) == (len(senders.acknowledged), len(senders.acknowledged))


def _restart(node: RunningAppliance, pipe: Pipe) -> None:
    with node.client() as client:
        here = next(one for one in client.get("/api/v1/nodes").json()["items"] if one["here"])
        client.post(f"/api/v1/nodes/{here['id']}/drain").raise_for_status()
        until(lambda: client.get("/readyz?part=receiving").status_code == 503)
        while (stood := received(node, pipe)) != _a_little_later(node, pipe):
            assert stood >= 0
        assert node.stop() == 0
    node.start("--port", node.url.rpartition(":")[2])
    with node.client() as client:
        until(lambda: client.get("/readyz?part=receiving").status_code == 200)
        until(lambda: client.post(f"/in/{pipe.id}").status_code == 401)


def _a_little_later(node: RunningAppliance, pipe: Pipe) -> int:
    """Return what it has received once HAProxy has looked at it three times more."""
    time.sleep(3.5)
    return received(node, pipe)
