"""Many pipelines in one process: threads and files are bounded, and none waits for another."""

import os
import threading
from pathlib import Path
from typing import Any

import httpx

from appliance.engine.workers import SIZES
from appliance.storage.bronze.log import _COMMIT_THREADS

PIPELINES = 60
BESIDE = 8  # the main thread, the caretaker's, the loop's own for what uvloop and asyncio do
EVENT = b'{"device": "b1", "temp_c": 20}'


def open_files() -> int:
    return len(list(Path(f"/proc/{os.getpid()}/fd").iterdir()))


async def test_sixty_pipelines_take_no_more_threads_and_few_files(scene: Any, api: httpx.AsyncClient) -> None:
    scene.it.bronze._options.files._limit = 8  # as if the process might open few
    before = open_files()
    pipelines = [await scene.boilers(name=f"boiler {number}") for number in range(PIPELINES)]
    for _ in range(2):
        for pipeline_id in pipelines:
            await scene.receive(pipeline_id, EVENT)
    assert threading.active_count() <= sum(SIZES.values()) + _COMMIT_THREADS + BESIDE
    assert open_files() - before <= 8 + 32
    ledger = (await api.get(f"/api/v1/pipelines/{pipelines[-1]}/ledger")).json()
    assert ledger["stored"] == 2
