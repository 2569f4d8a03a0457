"""What Prometheus is told of storage, and what /readyz says of a disk at its mark."""

import asyncio
import subprocess
from functools import partial
from typing import Any

import msgspec

from appliance.components.source import InboundRequest
from appliance.domain.clock import utc_now
from appliance.domain.ids import PipelineId
from appliance.engine.letter_watch import LetterWatch
from appliance.observe.metrics import Metrics
from appliance.services.retention import RetentionJob
from appliance.storage_metrics import StorageMetrics
from appliance.vitals import EngineNumbers, Stores, Vitals
from tests.programs import promtool
from tests.scenarios.conftest import until


async def test_storage_is_told_and_promtool_accepts_it(scene: Any) -> None:
    it = scene.it
    pipeline_id = await scene.boilers()
    await scene.receive(pipeline_id, b'{"device": "b1", "temp_c": 20}')
    it.disk.look()
    await it.watch.look()
    metrics = Metrics("1.0", it.settings.server.data_dir, EngineNumbers(it.engine, LetterWatch(it.engine)))
    metrics.add(StorageMetrics(it.watch, it.disk, RetentionJob(it.plane, it.engine, it.disk, 0.3)))
    text = metrics.render()
    judge = partial(subprocess.run, [promtool(), "check", "metrics"], input=text, capture_output=True, check=False)
    judged = await asyncio.to_thread(judge)
    assert judged.returncode == 0, judged.stderr
    told = dict(line.rsplit(" ", 1) for line in text.decode().splitlines() if line.startswith("dash_"))
    assert float(told[f'dash_storage_bytes{{layer="bronze",pipeline="{pipeline_id}"}}']) > 0
    assert told['dash_disk_state{state="stopped"}'] in ("0.0", "1.0")
    assert told["dash_retention_rows_total"] == "0.0"


async def test_readyz_names_a_disk_at_its_mark_and_what_to_do(scene: Any) -> None:
    it = scene.it
    vitals = Vitals(it.engine, it.disk, Stores(it.bronze.health, it.bronze.damaged, it.silvers.incidents))
    it.disk.marks = msgspec.structs.replace(it.disk.marks, stop=1.0, slow=1.0, warn=1.0, stop_free_bytes=0)
    it.disk.look()
    assert vitals.checks()["disk"][0]
    assert vitals.checks()["receiving"][0]
    it.disk.marks = msgspec.structs.replace(it.disk.marks, stop=0.0)
    it.disk.look()
    ready, told = vitals.checks()["receiving"]
    assert not ready
    assert told.startswith("nothing is received: ")
    ready, told = vitals.checks()["disk"]
    assert (ready, told.endswith("delete a pipeline, shorten a retention, or free space")) == (False, True)


async def test_a_pipeline_stopped_by_its_contract_leaves_dash_ready_and_its_events_untold(scene: Any) -> None:
    it = scene.it
    vitals = Vitals(it.engine, it.disk, Stores(it.bronze.health, it.bronze.damaged, it.silvers.incidents))
    fields = [{"name": "device", "path": "$.device", "type": "string"}]
    frozen = await scene.boilers(mapping={"fields": fields, "contract": "freeze"})
    events = b'{"device": "a"}\n{"device": "b", "fw": 1}'
    request = InboundRequest({"content-type": "application/x-ndjson"}, events, "192.0.2.7", utc_now())
    await it.engine.receiver.post(PipelineId(frozen), request)
    refiner = it.engine.run_of(PipelineId(frozen)).refiner
    await until(lambda: refiner.fatal)
    still = f"{frozen} stands still at event 2 by its contract: its page says why"
    assert vitals.checks()["refining"] == (True, still)
    other = await scene.boilers(name="other-room")
    it.engine.run_of(PipelineId(other)).refiner.error = "the file is damaged"
    assert vitals.checks()["refining"] == (False, f"{other}: the file is damaged; {still}")
