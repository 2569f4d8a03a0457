"""A file that was not closed, is damaged, or lies on a full disk: what was committed is there, or is refined again."""

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pytest

from appliance.components.silver import Progress, RecordQuery
from appliance.domain.ledger import Outcome
from appliance.errors import Conflict, FatalError, TransientError
from appliance.storage.silver_duckdb.opening import IncidentKind
from appliance.storage.silver_duckdb.probe import kills_its_reader
from appliance.storage.silver_duckdb.store import DuckDbSilver
from tests.silver_batches import batch, key, row, table

PLAIN = table()
ROWS = [row(device=f"d{n}", n=n) for n in range(200)]

_KILLED = """
import os, signal, sys
from pathlib import Path
from appliance.storage.silver_duckdb.store import DuckDbSilver
from tests.silver_batches import batch, key, row, table
of = table()
store = DuckDbSilver(Path(sys.argv[1]))
store.commit(batch(of, 1, [row(n=1)] * 200))
store._writer.run("making a checkpoint", lambda cursor: cursor.execute("CHECKPOINT"))
store.commit(batch(of, 201, [row(n=2)] * 100))
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "org_1.duckdb"


@pytest.fixture
def killed(path: Path) -> Path:
    """A file whose owner was killed: 200 events in the database, 100 more in its log alone."""
    done = subprocess.run([sys.executable, "-c", _KILLED, str(path)], check=False, cwd=Path.cwd())
    assert done.returncode == -signal.SIGKILL
    assert path.with_name("org_1.duckdb.wal").stat().st_size > 0
    return path


def kinds(store: DuckDbSilver) -> list[IncidentKind]:
    return [incident.kind for incident in store.incidents]


def damage(file: Path, place: int) -> None:
    with file.open("r+b") as handle:
        handle.seek(place)
        handle.write(bytes(255 - byte for byte in file.read_bytes()[place : place + 64]))


def test_after_a_kill_the_log_is_replayed_and_copies_are_kept_until_a_clean_end(killed: Path) -> None:
    store = DuckDbSilver(killed)
    assert store.progress(PLAIN.pipeline_id) == Progress(300, Outcome(stored=300))
    assert kinds(store) == [IncidentKind.UNCLEAN_END]
    assert {name.rsplit("Z", 1)[1] for name in store.incidents[0].files} == {"", ".wal"}
    assert all((killed.parent / name).exists() for name in store.incidents[0].files)
    store.close()
    assert [file.name for file in killed.parent.iterdir()] == ["org_1.duckdb"]


def test_a_damaged_log_is_set_aside_and_the_database_opens_at_its_checkpoint(killed: Path) -> None:
    log = killed.with_name("org_1.duckdb.wal")
    damage(log, 60)
    store = DuckDbSilver(killed)
    assert kinds(store) == [IncidentKind.UNCLEAN_END, IncidentKind.LOG_SET_ASIDE]
    assert store.progress(PLAIN.pipeline_id) == Progress(200, Outcome(stored=200))
    assert (killed.parent / store.incidents[1].files[0]).exists()
    with pytest.raises(Conflict, match="201 is next"):
        store.commit(batch(PLAIN, 301, ROWS))
    assert store.commit(batch(PLAIN, 201, ROWS)).seq == 400
    store.close()


@pytest.mark.parametrize(
    "ruin",
    [lambda file: damage(file, 4096 + 8), lambda file: file.write_bytes(b""), lambda file: os.truncate(file, 5000)],
    ids=["header", "empty", "cut"],
)
def test_a_damaged_database_is_set_aside_and_a_new_one_begins(path: Path, ruin: Callable[[Path], None]) -> None:
    store = DuckDbSilver(path)
    store.commit(batch(PLAIN, 1, ROWS))
    store.close()
    damage(path, 8)
    ruin(path)
    store = DuckDbSilver(path)
    assert kinds(store) == [IncidentKind.SET_ASIDE]
    assert (path.parent / store.incidents[0].files[0]).name.startswith("org_1.duckdb.damaged-")
    assert store.progress(PLAIN.pipeline_id) == Progress()
    assert store.commit(batch(PLAIN, 1, ROWS)).seq == 200
    store.close()


def test_damage_found_while_reading_stops_and_says_what_to_do(path: Path) -> None:
    store = DuckDbSilver(path)
    store.commit(batch(PLAIN, 1, [row(device=key(str(n)).hex(), n=n) for n in range(20_000)]))
    store.close()
    with duckdb.connect(str(path)) as connection:
        where = "FROM pragma_storage_info('rows_pl_test') WHERE column_name = 'device' AND block_id >= 0"
        block = connection.execute(f"SELECT min(block_id) {where}").fetchall()[0][0]
    damage(path, 3 * 4096 + block * (256 << 10) + 5000)  # three headers, then blocks of 256 KiB
    store = DuckDbSilver(path)
    assert kinds(store) == []
    with pytest.raises(FatalError, match="damaged") as caught:
        store.records(PLAIN, RecordQuery(limit=20_000))
    assert "rebuilt from Bronze" in caught.value.hint
    store.close()


def test_a_file_of_a_newer_version_is_left_alone(path: Path) -> None:
    store = DuckDbSilver(path)
    store.close()
    with duckdb.connect(str(path)) as connection:
        connection.execute("UPDATE _format SET format = 3")
    with pytest.raises(FatalError, match="format 3") as caught:
        DuckDbSilver(path)
    assert "newer" in caught.value.hint
    with duckdb.connect(str(path)) as connection:
        assert connection.execute("SELECT format FROM _format").fetchall() == [(3,)]


def test_a_second_owner_is_refused_and_nothing_is_set_aside(path: Path) -> None:
    store = DuckDbSilver(path)
    code = "import sys; from appliance.storage.silver_duckdb.store import *; DuckDbSilver(Path(sys.argv[1]))"
    other = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False)
    assert "another process has it open" in other.stderr
    assert "TransientError" in other.stderr
    store.commit(batch(PLAIN, 1, ROWS))
    assert not list(path.parent.glob("*damaged*"))
    store.close()


def test_a_folder_that_cannot_be_written_is_told(path: Path) -> None:
    with pytest.raises(TransientError, match="Opening"):
        DuckDbSilver(path.parent / "nowhere" / "org_1.duckdb")


@contextmanager
def no_more_than(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond ``size`` bytes: to DuckDB a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_loses_nothing_and_is_got_over(path: Path) -> None:
    store = DuckDbSilver(path)
    store.commit(batch(PLAIN, 1, ROWS))
    with no_more_than(path.with_name("org_1.duckdb.wal").stat().st_size + 100):
        with pytest.raises(TransientError, match="disk is full"):
            store.commit(batch(PLAIN, 201, ROWS))
        assert store.progress(PLAIN.pipeline_id) == Progress(200, Outcome(stored=200))
        assert store.records(PLAIN, RecordQuery(limit=1000)).num_rows == 200
    assert store.commit(batch(PLAIN, 201, ROWS)) == Progress(400, Outcome(stored=400))
    store.close()


def test_a_dead_handle_is_replaced_and_nothing_committed_is_lost(path: Path) -> None:
    store = DuckDbSilver(path)
    store.commit(batch(PLAIN, 1, ROWS))
    with no_more_than(65_536), pytest.raises(TransientError, match="reopened"):  # a checkpoint on a full disk
        store._writer.run("making a checkpoint", lambda cursor: cursor.execute("CHECKPOINT"))
    assert IncidentKind.REOPENED in kinds(store)
    assert store.progress(PLAIN.pipeline_id) == Progress(200, Outcome(stored=200))
    assert store.commit(batch(PLAIN, 201, ROWS)).seq == 400
    assert store.recount(PLAIN) == Outcome(stored=400)
    store.close()


def test_a_reader_that_finds_the_handle_dead_replaces_it(path: Path) -> None:
    store = DuckDbSilver(path)
    store.commit(batch(PLAIN, 1, ROWS))
    with store._database.writing() as (cursor, _), no_more_than(65_536), pytest.raises(duckdb.FatalException):
        cursor.execute("CHECKPOINT")
    with pytest.raises(TransientError, match="reopened"):
        store.records(PLAIN, RecordQuery())
    assert store.records(PLAIN, RecordQuery(limit=1000)).num_rows == 200
    assert store.commit(batch(PLAIN, 201, ROWS)).seq == 400
    store.close()


def test_the_probe_tells_how_its_child_died(path: Path) -> None:
    DuckDbSilver(path).close()
    assert kills_its_reader(path, 64 << 20) is None
    path.write_bytes(b"no database")
    assert kills_its_reader(path, 64 << 20) is None  # refused, which is not deadly
