"""The runner of jobs: what recurs, what is enqueued once, what blocks and what waits by itself."""

import asyncio
import threading
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from appliance.components.jobs import NewJob
from appliance.engine.jobs import JobRunner, Recurring
from appliance.engine.workers import Workers
from appliance.storage.control.jobs import Jobs
from appliance.storage.control.plane import ControlPlane

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Jobs]:
    plane = ControlPlane.open(tmp_path / "control.sqlite3")
    yield Jobs(plane, lambda: NOON)
    plane.close()


async def test_a_job_that_is_enqueued_is_done_when_the_bell_rings(store: Jobs) -> None:
    """Both kinds of work: a function in a thread, a coroutine function on the loop."""
    done: list[tuple[str, Any, bool]] = []
    finished = asyncio.Event()

    def blocking(payload: Mapping[str, Any]) -> None:
        done.append(("blocking", payload["n"], threading.current_thread() is threading.main_thread()))

    async def waiting(payload: Mapping[str, Any]) -> None:
        done.append(("waiting", payload["n"], threading.current_thread() is threading.main_thread()))
        finished.set()

    workers, bell = Workers({"control": 1}), asyncio.Event()
    kinds = [Recurring("blocking", None, blocking), Recurring("waiting", None, waiting)]
    runner = asyncio.create_task(JobRunner(store, kinds, workers, lambda: NOON, bell).run())
    await asyncio.sleep(0)
    store.enqueue(NewJob(kind="blocking", payload={"n": 1}, priority=1))
    store.enqueue(NewJob(kind="waiting", payload={"n": 2}))
    bell.set()
    async with asyncio.timeout(5):
        await finished.wait()
    assert done == [("blocking", 1, False), ("waiting", 2, True)]
    runner.cancel()
    await asyncio.gather(runner, return_exceptions=True)
    workers.close()
