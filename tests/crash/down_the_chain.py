"""A reader of forty rows that is killed again and again between storing events and storing its checkpoint.

As a program (arguments: directory, way, pages to live) it polls the real source into a real Bronze and kills itself
after so many pages, at the worst moment of its way: ``in the frame`` (the engine's: one append), ``before`` (the
checkpoint first), ``after`` (the events first). It ends with 0 once there is nothing left to read.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from appliance.components.feed import FeedPlace
from appliance.components.lint import decode
from appliance.components.resources import UpstreamRows
from appliance.components.source import Page
from appliance.domain.clock import utc_now
from appliance.domain.event import Delivery, Envelope
from appliance.domain.ids import PipelineId
from appliance.sources.pipeline import PipelineConfig, PipelineRows
from appliance.storage.bronze import FileBronzeLog
from tests.fakes.resources import resources
from tests.fakes.upstream import MemoryUpstream

ROWS = 40
READER = PipelineId("pl_reader")
MAPPING: dict[str, Any] = {
    "fields": [{"name": "number", "path": "$.number", "type": "integer", "required": True}],
    "unmapped": "drop",
}
THROUGH: dict[str, Any] = {**MAPPING, "time": {"path": "$._time"}}


class SmallSteps(MemoryUpstream):
    """Hands out three rows at a time."""

    async def read(self, pipeline_id: PipelineId, after: FeedPlace, limit: int) -> UpstreamRows:
        return await super().read(pipeline_id, after, min(limit, 3))


def deliveries(page: Page, way: str) -> Iterator[Delivery]:
    """Yield what is appended for one page, one after the other."""
    envelope = {"received_at": utc_now(), "source": "pipeline"}
    events = Delivery(Envelope(**envelope), page.payloads)
    checkpoint = Delivery(Envelope(**envelope, checkpoint=page.checkpoint), [])
    match way:
        case "in the frame":
            yield Delivery(Envelope(**envelope, checkpoint=page.checkpoint), page.payloads)
        case "before":
            yield from (checkpoint, events)
        case "after":
            yield from (events, checkpoint)


async def main(root: str, way: str, pages: str) -> None:
    upstream = SmallSteps(pl_a="numbers")
    for number in range(ROWS):
        upstream.put("pl_a", {"n": number})
    source = PipelineRows(
        decode(PipelineConfig, {"type": "pipeline", "pipeline": "numbers"}), resources(upstream=upstream)
    )
    log, left = FileBronzeLog(Path(root)), int(pages)
    await asyncio.to_thread(log.open)
    async for page in source.poll(log.checkpoint(READER)):
        left -= 1
        for delivery in deliveries(page, way):
            await log.append(READER, delivery)
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
    await log.close()


def killed_between(folder: Path, way: str) -> list[int]:
    """Let it live for four pages at a time; return the numbers that its Bronze has in the end."""
    while True:
        command = [sys.executable, "-m", "tests.crash.down_the_chain", str(folder), way, "4"]
        done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL, done.stderr
    return asyncio.run(_numbers(folder))


async def _numbers(folder: Path) -> list[int]:
    log = FileBronzeLog(folder)
    await asyncio.to_thread(log.open)
    frames = log.read(READER, 0, 10_000, 1 << 20)
    await log.close()
    return [json.loads(line)["n"] for frame in frames for line in frame.lines.splitlines()]


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
