import asyncio
import threading

import pytest

from appliance.engine.workers import QUEUE_PER_THREAD, Workers
from appliance.errors import TransientError


async def test_work_of_one_kind_does_not_wait_for_another() -> None:
    workers = Workers({"refine": 1, "read": 1})
    release = threading.Event()

    blocked = asyncio.create_task(workers.run("refine", release.wait))
    assert await workers.run("read", lambda: 7) == 7
    release.set()
    await blocked
    workers.close()


async def test_a_full_queue_is_refused_and_not_grown() -> None:

    workers = Workers({"read": 1})
    release = threading.Event()
    waiting = [asyncio.create_task(workers.run("read", release.wait)) for _ in range(QUEUE_PER_THREAD)]
    await asyncio.sleep(0)
    with pytest.raises(TransientError, match="too much 'read' work"):
        await workers.run("read", lambda: None)
    release.set()
    await asyncio.gather(*waiting)
    workers.close()


async def test_refining_is_never_refused_however_many_pipelines_wait() -> None:
    workers = Workers({"refine": 1})
    release = threading.Event()
    waiting = [asyncio.create_task(workers.run("refine", release.wait)) for _ in range(3 * QUEUE_PER_THREAD)]
    await asyncio.sleep(0)
    release.set()
    assert all(await asyncio.gather(*waiting))
    workers.close()
