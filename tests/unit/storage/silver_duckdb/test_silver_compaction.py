"""A file rewritten: smaller by what was removed, the same rows, readers at work all the while, or nothing changed."""

import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from appliance.components.silver import Aggregation, Batch, Measure, Progress, RecordQuery
from appliance.domain.ledger import Outcome
from appliance.errors import FatalError, TransientError
from appliance.storage.silver_duckdb.store import DuckDbSilver
from tests.silver_batches import START, batch, row, table

OF = table("pl_large")
COUNT = Aggregation(measures=(Measure("count", None, "c"), Measure("sum", "n", "s")))
EVENTS = 200_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "org_1.duckdb"


def many(first_seq: int, events: int = EVENTS) -> Batch:
    """Return as many events of one row of hardly compressible text; ``_time`` is START + seq seconds."""
    with duckdb.connect() as connection:
        rows = connection.sql(
            "SELECT make_timestamptz($start + i * 1_000_000) AS _time, i AS _seq, 0::INTEGER AS _item,"
            " NULL::VARCHAR AS _extra, md5(i::VARCHAR) || md5(i::VARCHAR || 'b') AS device, i AS n"
            " FROM range($first, $first + $events) AS t(i)",
            params={"start": int(START.timestamp()) * 1_000_000, "first": first_seq, "events": events},
        ).to_arrow_table()
    shape = batch(OF, 1, [row()])
    rows = rows.cast(pa.schema([*shape.rows.schema]))
    return Batch(OF, 1, first_seq, first_seq + events - 1, rows, shape.dead.slice(0, 0), Outcome(stored=events))


def filled(path: Path, events: int = EVENTS) -> DuckDbSilver:
    store = DuckDbSilver(path)
    store.commit(many(1, events))
    return store


def on_disk(path: Path) -> int:
    return path.stat().st_blocks * 512


def until(met: Callable[[], bool], secs: float = 30.0) -> None:
    end = time.monotonic() + secs
    while not met():
        assert time.monotonic() < end
        time.sleep(0.001)


@contextmanager
def no_more_than(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond ``size`` bytes: to DuckDB a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


# --- space


def test_removed_rows_are_given_back_to_the_file_system(path: Path) -> None:
    store = filled(path)
    store.upkeep.trim(OF, START + timedelta(seconds=EVENTS * 3 // 4))
    before, digest = on_disk(path), store.generations.checksum(OF)
    assert store.upkeep.size().free_bytes > 0
    done = store.upkeep.compact()
    assert (done.before_bytes, done.after_bytes) == (before, on_disk(path))
    assert done.after_bytes < done.before_bytes * 0.5  # three quarters of the rows are gone
    size = store.upkeep.size()
    assert (size.file_bytes, size.free_bytes) == (done.after_bytes, 0)
    assert store.generations.checksum(OF) == digest
    assert store.recount(OF) == Outcome(stored=EVENTS) == store.progress(OF.pipeline_id).outcome
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    store.close()


def test_whole_blocks_of_trimmed_rows_are_free_for_new_ones_at_once(path: Path) -> None:
    store = filled(path, 4 * 122_880)  # four row groups
    store.upkeep.trim(OF, START + timedelta(seconds=3 * 122_880 + 1))
    before = on_disk(path)
    free = store.upkeep.size().free_bytes
    assert free > before * 0.5
    store.commit(many(4 * 122_880 + 1, 122_880))
    store._writer.run("making a checkpoint", lambda cursor: cursor.execute("CHECKPOINT"))
    assert store.upkeep.size().free_bytes < free
    assert on_disk(path) <= before
    store.close()


def test_the_digest_of_what_was_copied_notices_a_change(path: Path) -> None:
    store = filled(path, 10)
    digest = store.generations.checksum(OF)
    store._writer.run("spoiling a row", lambda cursor: cursor.execute('UPDATE "rows_pl_large" SET n = 11 WHERE n = 10'))
    assert store.generations.checksum(OF) != digest
    store.close()


# --- readers and writers


def test_readers_go_on_and_commits_wait(path: Path) -> None:
    store = filled(path)
    ended, answers = threading.Event(), []

    def read() -> None:
        while not ended.is_set():
            answers.append(store.aggregate(OF, COUNT).column("c")[0].as_py())

    with ThreadPoolExecutor(4) as pool:
        readers = [pool.submit(read) for _ in range(2)]
        compacting = pool.submit(store.upkeep.compact)
        until(lambda: path.with_name("org_1.duckdb.compact").exists() or compacting.done())
        committing = pool.submit(store.commit, many(EVENTS + 1, 100))
        compacting.result()
        assert committing.result() == Progress(EVENTS + 100, Outcome(stored=EVENTS + 100))
        read_so_far = len(answers)
        until(lambda: len(answers) > read_so_far)
        ended.set()
        for reader in readers:
            reader.result()
    assert set(answers) <= {EVENTS, EVENTS + 100}
    assert store.recount(OF) == Outcome(stored=EVENTS + 100)
    store.close()


def test_a_reader_that_takes_long_reads_again(path: Path) -> None:
    store = filled(path, 10)
    tries = []

    def slow_at_first(cursor: duckdb.DuckDBPyConnection) -> int:
        tries.append(cursor)
        many_rows = 10_000_000_000 if len(tries) == 1 else 10
        found = cursor.sql(f"SELECT count(*) FROM range({many_rows}) AS t(i) WHERE hash(i) % 2 < 2").to_arrow_table()
        return int(found.column(0)[0].as_py())

    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(store._database.read, "reading at length", 120.0, slow_at_first)
        until(lambda: bool(tries))
        store.upkeep.compact()
        assert reading.result() == 10
    assert len(tries) == 2
    store.close()


def test_closing_does_not_wait_for_a_compaction(path: Path) -> None:
    store = filled(path, 1_000_000)
    with ThreadPoolExecutor(1) as pool:
        compacting = pool.submit(store.upkeep.compact)
        until(path.with_name("org_1.duckdb.compact").exists)
        store.close()
        with pytest.raises(TransientError, match=r"the store closes\. Nothing was changed"):
            compacting.result()
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    store = DuckDbSilver(path)
    assert store.recount(OF) == Outcome(stored=1_000_000)
    store.close()


# --- refused


def test_without_room_nothing_is_begun(path: Path) -> None:
    store = DuckDbSilver(path, room=lambda folder: 64 << 20)
    store.commit(many(1, 1000))
    with pytest.raises(TransientError, match=r"bytes of disk are needed and 67108864 are left; make room\. Nothing"):
        store.upkeep.compact()
    assert [file.name for file in path.parent.iterdir() if not file.name.endswith(".wal")] == [path.name]
    assert store.recount(OF) == Outcome(stored=1000)
    store.close()


def test_a_disk_that_fills_meanwhile_changes_nothing(path: Path) -> None:
    store = filled(path)
    store._writer.run("making a checkpoint", lambda cursor: cursor.execute("CHECKPOINT"))
    before = path.read_bytes()
    full = no_more_than(on_disk(path) // 2)
    with full, pytest.raises(TransientError, match="the new file could not be written"):
        store.upkeep.compact()
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    assert path.read_bytes() == before
    assert store.commit(many(EVENTS + 1, 10)).outcome == Outcome(stored=EVENTS + 10)
    store.upkeep.compact()
    assert store.recount(OF) == Outcome(stored=EVENTS + 10)
    assert store.incidents == ()
    store.close()


def test_what_is_no_table_is_not_left_behind(path: Path) -> None:
    store = filled(path, 10)
    store._writer.run("making a view", lambda cursor: cursor.execute("CREATE VIEW strange AS SELECT 1"))
    with pytest.raises(FatalError, match="expected nothing but tables, got 'strange'"):
        store.upkeep.compact()
    assert not list(path.parent.glob("*.compact*"))
    assert store.recount(OF) == Outcome(stored=10)
    store.close()


def test_an_answer_not_read_to_its_end_keeps_the_file_in_use(path: Path) -> None:
    store = filled(path, 10)
    with store._database.reading("reading half an answer", 10.0) as cursor:
        forgotten = cursor.sql("SELECT * FROM rows_pl_large").to_arrow_reader(1)
    for attempt in (store.upkeep.compact, lambda: store.commit(many(11, 10))):
        with pytest.raises(TransientError, match="not read to its end yet"):
            attempt()
    forgotten.close()
    del forgotten
    assert store.commit(many(11, 10)).seq == 20
    store.upkeep.compact()
    assert store.commit(many(21, 10)).seq == 30
    store.close()
    store = DuckDbSilver(path)
    assert store.recount(OF) == Outcome(stored=30)
    store.close()


# --- leftovers


def test_what_a_crash_left_of_a_compaction_is_removed_at_opening(path: Path) -> None:
    filled(path, 10).close()
    for name in ("org_1.duckdb.compact", "org_1.duckdb.compact.wal"):
        path.with_name(name).write_bytes(b"half")
    folder = path.with_name("org_1.duckdb.compact.tmp")
    folder.mkdir()
    (folder / "spilled").write_bytes(b"x")
    store = DuckDbSilver(path)
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    assert store.records(OF, RecordQuery(limit=100)).num_rows == 10
    store.close()


def test_a_second_owner_leaves_the_firsts_compaction_alone(path: Path) -> None:
    store = filled(path, 10)
    half = path.with_name("org_1.duckdb.compact")
    half.write_bytes(b"half")
    code = "import sys; from appliance.storage.silver_duckdb.store import *; DuckDbSilver(Path(sys.argv[1]))"
    other = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False)
    assert "another process has it open" in other.stderr
    assert half.exists()
    store.close()
    assert os.path.exists(half)
