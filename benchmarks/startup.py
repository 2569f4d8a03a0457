"""Whether starting gets slower with what Bronze holds: the same appliance with 10 MB and with 10 GB of events."""

import asyncio
import os
import statistics
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import pyarrow as pa

from appliance.components.arrow import DEAD_SCHEMA
from appliance.components.silver import Batch, Table
from appliance.domain.clock import utc_now
from appliance.domain.event import Delivery, Envelope
from appliance.domain.ids import PipelineId
from appliance.domain.ledger import Outcome
from appliance.storage.bronze import FileBronzeLog
from appliance.storage.silver_duckdb.store import DuckDbSilver
from benchmarks.events import MAPPING, make
from benchmarks.report import Figure, spread
from tests.running import RunningAppliance

SMALL_BYTES: Final = 10 * 10**6
LARGE_BYTES: Final = int(float(os.environ.get("BENCH_BRONZE_GB", "10")) * 10**9)  # of events, before compression
ROUNDS: Final = 7


async def _fill(data_dir: Path, pipeline_id: PipelineId, wanted_bytes: int) -> None:
    """Write events straight into the log, wait until every closed segment is compressed, and count them as refined."""
    log = FileBronzeLog(data_dir / "bronze")
    payloads = make(10_000)
    size = sum(map(len, payloads))
    for _ in range(max(1, wanted_bytes // size)):
        await log.append(pipeline_id, Delivery(Envelope(received_at=utc_now(), source="webhook"), payloads))
    while any(one.closed and one.sha256 is None for one in log.segments(pipeline_id)):  # noqa: ASYNC110 - tells nobody
        await asyncio.sleep(0.2)
    last = log.last_seq(pipeline_id)
    await log.close()
    (store_path,) = (data_dir / "silver").glob("*.duckdb")
    store = DuckDbSilver(store_path)
    none = pa.schema([("_time", pa.timestamp("us", "UTC")), ("_seq", pa.int64()), ("_item", pa.int32())]).empty_table()
    outcome = Outcome(filtered=last)
    store.commit(Batch(Table(pipeline_id, ()), 1, 1, last, none, DEAD_SCHEMA.empty_table(), outcome, utc_now().date()))
    store.close()


def _filled(folder: Path, wanted_bytes: int) -> RunningAppliance:
    one = RunningAppliance(folder)
    one.setup(sample=False)
    one.start()
    pipeline_id, _ = one.create_pipeline("history", MAPPING)
    one.stop()
    asyncio.run(_fill(one.data_dir, PipelineId(pipeline_id), wanted_bytes))
    return one


def figures() -> Iterator[Figure]:
    with TemporaryDirectory(prefix="dash-bench-") as small, TemporaryDirectory(prefix="dash-bench-") as large:
        pair = (_filled(Path(small), SMALL_BYTES), _filled(Path(large), LARGE_BYTES))
        starts: list[tuple[float, float]] = []
        for turn in range(ROUNDS + 1):
            for one in pair if turn % 2 else reversed(pair):
                one.start()
                one.stop()
            if turn:  # the first fills the page cache
                starts.append((pair[0].start_secs, pair[1].start_secs))
    ratios = [large_secs / small_secs for small_secs, large_secs in starts]
    remark = f"10 MB: {statistics.median(one[0] for one in starts):.2f} s; ratios {spread(ratios)}"
    name = f"start to ready with {LARGE_BYTES / 10**9:g} GB of events, against 10 MB"
    yield Figure(name, statistics.median(ratios), "×", 1.2, at_least=False, remark=remark)
