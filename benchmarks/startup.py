"""Whether starting gets slower with what there is: one pipeline with 10 MB of events, and a hundred with 10 GB."""

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
PIPELINES: Final = 100
ROUNDS: Final = 7


async def _fill(data_dir: Path, pipelines: list[PipelineId], wanted_bytes: int) -> None:
    """Write events straight into the logs, wait until every closed segment is compressed, and count them as refined."""
    log = FileBronzeLog(data_dir / "bronze")
    payloads = make(10_000)
    for _ in range(max(1, wanted_bytes // (sum(map(len, payloads)) * len(pipelines)))):
        for one in pipelines:
            await log.append(one, Delivery(Envelope(received_at=utc_now(), source="webhook"), payloads))
    while any(part.closed and part.sha256 is None for one in pipelines for part in log.segments(one)):  # noqa: ASYNC110 - tells nobody
        await asyncio.sleep(0.2)
    last = {one: log.last_seq(one) for one in pipelines}
    await log.close()
    (store_path,) = (data_dir / "silver").glob("*.duckdb")
    store = DuckDbSilver(store_path)
    none = pa.schema([("_time", pa.timestamp("us", "UTC")), ("_seq", pa.int64()), ("_item", pa.int32())]).empty_table()
    for one, seq in last.items():
        outcome = Outcome(filtered=seq)
        store.commit(Batch(Table(one, ()), 1, 1, seq, none, DEAD_SCHEMA.empty_table(), outcome, utc_now().date()))
    store.close()


def _filled(folder: Path, wanted_bytes: int, pipelines: int) -> RunningAppliance:
    one = RunningAppliance(folder)
    one.setup(sample=False)
    one.start()
    made = [PipelineId(one.create_pipeline(f"history-{number}", MAPPING)[0]) for number in range(pipelines)]
    one.stop()
    asyncio.run(_fill(one.data_dir, made, wanted_bytes))
    return one


def figures() -> Iterator[Figure]:
    with TemporaryDirectory(prefix="dash-bench-") as small, TemporaryDirectory(prefix="dash-bench-") as large:
        pair = (_filled(Path(small), SMALL_BYTES, 1), _filled(Path(large), LARGE_BYTES, PIPELINES))
        starts: list[tuple[float, float]] = []
        for turn in range(ROUNDS + 1):
            for one in pair if turn % 2 else reversed(pair):
                one.start()
                one.stop()
            if turn:  # the first fills the page cache
                starts.append((pair[0].start_secs, pair[1].start_secs))
    took = [large_secs for _, large_secs in starts]
    name = f"start to ready with {PIPELINES} pipelines and {LARGE_BYTES / 10**9:g} GB of events"
    yield Figure(name, statistics.median(took), "s", 2.5, at_least=False, remark=spread(took))
    ratios = [large_secs / small_secs for small_secs, large_secs in starts]
    remark = f"one: {statistics.median(one[0] for one in starts):.2f} s; ratios {spread(ratios)}"
    yield Figure(f"{name}, against one with 10 MB", statistics.median(ratios), "×", remark=remark)
