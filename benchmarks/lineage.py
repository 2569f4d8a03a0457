"""The lineage of one row, in a log of 1,000 segments: from the row to the raw bytes, through the API."""

import asyncio
import json
import random
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx

from appliance.domain.clock import utc_now
from appliance.domain.event import Delivery, Envelope
from appliance.domain.ids import PipelineId
from appliance.storage.bronze import FileBronzeLog
from benchmarks.events import MAPPING, make
from benchmarks.report import Figure, median, p95
from tests.running import RunningAppliance

SEGMENTS = 1_000
EVENTS = 100  # in each
ASKED = 60


def figures() -> Iterator[Figure]:
    with TemporaryDirectory(prefix="dash-bench-") as folder:
        one = RunningAppliance(Path(folder))
        one.setup()
        one.start()
        pipeline_id, _ = one.create_pipeline("lineage", MAPPING)
        reader = _create_reader(one, pipeline_id)
        one.stop()
        asyncio.run(_fill(one.data_dir / "bronze", PipelineId(pipeline_id)))
        one.start()
        try:
            yield from _measured(one, pipeline_id, reader)
        finally:
            one.stop()


def _measured(one: RunningAppliance, pipeline_id: str, reader: str) -> Iterator[Figure]:
    one.wait_refined(pipeline_id, 120)
    deadline = time.monotonic() + 120
    while one.ledger(reader)["received"] < SEGMENTS * EVENTS and time.monotonic() < deadline:
        time.sleep(0.05)
    one.wait_refined(reader, 120)
    chosen = random.Random(7).sample(range(1, SEGMENTS * EVENTS + 1), ASKED)
    with one.client() as client:
        segments, base = set(), f"/api/v1/pipelines/{pipeline_id}"
        alone, lineage, chain = [], [], []
        for seq in chosen:  # interleaved, so that the machine's moods meet all three alike
            alone.append(_asked(client, f"{base}/records/{seq}")[0])
            took, told = _asked(client, f"{base}/records/{seq}/lineage")
            lineage.append(took)
            segments.add(told["event"]["segment"])
            chain.append(_asked(client, f"/api/v1/pipelines/{reader}/records/{seq}/lineage")[0])
    remark = f"p95 {p95(lineage):.1f} ms; {len(segments)} segments met"
    yield Figure("lineage of a row, 1,000 segments, median", median(lineage), "ms", 50, at_least=False, remark=remark)
    yield Figure("lineage of a row through two pipelines, median", median(chain), "ms", 50, at_least=False,
                 remark=f"p95 {p95(chain):.1f} ms")  # fmt: skip
    yield Figure("lineage ÷ reading the raw event alone", median(lineage) / median(alone), "×",
                 remark=f"{median(alone):.1f} ms alone")  # fmt: skip


def _create_reader(one: RunningAppliance, read: str) -> str:
    fields = [{"name": "device", "path": "$.device", "type": "string"}]
    mapping = {"time": {"path": "$._time"}, "fields": fields, "unmapped": "drop"}
    document = {"name": "reader", "source": {"type": "pipeline", "pipeline": read}, "mapping": mapping}
    with one.client() as client:
        pipeline_id: str = client.post("/api/v1/pipelines", json=document).raise_for_status().json()["id"]
    return pipeline_id


async def _fill(root: Path, pipeline_id: PipelineId) -> None:
    """Write small segments straight into the log: the size that a setting allows would make a gigabyte of them."""
    log, events = FileBronzeLog(root, segment_bytes=EVENTS * 100), make(SEGMENTS * EVENTS)
    await asyncio.to_thread(log.open)
    for number in range(SEGMENTS):
        envelope = Envelope(received_at=utc_now(), source="webhook", delivery_id=f"fill-{number}")
        await log.append(pipeline_id, Delivery(envelope, events[number * EVENTS : (number + 1) * EVENTS]))
    await log.close()


def _asked(client: httpx.Client, path: str) -> tuple[float, dict[str, Any]]:
    began = time.perf_counter()
    answer = client.get(path).raise_for_status()
    return (time.perf_counter() - began) * 1000, json.loads(answer.content)
