"""Expiry, erasure, correction and compaction are ended, or refused by the disk, at every call of the system they make.

strace counts the calls that change something on disk, and in one run after the other kills the process at the first,
the second, …, or lets that call fail. Then the log is opened as after any crash, must be whole, and the same operation
done again must end where it ends undisturbed: nothing lost that was not to go, nothing left of what was.

**The control**: the same harness finds fault with an expiry that removes files before it says so in the manifest, and
with a correction that is acknowledged whatever the disk said.

**What it does not show**: a kill leaves the page cache, so a missing fsync goes unseen here (see test_bronze_storage).
"""

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import zstandard

from appliance.domain.ids import PipelineId
from appliance.storage.bronze.verify import Verification
from tests.crash.bronze_keeper import OPERATIONS, SECRET, fill, keeper_of, perform
from tests.fakes.segments import open_log, told

FIRST, *OTHERS = OPERATIONS
ONE_NOW = (FIRST, *(pytest.param(one, marks=pytest.mark.slow) for one in OTHERS))

REPOSITORY = Path(__file__).parents[2]
CALLS = "/^(pwrite|fsync|fdatasync|rename|unlink|ftruncate)"
DERIVED = (".idx", ".rest")  # made again when they are needed
Told = list[tuple[int, bytes | None]]


def run(folder: Path, operation: str, *inject: str) -> tuple[list[str], list[str]]:
    """Perform ``operation`` below strace; return the calls it made, by name, and what it said.

    ``inject``: which call fails or kills, ``fsync:error=EIO:when=3``: the third fsync.
    """
    trace = folder.with_suffix(".trace")
    options = ["-qq", "-o", str(trace), "-e", f"trace={CALLS}", *(f"-einject={one}" for one in inject)]
    command = ["strace", *options, sys.executable, "-B", "-m", "tests.crash.bronze_keeper", str(folder), operation]
    answer = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    calls = re.findall(r"^(\w+)\(", trace.read_text(), re.MULTILINE)
    return calls, answer.stdout.split("\n")


def everything(folder: Path) -> bytes:
    """Return all bytes below ``folder``, compressed ones unpacked too."""
    found = b""
    for path in sorted(folder.iterdir()):
        content = path.read_bytes()
        found += content
        if content.startswith(b"\x28\xb5\x2f\xfd"):
            with zstandard.ZstdDecompressor().stream_reader(content, read_across_frames=True) as unpacked:
                found += unpacked.read()
    return found


def state(folder: Path) -> tuple[Told, list[str], list[str]]:
    """Return what the log answers, what verify finds, and the files."""
    log = open_log(folder, segment_bytes=1)
    keeper = keeper_of(log)
    answered = told(keeper.reader)
    findings = [one.message for one in Verification(PipelineId("pl"), log, keeper.corrections).findings()]
    files = sorted(path.name for path in folder.iterdir() if path.suffix not in DERIVED)
    log.close()
    return answered, findings, files


class Case:
    """One operation, the log before it and after it."""

    def __init__(self, tmp_path: Path, operation: str) -> None:
        self.operation = operation
        self._before = tmp_path / "before"
        fill(self._before)
        self._work = tmp_path / "work"
        self.begun = state(self.fresh())[0]
        undisturbed = self.fresh()
        self.calls, said = run(undisturbed, operation)
        assert said == ["begin", "done", ""]
        self.ended = state(undisturbed)

    def fresh(self) -> Path:
        shutil.rmtree(self._work, ignore_errors=True)
        shutil.copytree(self._before, self._work)
        return self._work

    def disturbed(self, how: str, calls: str = "") -> dict[str, list[str]]:
        """Disturb each call whose name begins with ``calls``, in a run of its own; return what is wrong after it."""
        seen = Counter[str]()
        found: dict[str, list[str]] = {}
        for name in [name for name in self.calls if name.startswith(calls)]:
            seen[name] += 1
            inject = f"{name}:{how}:when={seen[name]}"
            if troubles := self.troubles(inject):
                found[inject] = troubles
        return found

    def troubles(self, inject: str) -> list[str]:
        """Disturb the operation once, open the log, do it again, and return what is wrong."""
        folder = self.fresh()
        _, said = run(folder, self.operation, inject)
        answered, findings, _ = state(folder)
        found = [f"verify: {told}" for told in findings]
        if answered not in (self.begun, self.ended[0]) and not self._between(answered):
            found.append(f"answered {answered}")
        if "done" in said and answered != self.ended[0]:
            found.append("it said done, and is not")
        log = open_log(folder, segment_bytes=1)
        perform(log, self.operation)
        log.close()
        if (again := state(folder)) != self.ended:
            found.append(f"done again, it ends as {again}")
        return found

    def _between(self, answered: Told) -> bool:
        """Return whether each event is answered as before or as after: several segments cannot change in one step."""
        after = dict(self.ended[0])
        return all(line in (dict(self.begun)[seq], after.get(seq)) for seq, line in answered) and len(answered) == 10


@pytest.mark.parametrize("operation", OPERATIONS)
def test_killed_at_any_step(tmp_path: Path, operation: str) -> None:
    assert Case(tmp_path, operation).disturbed("signal=KILL") == {}


@pytest.mark.parametrize("operation", ONE_NOW)
def test_refused_by_the_disk_at_any_step(tmp_path: Path, operation: str) -> None:
    assert Case(tmp_path, operation).disturbed("error=EIO") == {}


@pytest.mark.parametrize("operation", ONE_NOW)
def test_a_full_disk_at_any_write(tmp_path: Path, operation: str) -> None:
    assert Case(tmp_path, operation).disturbed("error=ENOSPC", "pwrite") == {}


@pytest.mark.parametrize(("operation", "how"), [("careless expire", "signal=KILL"), ("careless correct", "error=EIO")])
def test_the_control_finds_fault_with_carelessness(tmp_path: Path, operation: str, how: str) -> None:
    assert Case(tmp_path, operation).disturbed(how) != {}


def test_nothing_of_an_erased_payload_is_left(tmp_path: Path) -> None:
    folder = tmp_path / "pl"
    fill(folder)
    assert everything(folder).count(SECRET) > 8
    for name in ("00000000000000000009.jsonl.cut-188", "00000000000000000001.jsonl.damaged"):
        (folder / name).write_bytes(SECRET)
    log = open_log(folder, segment_bytes=1)
    keeper = keeper_of(log)
    assert keeper.erase([1, 2, 5, 6, 7, 8, 9, 10], "asked for", "ada") == 8
    log.close()
    assert SECRET not in everything(folder)
    assert everything(folder).count(b"nobody") == 2  # events 3 and 4
    assert os.listdir(folder) == [name for name in os.listdir(folder) if not re.search("new|tmp|cut|damaged", name)]
