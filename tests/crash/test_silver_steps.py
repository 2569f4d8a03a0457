"""A row store killed before each statement of a step: opened again, the step is done wholly or not at all."""

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from appliance.components.silver import DeadLetterQuery
from appliance.storage.silver_duckdb.store import DuckDbSilver
from tests.crash.silver_steps import LIVE, STEPS, TWO_STEPS, WIDER, prepare
from tests.silver_batches import batch, row, rows_in

ID = LIVE.pipeline_id


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("silver") / "org_1.duckdb"
    prepare(path)
    return path


@pytest.mark.parametrize("step", STEPS)
def test_a_step_is_done_wholly_or_not_at_all(prepared: Path, tmp_path: Path, step: str) -> None:
    before = state(copied(prepared, tmp_path / "before"))
    done = copied(prepared, tmp_path / "done")
    statements = int(killed(done, step, 0))
    after = state(done)
    assert before != after
    seen = []
    for number in chosen(statements):
        path = copied(prepared, tmp_path / str(number))
        assert killed(path, step, number) == ""
        seen.append(state(path))
        assert seen[-1] in (before, after), f"killed before statement {number} of {statements}"
    assert before in seen


def test_control_two_steps_are_told_from_one(prepared: Path, tmp_path: Path) -> None:
    before = state(copied(prepared, tmp_path / "before"))
    done = copied(prepared, tmp_path / "done")
    statements = int(killed(done, TWO_STEPS, 0))
    after = state(done)
    seen = []
    for number in range(1, statements + 1):
        path = copied(prepared, tmp_path / str(number))
        killed(path, TWO_STEPS, number)
        seen.append(state(path))
    assert any(found not in (before, after) for found in seen)


def chosen(statements: int) -> list[int]:
    """Return at most eight of them, the first and the last ones among them, which begin and commit."""
    every = list(range(1, statements + 1))
    return every if statements <= 8 else sorted({1, *every[2 : -4 : max(1, (statements - 6) // 3)], *every[-4:]})


def copied(path: Path, folder: Path) -> Path:
    folder.mkdir()
    return Path(shutil.copy(path, folder))


def killed(path: Path, step: str, number: int) -> str:
    """Let a process do the step and die before statement ``number``; return what it said."""
    command = [sys.executable, "-m", "tests.crash.silver_steps", str(path), step, str(number)]
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True)
    assert done.returncode == -signal.SIGKILL
    return done.stdout


def state(path: Path) -> list[object]:
    """Open the store, let it prove its ledger, write on; return what it holds."""
    store = DuckDbSilver(path)
    found: list[object] = []
    for one in store.generations.all(ID):
        of = type(WIDER)(ID, WIDER.columns, generation=one.number)
        spans = store.generations.spans(ID, one.number)
        assert store.recount(of) == one.progress.outcome
        assert sum(span.last_seq - span.first_seq + 1 for span in spans) == one.progress.seq
        assert sum(span.stored for span in spans) == one.progress.outcome.stored
        found.append((one.number, one.live, one.first_seq, one.progress, rows_in(store, of, "_seq", "device", "n")))
    found.append(store.dead_letters(ID, DeadLetterQuery()).column("seq").to_pylist())
    columns = store._writer.columns(ID)
    found.append({name: kinds for name, kinds in (columns or {}).items() if name == "n"})
    progress = store.progress(ID)
    assert store.commit(batch(WIDER, progress.seq + 1, [row(n=1.5)])).seq == progress.seq + 1
    store.close()
    return found
