"""The bus on a real PostgreSQL: order, echoes, long payloads, broken connections, and dashboards that move."""

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import psycopg
import pytest

from appliance.domain.database.access import Access
from appliance.domain.database.dsn import Dsn
from appliance.engine.relay import Relay
from appliance.engine.topics import Hub
from appliance.storage.control.notify import NotifyBus
from appliance.storage.control.plane import ControlPlane


@pytest.fixture
def access(database_url: str) -> Access:
    """A database with an empty control plane."""
    ControlPlane.open(database_url).close()
    return Access(dsn=Dsn.parse(database_url))


class Node:
    """One node's end of the bus, and what it heard."""

    def __init__(self, access: Access) -> None:
        self.bus, self.hub = NotifyBus(access), Hub()
        self.heard: list[tuple[str, bytes]] = []
        self.missed = 0
        self.bus.listen(lambda topic, payload: self.heard.append((topic, payload)), self._missed)

    def _missed(self) -> None:
        self.missed += 1

    @asynccontextmanager
    async def live(self) -> AsyncIterator["Node"]:
        task = asyncio.create_task(self.bus.run())
        await until(lambda: self.bus.connected)
        try:
            yield self
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def until(holds: Callable[[], bool], secs: float = 15.0) -> None:
    async with asyncio.timeout(secs):
        while not holds():  # noqa: ASYNC110 - what is waited for happens in another process
            await asyncio.sleep(0.005)


async def test_others_hear_it_in_order_and_oneself_does_not(access: Access) -> None:
    async with Node(access).live() as anna, Node(access).live() as bert:
        for number in range(500):
            anna.bus.send("pipeline:1", b"%d" % number)
        await until(lambda: len(bert.heard) == 500)
        assert bert.heard == [("pipeline:1", b"%d" % number) for number in range(500)]
        assert (anna.heard, anna.missed, bert.missed) == ([], 0, 0)


async def test_a_payload_of_any_size_and_content_arrives(access: Access, database_url: str) -> None:
    payloads = [b"x" * 7_500, b"x" * 7_501, b"\xff\x00raw", b"y" * 300_000, b"", "ä€😀\n".encode() * 400]
    async with Node(access).live() as anna, Node(access).live() as bert:
        for payload in payloads:
            anna.bus.send("replay:1", payload)
        await until(lambda: len(bert.heard) == len(payloads))
        assert [payload for _, payload in bert.heard] == payloads
    with psycopg.connect(database_url) as connection:
        kept = connection.execute("SELECT octet_length(payload) FROM dash.notice ORDER BY 1").fetchall()
        assert kept == [(5,), (7_501,), (300_000,)]  # what fits is carried by the notification itself


async def test_what_is_older_than_a_minute_is_forgotten(access: Access, database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("INSERT INTO dash.notice VALUES ('old', now() - interval '61 seconds', 'x')")
        connection.execute("INSERT INTO dash.notice VALUES ('new', now() - interval '50 seconds', 'x')")
    async with Node(access).live() as anna, Node(access).live() as bert:
        anna.bus.send("replay:1", b"z" * 8_000)
        await until(lambda: len(bert.heard) == 1)
    with psycopg.connect(database_url) as connection:
        left = [row[0] for row in connection.execute("SELECT id FROM dash.notice").fetchall()]
    assert "old" not in left
    assert "new" in left


async def test_connections_cut_again_and_again_are_made_anew_and_everybody_looks(
    access: Access, database_url: str
) -> None:
    async with Node(access).live() as anna, Node(access).live() as bert:
        for cut in range(3):
            before = (anna.missed, bert.missed)
            with psycopg.connect(database_url, autocommit=True) as connection:
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE application_name = 'dash bus' AND datname = current_database()"
                )
            await until(lambda before=before: anna.missed > before[0] and bert.missed > before[1])  # type: ignore[misc]
            await until(lambda: anna.bus.connected and bert.bus.connected)
            anna.bus.send("pipeline:1", b"%d" % cut)
            await until(lambda cut=cut: ("pipeline:1", b"%d" % cut) in bert.heard)  # type: ignore[misc]


async def test_who_sends_more_than_fits_has_the_others_look(access: Access) -> None:
    async with Node(access).live() as anna, Node(access).live() as bert:
        for number in range(2_500):
            anna.bus.send("pipeline:1", b"%d" % number)
        await until(lambda: ("pipeline:1", b"2499") in bert.heard)
        assert len(bert.heard) == 2_000  # the oldest were dropped
        assert bert.missed == 1


async def test_what_is_published_on_one_node_reaches_who_follows_on_another(access: Access) -> None:
    """And only then: a topic that nobody follows elsewhere costs nothing."""
    anna, bert = Node(access), Node(access)
    here, there = Relay(anna.hub, anna.bus), Relay(bert.hub, bert.bus)
    async with anna.live(), bert.live(), bert.hub.mailbox() as mailbox:
        tasks = [asyncio.create_task(relay.run()) for relay in (here, there)]
        assert anna.hub.heard("pipeline:1") is False
        anna.hub.publish("pipeline:1", b"nobody")
        mailbox.follow("pipeline:1")
        await until(lambda: anna.hub.heard("pipeline:1"))
        anna.hub.publish("pipeline:1", b"first")
        anna.hub.publish("pipeline:2", b"of another topic")
        anna.hub.publish("pipeline:1", b"second")
        async with asyncio.timeout(10):
            assert [await mailbox.get(), await mailbox.get()] == [b"first", b"second"]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_bell_rings_on_all_other_nodes(access: Access) -> None:
    anna, bert = Node(access), Node(access)
    here, there = Relay(anna.hub, anna.bus), Relay(bert.hub, bert.bus)
    rung: list[str] = []
    here.on_ring("jobs", lambda: rung.append("anna"))
    there.on_ring("jobs", lambda: rung.append("bert"))
    async with anna.live(), bert.live():
        here.ring("jobs")
        await until(lambda: rung == ["bert"])


async def test_it_is_quick(access: Access) -> None:
    """Generous: the machine may be busy. The usual figure is in decision 0021."""
    took: list[float] = []
    async with Node(access).live() as anna, Node(access).live() as bert:
        for number in range(50):
            began = time.monotonic()
            anna.bus.send("pipeline:1", b"%d" % number)
            await until(lambda number=number: len(bert.heard) > number)  # type: ignore[misc]
            took.append(time.monotonic() - began)
        await until(lambda: anna.bus.latency_secs is not None)
    print(f"bus: median {statistics.median(took) * 1000:.1f} ms, worst of 50 {max(took) * 1000:.1f} ms")
    assert statistics.median(took) < 0.25
