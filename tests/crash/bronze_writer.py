"""The process that ``test_bronze_storage`` kills: appends numbered deliveries and prints what was acknowledged.

Arguments: directory, ``sync`` or ``stubbed``, number to begin with, seed. Each line of output:
``<first seq> <number> <how many>``, written after the acknowledgement, never before.
"""

import asyncio
import itertools
import os
import random
import sys
from pathlib import Path

from appliance.domain.clock import utc_now
from appliance.domain.event import Delivery, Envelope
from appliance.domain.ids import PipelineId
from appliance.storage.bronze import FileBronzeLog
from tests.fakes.bronze import payload
from tests.fakes.disk import VolatileDisk

PIPES = (PipelineId("pl_a"), PipelineId("pl_b"))


async def main(root: str, mode: str, begin: str, seed: str) -> None:
    disk = VolatileDisk(int(seed))
    sync = disk.sync if mode == "sync" else lambda fd: None
    log = FileBronzeLog(Path(root), segment_bytes=20_000, write=disk.write, sync=sync)
    numbers, choose = itertools.count(int(begin)), random.Random(seed)

    async def write(pipeline_id: PipelineId) -> None:
        while True:
            chosen = list(itertools.islice(numbers, choose.randint(1, 20)))
            envelope = Envelope(received_at=utc_now(), source="webhook", delivery_id=f"d{chosen[0]}")
            receipt = await log.append(pipeline_id, Delivery(envelope, [payload(number) for number in chosen]))
            line = f"{pipeline_id} {receipt.first_seq} {chosen[0]} {len(chosen)}\n"
            os.write(sys.stdout.fileno(), line.encode())  # one call, so that a kill leaves no half line

    await asyncio.gather(*(write(pipeline_id) for pipeline_id in PIPES for _ in range(4)))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
