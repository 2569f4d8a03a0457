"""Do one piece of archiving to copies of a log, and die before each call that changes something; tell what is wrong.

``archive_steps FOLDER OPERATION`` prints one JSON object: how many calls there are, and for each death after which the
log or the archive was not as it should be, what. A death is a SIGKILL in a forked child, before the call is made.
"""

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from appliance.domain.ids import PipelineId
from appliance.storage.archive.folder import FolderArchive
from appliance.storage.bronze.archive.claim import Identity
from appliance.storage.bronze.archive.log_archive import Archiving, LogArchive
from appliance.storage.bronze.pipeline_log import GRAVE
from appliance.storage.bronze.verify import Verification
from tests.fakes.archived import SECRET, WHO, Archived, everything
from tests.fakes.segments import NOON, told

CALLS = ("write", "pwrite", "pwritev", "fsync", "fdatasync", "rename", "unlink", "link", "ftruncate", "mkdir")
OPERATIONS = ("archive", "evict", "fetch", "erase", "expire", "delete", "restore", "careless evict")
NEW = Identity("here", "token-of-the-new-machine")
_REST = [5, 6, 7, 8, 9, 10]


def opened(folder: Path, operation: str) -> Archived:
    everything_goes = operation in ("evict", "fetch", "careless evict")
    return Archived(folder, who=WHO, local_cache=0 if everything_goes else None)


def prepare(folder: Path, operation: str) -> None:
    """Make what the operation begins with: ten events in five segments, archived unless that is the operation."""
    one = opened(folder, "prepare")
    one.fill()
    if operation not in ("archive", "careless evict"):
        assert one.archive() is None
    if operation == "fetch":
        one.office._cache.limit = 0
        assert one.archive() is None
        assert one.here() == []
    one.close()
    if operation == "restore":
        shutil.rmtree(one.root)


def perform(one: Archived, operation: str) -> None:
    match operation:
        case "archive" | "evict":
            assert one.archive() is None
        case "fetch":
            told(one.keeper.reader)
        case "erase":
            one.keeper.erase([1, 2, 9], "asked for", "ada")
        case "expire":
            one.hand.move(hours=9)
            one.keeper.expire(NOON + timedelta(hours=2), None, 10)
            assert one.archive() is None
        case "delete":
            one.office.delete("pl")
            one.log.delete()
            one.office.detach(one.log)
            assert one.archive() is None
        case "careless evict":  # for the control: gone from here, and stored there afterwards
            for path in list(one.log.directory.glob("*.jsonl.zst")):
                content = path.read_bytes()
                path.unlink()
                one.gate.put(f"here/pl/{path.name}", content)


def restore(folder: Path) -> None:
    terms = Archiving(store=FolderArchive(folder / "archive"), who=NEW, local_cache=500)
    if not (folder / "bronze" / "pl").exists():
        for _ in LogArchive(folder / "bronze", terms).restoration("pl").steps():
            continue


def dying(fatal: int, work: Callable[[], object]) -> int:
    """Run ``work`` in a child that is killed before the call number ``fatal``; return how many it made if it lived."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        count = _mortal(fatal)
        work()
        os.write(write, str(count()).encode())
        os.kill(os.getpid(), signal.SIGKILL)
    os.close(write)
    os.waitpid(child, 0)
    said = os.read(read, 32)
    os.close(read)
    return int(said or 0)


def _mortal(fatal: int) -> Callable[[], int]:
    made = 0

    def guarded(call: Any) -> Any:
        def guard(*args: Any, **kwargs: Any) -> Any:
            nonlocal made
            made += 1
            if made == fatal:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*args, **kwargs)

        return guard

    for name in CALLS:
        setattr(os, name, guarded(getattr(os, name)))
    return lambda: made


def begin(folder: Path, operation: str) -> Callable[[], object]:
    """Open what there is, before anything may die; return what is then to be done."""
    if operation == "restore":
        return lambda: restore(folder)
    one = opened(folder, operation)
    return lambda: perform(one, operation)


def wrong(folder: Path, operation: str) -> list[str]:
    """Do the operation again where it was cut short, and return what is not as it should be before and after."""
    if operation == "restore":
        restore(folder)
        return _troubles(Archived(folder, who=NEW, local_cache=500), list(range(1, 11)), [])
    if operation == "delete":
        return _deleted(folder)
    one = opened(folder, operation)
    before = [seq for seq, line in told(one.keeper.reader) if line is None]
    allowed = {"erase": [1, 2, 9]}.get(operation, [])
    found = [f"event {seq} is lost" for seq in before if seq not in allowed]
    if operation != "careless evict":
        perform(one, operation)
    expected = _REST if operation == "expire" else list(range(1, 11))
    found += _troubles(one, expected, allowed)
    if operation == "erase" and everything(one.objects).count(SECRET) > 5:  # of events 5 to 8 and 10
        found.append("the archive has what was erased")
    return found


def _deleted(folder: Path) -> list[str]:
    for grave in (folder / "bronze").glob(f"{GRAVE}*"):
        shutil.rmtree(grave)  # as the log does when it is opened
    if (folder / "bronze" / "pl").exists():
        one = opened(folder, "delete")
        if len(told(one.keeper.reader)) != 10 or one.archive() is not None or len(one.there()) != 6:
            return ["it is not deleted here, and not whole there"]
        perform(one, "delete")
    office = LogArchive(folder / "bronze", Archiving(store=FolderArchive(folder / "archive"), who=WHO))
    office.rounds.make()
    return ["the archive has it still"] if SECRET in everything(folder / "archive") else []


def _troubles(one: Archived, expected: list[int], withdrawn: list[int]) -> list[str]:
    lines = told(one.keeper.reader)
    found = [] if [seq for seq, _ in lines] == expected else [f"answers {[seq for seq, _ in lines]}"]
    if [seq for seq, line in lines if line is None] != withdrawn:
        found.append(f"without {[seq for seq, line in lines if line is None]}")
    findings = Verification(PipelineId("pl"), one.log, one.keeper.corrections).findings()
    found += [finding.message for finding in findings]
    left = [path.name for path in one.log.directory.iterdir() if "tmp" in path.name or path.suffix == ".new"]
    return found + left


def main() -> None:
    folder, operation = Path(sys.argv[1]), sys.argv[2]
    prepare(folder / "before", operation)
    found: dict[str, list[str]] = {}
    calls = fatal = 0
    while not calls:
        fatal += 1
        work = folder / "work"
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(folder / "before", work)
        calls = dying(fatal, begin(work, operation))
        if troubles := wrong(work, operation):
            found[f"before call {fatal}"] = troubles
    print(json.dumps({"calls": calls, "wrong": found}))


if __name__ == "__main__":
    main()
