"""Leases and nodes on a real PostgreSQL: taken over in time, shared fairly, and never held twice, whatever breaks."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from appliance.domain.clock import utc_now
from appliance.domain.ids import NodeId
from appliance.domain.node import Card, Load, NodeState
from appliance.engine.leases import LeaseKeeper
from appliance.engine.workers import Workers
from appliance.storage.control.leases import Leases
from appliance.storage.control.nodes import Nodes, tell
from appliance.storage.control.plane import ControlPlane

HOLDER = Path(__file__).parents[1] / "lease_holder.py"
THINGS = [f"poll:{number}" for number in range(12)]


def card(name: str) -> Card:
    return Card(
        id=NodeId(f"node_{name}"), life=name, name=name, role="ingestor", address="http://x", version="1",
        offers=("poll",), every_secs=3.0,
    )  # fmt: skip


class Member:
    """A node in this process: a keeper of leases that does nothing under them but say so."""

    def __init__(self, plane: ControlPlane, name: str) -> None:
        self.card, self.nodes, self.working = card(name), Nodes(plane), set[str]()
        self.workers = Workers({"control": 2})
        store = Leases(plane, self.card.id, name, settled_after=timedelta(0))
        self.keeper = LeaseKeeper(store, name, self.workers, lambda: THINGS, self._changed)

    async def _changed(self, name: str, held: bool) -> None:
        (self.working.add if held else self.working.discard)(name)

    async def beat(self) -> None:
        await self.workers.run("control", self.nodes.beat, self.card, Load())

    @asynccontextmanager
    async def entered(self) -> AsyncIterator["Member"]:
        await self.workers.run("control", self.nodes.enter, self.card)
        yield self
        await self.keeper.close()
        await self.workers.run("control", self.nodes.leave, self.card)
        self.workers.close()


@pytest.fixture
def plane(database_url: str) -> Iterator[ControlPlane]:
    plane = ControlPlane.open(database_url)
    yield plane
    plane.close()


async def rounds(members: list[Member], count: int = 3) -> None:
    """Let all decide at once, some times over, as their timers would have them."""
    for _ in range(count):
        await asyncio.gather(*(one.keeper.round() for one in members))


async def test_nodes_that_join_and_drain_share_alike_and_then_nothing_moves(plane: ControlPlane) -> None:
    anna, bert, carl = (Member(plane, name) for name in ("anna", "bert", "carl"))
    async with anna.entered():
        await rounds([anna])
        assert anna.working == set(THINGS)
        async with bert.entered(), carl.entered():
            members = [anna, bert, carl]
            await rounds(members)
            assert [len(one.working) for one in members] == [4, 4, 4]
            assert anna.working | bert.working | carl.working == set(THINGS)
            changes = [one.keeper.changes for one in members]
            await rounds(members)
            assert [one.keeper.changes for one in members] == changes
            plane.write_now(lambda tx: tell(tx, bert.card.id, NodeState.DRAINING, utc_now))
            bert.keeper.draining = True
            await rounds(members)
            assert [len(one.working) for one in members] == [6, 0, 6]
        await rounds([anna])
        assert anna.working == set(THINGS)  # both said goodbye: nobody waits for their leases to run out


async def test_connections_cut_in_the_middle_of_rounds_lose_nothing(plane: ControlPlane, database_url: str) -> None:
    anna, bert = Member(plane, "anna"), Member(plane, "bert")
    stop = asyncio.Event()

    async def cut() -> None:
        while not stop.is_set():
            await asyncio.to_thread(_terminate_others, database_url)
            await asyncio.sleep(0.05)

    async with anna.entered(), bert.entered():
        cutting = asyncio.create_task(cut())
        for _ in range(15):
            await asyncio.gather(*(one.keeper._try_round() for one in (anna, bert)))
            assert not anna.working & bert.working
        stop.set()
        await cutting
        await rounds([anna, bert])
        assert (len(anna.working), len(bert.working)) == (6, 6)


def _terminate_others(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name = 'dash-appliance'"
        )


async def test_a_database_that_is_away_stops_the_work_before_the_lease_runs_out(plane: ControlPlane) -> None:
    """By the watchdog alone: no round succeeds any more."""
    anna = Member(plane, "anna")
    async with anna.entered():
        await rounds([anna])
        assert anna.working == set(THINGS)
        began = time.monotonic()
        watching = asyncio.create_task(anna.keeper._watch())
        async with asyncio.timeout(9.0):
            while anna.working:  # noqa: ASYNC110 - what is waited for is the clock
                await asyncio.sleep(0.02)
        assert 6.0 < time.monotonic() - began < 9.0
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        taken = Leases(plane, NodeId("node_bert"), "bert").acquire(THINGS, 9)
        assert len(taken) in (0, 12)  # run out at the database by now, or about to


class Process:
    """A node in a process of its own, which writes as long as it holds the lease: tests/lease_holder.py."""

    def __init__(self, url: str, name: str) -> None:
        command = [sys.executable, str(HOLDER), url, name]
        root = str(HOLDER.parents[1])
        environment = os.environ | {"PYTHONPATH": root}
        self.child = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment, cwd=root)

    def kill(self, how: signal.Signals = signal.SIGKILL) -> None:
        self.child.send_signal(how)

    def __enter__(self) -> "Process":
        return self

    def __exit__(self, *_: object) -> None:
        self.child.kill()  # also one that is stopped
        self.child.wait()


def works(url: str) -> list[dict[str, Any]]:
    """Return what was written under the fence, in order: who, of which epoch, when."""
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "SELECT who, epoch, extract(epoch from at) FROM public.work ORDER BY number"
        ).fetchall()
    return [{"who": who, "epoch": epoch, "at": float(at)} for who, epoch, at in rows]


def wait_for(url: str, who: str, secs: float = 30.0) -> float:
    """Return when ``who`` wrote first, by the database's clock."""
    deadline = time.monotonic() + secs
    while time.monotonic() < deadline:
        for one in works(url):
            if one["who"] == who:
                return float(one["at"])
        time.sleep(0.1)
    raise AssertionError(f"{who} wrote nothing in time: {json.dumps(works(url)[-3:])}")


@pytest.fixture
def pair(plane: ControlPlane, database_url: str) -> Iterator[tuple[str, Process, Process]]:
    """Two processes that want one lease; the first has it."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE public.work (number serial, who text, epoch bigint, at timestamptz DEFAULT clock_timestamp())"
        )
    with Process(database_url, "anna") as anna:
        wait_for(database_url, "anna")
        with Process(database_url, "bert") as bert:
            yield database_url, anna, bert


def last(url: str, who: str) -> float:
    return max(one["at"] for one in works(url) if one["who"] == who)


@pytest.mark.slow
def test_a_killed_node_is_succeeded_within_fifteen_seconds(pair: tuple[str, Process, Process]) -> None:
    url, anna, _ = pair
    anna.kill()
    anna.child.wait()
    died = last(url, "anna")
    took = wait_for(url, "bert") - died
    print(f"taken over {took:.1f} s after the last write of the dead node")
    assert took <= 15.0
    assert sorted({(one["epoch"], one["who"]) for one in works(url)}) == [(1, "anna"), (2, "bert")]


@pytest.mark.slow
def test_a_paused_node_is_succeeded_and_writes_nothing_when_it_wakes(pair: tuple[str, Process, Process]) -> None:
    url, anna, _ = pair
    anna.kill(signal.SIGSTOP)
    stopped = last(url, "anna")
    assert wait_for(url, "bert") - stopped <= 15.0
    anna.kill(signal.SIGCONT)
    woken = last(url, "bert")
    deadline = time.monotonic() + 30
    while last(url, "bert") < woken + 3:  # the other goes on meanwhile
        assert time.monotonic() < deadline
        time.sleep(0.1)
    found = works(url)
    epochs = [one["epoch"] for one in found]
    assert epochs == sorted(epochs)
    assert all(len({one["who"] for one in found if one["epoch"] == epoch}) == 1 for epoch in epochs)
    assert last(url, "anna") == stopped
