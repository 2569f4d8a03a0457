"""A writer killed at random moments: after opening again, rows, dead letters and progress tell the same story."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from appliance.components.silver import Aggregation, DeadLetterQuery, Measure, Order, RecordQuery
from appliance.domain.ledger import Outcome
from appliance.storage.silver_duckdb.store import DuckDbSilver
from tests.silver_batches import table

ROUNDS = 4
WRITER = """
import sys
from pathlib import Path
from appliance.storage.silver_duckdb.store import DuckDbSilver
from tests.silver_batches import Event, batch, table
keyed = sys.argv[2] == "keyed"
of = table("pl_crash", keyed=keyed)
store = DuckDbSilver(Path(sys.argv[1]))
seq = store.progress(of.pipeline_id).seq
while True:
    events = [
        Event(({"_key": str(n % 700), "n": n, "device": "x" * 50},) if n % 10 else (), ("type",) if n % 50 == 0 else ())
        for n in range(seq + 1, seq + 501)
    ]
    seq = store.commit(batch(of, seq + 1, events)).seq
    print(seq, flush=True)
"""


@pytest.mark.parametrize("kind", ["plain", "keyed"])
def test_after_kill_9_rows_and_progress_agree(tmp_path: Path, kind: str) -> None:
    path, chance = tmp_path / "org_1.duckdb", random.Random(kind)
    told = 0
    for _ in range(ROUNDS):
        told = max(told, kill_while_writing(path, kind, chance.uniform(0.05, 0.6)))
        check(path, keyed=kind == "keyed", acknowledged=told)
    assert told > 0


def kill_while_writing(path: Path, kind: str, after_secs: float) -> int:
    """Let a writer commit for a while, kill it, return the last progress it had been told."""
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path), kind], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    last = int(next(line for line in writer.stdout if line.strip().isdigit()))
    end = time.monotonic() + after_secs
    while time.monotonic() < end:
        last = int(writer.stdout.readline())
    writer.send_signal(signal.SIGKILL)
    rest = writer.stdout.read().splitlines()  # a last line may be cut short
    writer.wait()
    writer.stdout.close()
    return max([last, *(int(line) for line in rest[:-1])])


def check(path: Path, *, keyed: bool, acknowledged: int) -> None:
    of = table("pl_crash", keyed=keyed)
    store = DuckDbSilver(path)
    progress = store.progress(of.pipeline_id)
    assert progress.seq >= acknowledged
    assert progress.seq % 500 == 0
    seqs = range(1, progress.seq + 1)
    dead = [seq for seq in seqs if seq % 50 == 0]
    live = [seq for seq in seqs if seq % 10]
    if keyed:
        live = sorted({seq % 700: seq for seq in live}.values())
    stored = store.records(of, RecordQuery(order=Order.ASC, limit=10_000_000)).column("_seq").to_pylist()
    assert stored == live
    letters = store.dead_letters(of.pipeline_id, DeadLetterQuery(limit=10_000_000)).column("seq").to_pylist()
    assert letters[::-1] == dead
    filtered = len([seq for seq in seqs if seq % 10 == 0 and seq % 50])
    duplicate = progress.seq - len(live) - len(dead) - filtered
    assert progress.outcome == Outcome(len(live), filtered, duplicate, len(dead)) == store.recount(of)
    counted = store.aggregate(of, Aggregation(measures=(Measure("count", None, "c"),)))
    assert counted.column("c")[0].as_py() == len(live)
    store.close()
