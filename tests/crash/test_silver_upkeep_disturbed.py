"""Compaction, amending, erasing and trimming are ended, or refused by the disk, at the calls of the system they make.

strace counts the calls that change something on disk, and in one run after the other kills the process at one of them,
or lets that call fail. Then the store is opened as after any crash: rows, ledger, dead letters and what readers are
handed are those of before or of after, never of between, and the same done again ends where it ends undisturbed.

**The control**: the same harness finds fault with a compaction that removes the old file before it renames the new one.

**What it does not show**: a kill leaves the page cache, so a missing fsync goes unseen here.
"""

import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.crash.silver_keeper import EVENTS, MARK, OF, fill, opened, perform, state

REPOSITORY = Path(__file__).parents[2]
CALLS = "/^(pwrite|write|fsync|fdatasync|rename|unlink|ftruncate)"
OPERATIONS = ("compact", "amend", "erase", "trim")
ONE_NOW = (OPERATIONS[0], *(pytest.param(one, marks=pytest.mark.slow) for one in OPERATIONS[1:]))
FILE = "org_1.duckdb"


def run(folder: Path, operation: str, *inject: str) -> tuple[list[str], list[str]]:
    """Perform ``operation`` below strace; return the calls before and within it by name, and what it said."""
    trace = folder.with_suffix(".trace")
    options = ["-qq", "-o", str(trace), "-e", f"trace={CALLS}", *(f"-einject={one}" for one in inject)]
    command = ["strace", *options, sys.executable, "-B", "-m", "tests.crash.silver_keeper", str(folder), operation]
    answer = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    calls = [line.partition("(")[0] if MARK not in line else "begin" for line in trace.read_text().splitlines()]
    return calls, re.findall(r"^(begin|done|refused|alive: \d+)", answer.stdout, re.MULTILINE)


class Case:
    """One operation, the store before it and after it."""

    def __init__(self, tmp_path: Path, operation: str) -> None:
        self.operation = operation
        self._before, self._work = tmp_path / "before", tmp_path / "work"
        fill(self._before)
        self.begun = state(self.fresh())
        undisturbed = self.fresh()
        calls, said = run(undisturbed, operation)
        assert said == ["begin", "done"]
        self.ended = state(undisturbed)
        self._calls = calls

    def fresh(self) -> Path:
        shutil.rmtree(self._work, ignore_errors=True)
        shutil.copytree(self._before, self._work)
        return self._work

    def places(self, names: str, *, every: bool) -> list[str]:
        """Return which calls to disturb, as strace wants to be told: the first and the last of each name, or all."""
        begin, found = self._calls.index("begin"), []
        for name in dict.fromkeys(self._calls[begin + 1 :]):
            first = self._calls[:begin].count(name) + (2 if name == "unlink" else 1)  # the mark is one too
            places = range(first, first + self._calls[begin + 1 :].count(name))
            chosen = places if every else sorted({places[0], places[-1]})
            found += [f"{name}:{{how}}:when={place}" for place in chosen if re.match(names, name)]
        return found

    def disturbed(self, how: str, names: str = "", *, every: bool = False) -> dict[str, list[str]]:
        """Return what is wrong after each disturbance."""
        injections = [place.format(how=how) for place in self.places(names, every=every)]
        assert injections
        return {inject: troubles for inject in injections if (troubles := self.troubles(inject))}

    def troubles(self, inject: str) -> list[str]:
        folder, found = self.fresh(), []
        _, said = run(folder, self.operation, inject)
        if "refused" in said and "alive: 10" not in said:
            found.append("it was refused, and the store did not go on")
        answered = state(folder)
        if answered not in (self.begun, self.ended):
            found.append(f"neither as before nor as after: {answered}")
        if "done" in said and answered != self.ended:
            found.append("it said done, and is not")
        if leftovers := [file.name for file in folder.glob("*.compact*")]:
            found.append(f"left behind: {leftovers}")
        store = opened(folder)
        perform(store, self.operation)
        store.close()
        if (again := state(folder)) != self.ended:
            found.append(f"done again, it ends as {again}")
        return found


@pytest.mark.parametrize("operation", ONE_NOW)
def test_killed_at_any_step(tmp_path: Path, operation: str) -> None:
    assert Case(tmp_path, operation).disturbed("signal=KILL") == {}


@pytest.mark.parametrize("operation", ["amend", pytest.param("compact", marks=pytest.mark.slow)])
def test_refused_by_the_disk_at_any_step(tmp_path: Path, operation: str) -> None:
    assert Case(tmp_path, operation).disturbed("error=EIO") == {}


def test_a_full_disk_at_any_write(tmp_path: Path) -> None:
    assert Case(tmp_path, "compact").disturbed("error=ENOSPC", "p?write") == {}


@pytest.mark.slow
@pytest.mark.parametrize("how", ["signal=KILL", "error=EIO", "error=ENOSPC"])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_disturbed_at_every_call(tmp_path: Path, operation: str, how: str) -> None:
    assert Case(tmp_path, operation).disturbed(how, every=True) == {}


def test_the_control_finds_fault_with_carelessness(tmp_path: Path) -> None:
    (troubles,) = Case(tmp_path, "careless compact").disturbed("signal=KILL", "rename").values()
    assert troubles[0].startswith("neither as before nor as after")


def test_a_compacted_file_is_smaller(tmp_path: Path) -> None:
    fill(tmp_path / "org")
    before = (tmp_path / "org" / FILE).stat().st_blocks
    assert run(tmp_path / "org", "compact")[1] == ["begin", "done"]
    assert (tmp_path / "org" / FILE).stat().st_blocks < before * 0.7


WRITER = """
import random, sys
from datetime import timedelta
from pathlib import Path
from appliance.components.letters import LetterFilter
from tests.crash.silver_keeper import OF, _event, opened
from tests.silver_batches import START, amendment, batch, dead, row
store, chance = opened(Path(sys.argv[1])), random.Random(int(sys.argv[2]))
seq = store.progress(OF.pipeline_id).seq
while True:
    seq = store.commit(batch(OF, seq + 1, [_event(n) for n in range(seq + 1, seq + 301)])).seq
    chosen = store.letters.seqs(OF.pipeline_id, LetterFilter(), 0, 40)
    events = {n: row(_key=str(n % 500), n=n) if chance.random() < 0.7 else dead("range") for n in chosen}
    if events:
        store.letters.amend(amendment(OF, events))
    store.upkeep.erase(OF, [chance.randint(1, seq) for _ in range(1)])
    store.upkeep.trim(OF, START + timedelta(seconds=max(1, seq - 5000)))
    if chance.random() < 0.3:
        store.upkeep.compact()
    print(seq, flush=True)
"""


def test_after_kill_9_at_random_the_ledger_is_that_of_the_rows(tmp_path: Path) -> None:
    folder, chance, told = tmp_path / "org", random.Random(8), 0
    fill(folder)
    for number in range(3):
        told = max(told, _killed_while_writing(folder, number, chance.uniform(0.2, 1.0)))
        found = state(folder)  # counts again and compares
        assert not list(folder.glob("*.compact*"))
        store = opened(folder)
        spans = store.generations.spans(OF.pipeline_id)
        progress = store.progress(OF.pipeline_id)
        store.close()
        assert found["progress"] == progress
        assert progress.seq >= told > EVENTS
        assert [sum(getattr(span, name) for span in spans) for name in ("stored", "filtered", "duplicate", "dead")] == [
            progress.outcome.stored, progress.outcome.filtered, progress.outcome.duplicate, progress.outcome.dead,
        ]  # fmt: skip


def _killed_while_writing(folder: Path, number: int, after_secs: float) -> int:
    """Let a writer work for a while, kill it, return the last progress it had been told."""
    command = [sys.executable, "-B", "-c", WRITER, str(folder), str(number)]
    writer = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY)
    assert writer.stdout is not None
    last, end = 0, None
    for line in writer.stdout:
        last = int(line) if line.strip().isdigit() else last
        end = end or time.monotonic() + after_secs
        if time.monotonic() > end:
            break
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    writer.stdout.close()
    return last
