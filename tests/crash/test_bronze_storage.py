"""Acknowledged is durable: Bronze is killed at random moments, and every acknowledged delivery must be there, once.

**What stands in for the power cut.** SIGKILL ends a process but keeps the page cache, so on its own it would prove
nothing about syncing: a log that never syncs passes. Hence the disk is modelled one layer up. Bronze is handed a
``VolatileDisk`` (tests/fakes/disk.py): ``write`` keeps the bytes in the process, and only ``sync`` brings them to the
file, in sectors of 512 bytes in random order, followed by the real fdatasync. The kill takes the process with what it
held: everything written and not synced is gone, and a kill in the middle of a sync leaves any subset of its sectors,
which is the worst that a real disk may do. Recovery, rotation, compaction and reading are the real ones on real files.

**The control.** The same harness with ``sync`` stubbed out must report loss, else it could not see any. It has nothing
to do with luck: without a sync no byte reaches the file.

**What it does not show**: that fdatasync itself keeps its promise, and that a crash of the machine keeps the order of
renames and directory entries; there the code relies on fsync of files and directories as POSIX describes it.
"""

import json
import os
import random
import signal
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest

from appliance.domain.ids import PipelineId
from appliance.storage.bronze import FileBronzeLog

REPOSITORY = Path(__file__).parents[2]
Acknowledged = list[tuple[PipelineId, int, int, int]]  # pipeline, first seq, first number, how many


class Killed:
    """Runs the writer again and again, kills it each time, and keeps what it acknowledged."""

    def __init__(self, root: Path, mode: str, seed: int) -> None:
        self._root, self._mode = root, mode
        self._random = random.Random(seed)
        self.acknowledged: Acknowledged = []
        self.begun = 0

    def round(self) -> None:
        """Start a writer, let it acknowledge something, and kill it at a moment nobody chose."""
        command = [sys.executable, "-m", "tests.crash.bronze_writer", str(self._root), self._mode]
        numbers = [str(self.begun), str(self._random.getrandbits(30))]
        process = subprocess.Popen([*command, *numbers], stdout=subprocess.PIPE, cwd=REPOSITORY)
        assert process.stdout is not None
        self.begun += 10_000_000
        with process.stdout as output:
            first = output.readline()
            threading.Timer(self._random.uniform(0, 0.12), os.kill, (process.pid, signal.SIGKILL)).start()
            self.acknowledged += [parsed(line) for line in [first, *output] if line.endswith(b"\n")]
        assert process.wait(10) == -signal.SIGKILL


def parsed(line: bytes) -> tuple[PipelineId, int, int, int]:
    pipeline_id, *numbers = line.decode().split()
    first_seq, number, count = map(int, numbers)
    return PipelineId(pipeline_id), first_seq, number, count


def stored(log: FileBronzeLog, pipeline_id: PipelineId) -> dict[int, int]:
    """Return number by sequence number of every event that can be read."""
    found: dict[int, int] = {}
    after = 0
    while frames := log.read(pipeline_id, after, 10_000, 1 << 22):
        for frame in (frame for frame in frames if not frame.damaged):  # what cannot be read is lost, and counted so
            lines = enumerate(frame.lines.split(b"\n"), frame.first_seq)
            found |= {seq: json.loads(line)["number"] for seq, line in lines}
        after = frames[-1].last_seq
    return found


def lost(log: FileBronzeLog, acknowledged: Acknowledged) -> list[tuple[PipelineId, int, int]]:
    """Return the events that are not where an acknowledgement said they were: pipeline, seq, number."""
    found = {pipeline_id: stored(log, pipeline_id) for pipeline_id in log.pipelines()}
    return [
        (pipeline_id, first_seq + at, number + at)
        for pipeline_id, first_seq, number, count in acknowledged
        for at in range(count)
        if found[pipeline_id].get(first_seq + at) != number + at
    ]


def unsound(log: FileBronzeLog) -> list[str]:
    """Return what else is wrong: gaps, numbers stored twice, findings of ``verify``."""
    wrong = []
    for pipeline_id in log.pipelines():
        found = stored(log, pipeline_id)
        wrong += [finding.message for finding in log.verify(pipeline_id)]
        wrong += [f"{number} is stored twice" for number, times in Counter(found.values()).items() if times > 1]
        if list(found) != list(range(1, log.last_seq(pipeline_id) + 1)):
            wrong.append(f"the sequence of {pipeline_id} has gaps")
    return wrong


def kill(root: Path, mode: str, rounds: int, seed: int) -> Killed:
    killed = Killed(root, mode, seed)
    for _ in range(rounds):
        killed.round()
    return killed


async def judged(root: Path, acknowledged: Acknowledged) -> tuple[list[tuple[PipelineId, int, int]], list[str]]:
    log = FileBronzeLog(root)
    log.open()
    answer = lost(log, acknowledged), unsound(log)
    await log.close()
    return answer


async def test_every_acknowledged_event_survives_being_killed(tmp_path: Path) -> None:
    killed = kill(tmp_path, "sync", rounds=30, seed=20261122)
    assert len(killed.acknowledged) > 300
    assert await judged(tmp_path, killed.acknowledged) == ([], [])


@pytest.mark.slow
async def test_every_acknowledged_event_survives_being_killed_300_times(tmp_path: Path) -> None:
    killed = kill(tmp_path, "sync", rounds=300, seed=4)
    assert await judged(tmp_path, killed.acknowledged) == ([], [])


async def test_the_control_without_sync_detects_loss(tmp_path: Path) -> None:
    killed = kill(tmp_path, "stubbed", rounds=2, seed=1)
    missing, _ = await judged(tmp_path, killed.acknowledged)
    assert len(missing) == sum(count for *_, count in killed.acknowledged) > 0
