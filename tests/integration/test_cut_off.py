"""The network between node and database loses every packet: nobody is refused or told, everything only hangs."""

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from appliance.domain.ids import PipelineId
from appliance.errors import TransientError
from appliance.storage.silver_postgres.connections import Connections, Cursor
from appliance.storage.silver_postgres.database import Database
from appliance.storage.silver_postgres.locks import Lock
from tests.cut_off import DATABASE, NODE, Network, inside, needs_namespaces, network
from tests.postgres import PostgresServer, postgres_server
from tests.running import RunningAppliance, standard_headers, until

MAPPING: dict[str, Any] = {"fields": [{"name": "n", "path": "$.n", "type": "integer"}]}
HOLDERS = """
SELECT DISTINCT application_name FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE locktype = 'advisory'
"""
PORT = "5432"
GIVEN_UP_SECS = 15.0 + 5.0  # what the handbook promises, and one attempt to connect
RESUMED_SECS = 10.0 + 5.0  # the longest pause between two attempts of refining, and one attempt to connect

pytestmark = needs_namespaces


@pytest.fixture(scope="module")
def cable() -> Iterator[Network]:
    with network() as made:
        yield made


@pytest.fixture(scope="module")
def server(cable: Network) -> Iterator[PostgresServer]:
    """A server at the far end. Its socket is a file, so that tests see into it whatever the network does."""
    with inside(cable.database), postgres_server({"listen_addresses": DATABASE, "port": PORT}) as server:
        server.put("pg_hba.conf", f"local all all trust\nhost all all {NODE}/32 trust\n".encode())
        with psycopg.connect(server.url(), autocommit=True) as connection:
            connection.execute("SELECT pg_reload_conf()")
        yield server


@pytest.fixture
def at_the_node(cable: Network, server: PostgresServer) -> Iterator[None]:
    with inside(cable.node):
        yield
    cable.restore()


def far(url: str) -> str:
    """Return the URL of the same database by the network."""
    return f"postgresql://dash@{DATABASE}:{PORT}/{url.split('?')[0].rpartition('/')[2]}"


class Hook:
    """A webhook. ``taken``: what was acknowledged; ``slowest_secs``: the longest that a sender waited."""

    def __init__(self, one: RunningAppliance) -> None:
        self.pipeline_id, self._secret = one.create_pipeline("numbers", MAPPING)
        self.path = f"/api/v1/pipelines/{self.pipeline_id}"
        self.taken: list[int] = []
        self.slowest_secs = 0.0
        self.client = httpx.Client(base_url=one.url, trust_env=False, timeout=60)

    def post(self) -> None:
        number, began = len(self.taken) + 1, time.monotonic()
        body = json.dumps({"n": number}).encode()
        headers = standard_headers(self._secret, f"msg_{number}", body)
        assert self.client.post(f"/in/{self.pipeline_id}", content=body, headers=headers).status_code == 202
        self.slowest_secs = max(self.slowest_secs, time.monotonic() - began)
        self.taken.append(number)

    def post_until(self, holds: Any, secs: float) -> float:
        """Post one event after the other; return how long it took until ``holds``."""

        def posted() -> bool:
            self.post()
            return bool(holds())

        return until(posted, secs)


def asked(url: str, statement: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(statement).fetchall()


def with_the_kernels_patience(url: str) -> psycopg.Connection[Any]:
    """Return a connection as anybody makes one, to compare with."""
    return psycopg.connect(url, autocommit=True, application_name="anybody")


def away(client: httpx.Client) -> bool:
    """Return whether Dash has noticed."""
    return "has not answered" in client.get("/readyz?part=database").json()["parts"]["database"]["reason"]


@pytest.mark.usefixtures("at_the_node")
def test_only_rows_wait_while_packets_vanish(tmp_path: Path, cable: Network, server: PostgresServer) -> None:
    near = server.new_database()
    one = RunningAppliance(tmp_path, environment={"DASH_DATABASE_URL": far(near)})
    one.setup()
    one.start()
    hook = Hook(one)
    for _ in range(10):
        hook.post()
    assert one.wait_refined(hook.pipeline_id)["stored"] == 10
    anybody = with_the_kernels_patience(far(near))
    with closing(hook.client), one.client() as client, ThreadPoolExecutor(2) as others:
        client.get(hook.path).raise_for_status()
        cable.cut()
        hanging: Future[Any] = others.submit(anybody.execute, "SELECT 1")
        first: Future[httpx.Response] = others.submit(client.get, hook.path)
        hook.post_until(lambda: away(client), GIVEN_UP_SECS + 5)  # it looks every five seconds
        hook.post_until(first.done, GIVEN_UP_SECS)
        assert not hanging.done()  # the control: this cut is not noticed by itself

        began = time.monotonic()
        known = client.get(hook.path).raise_for_status().json()["live"]["ledger"]
        assert (known["received"], known["stored"], known["pending"]) == (len(hook.taken), 10, len(hook.taken) - 10)
        assert len(client.get(f"{hook.path}/recent").raise_for_status().json()["items"]) == 10
        assert client.post(f"{hook.path}/pause").status_code == 503
        assert time.monotonic() - began < 6.0  # at most one of them is the one who looks for the server
        assert first.result().json()["live"]["ledger"]["stored"] == 10

        cable.restore()
        assert hanging.result(timeout=60).fetchone() == (1,)  # nothing was refused: what hung, goes on
        hook.post_until(lambda: one.ledger(hook.pipeline_id)["stored"] > 10, RESUMED_SECS)
    anybody.close()
    ledger = one.wait_refined(hook.pipeline_id)
    assert ledger == {
        "received": len(hook.taken), "stored": len(hook.taken), "filtered": 0, "duplicate": 0, "dead": 0, "pending": 0,
    }  # fmt: skip
    assert hook.slowest_secs < 2.0
    with one.client() as client:
        rows = client.get(f"{hook.path}/records?limit=1000").raise_for_status().json()["items"]
    assert sorted(row["n"] for row in rows) == hook.taken[-1000:]
    assert one.stop() == 0


@pytest.mark.usefixtures("at_the_node")
def test_a_node_cut_off_in_the_middle_of_a_copy_keeps_no_locks(cable: Network, server: PostgresServer) -> None:
    near, holding, go_on = server.new_database(), threading.Event(), threading.Event()
    with psycopg.connect(near) as connection:
        connection.execute("CREATE TABLE public.sent (n int)")
    connections = Connections(far(near), size=1)
    database = Database("public", connections, connections)

    def send(cursor: Cursor) -> None:
        with cursor.copy("COPY public.sent FROM STDIN") as copy:
            copy.write("1\n")
            holding.set()
            go_on.wait(60)

    def locks() -> set[str]:
        return {name for (name,) in asked(near, HOLDERS)}

    anybody = with_the_kernels_patience(far(near))
    anybody.execute("BEGIN; SELECT pg_advisory_xact_lock(1)")
    with ThreadPoolExecutor(1) as other, anybody.cursor().copy("COPY public.sent FROM STDIN"):
        sending = other.submit(database.write, "sending", send, PipelineId("pl_1"), Lock.ALONE)
        assert holding.wait(10)
        assert locks() == {"anybody", "dash"}
        cable.cut()
        until(lambda: locks() == {"anybody"}, GIVEN_UP_SECS)  # the control is the one that is left
        cable.restore()
        go_on.set()
        with pytest.raises(TransientError, match="Sending: the database server went away"):
            sending.result(timeout=60)
    anybody.close()
    connections.close()
    assert asked(near, "SELECT count(*) FROM public.sent") == [(0,)]
