"""Backups while receiving: how fast against copying the same files, what senders notice, and what an increment takes.

Some hundred MB of events that hardly compress, and a million rows, to a folder on the same disk. Copying and backing up
alternate under the same load: the ratio of a round counts, not the pace of the disk in that minute.
"""

import json
import os
import shutil
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from benchmarks.events import MAPPING, make
from benchmarks.paced import Sender
from benchmarks.report import Figure, median, spread
from benchmarks.running import appliance
from tests.running import RunningAppliance

FILLED: Final = int(float(os.environ.get("BENCH_BACKUP_GB", "0.2")) * 10**9)  # bytes of events
PAD: Final = 6_000  # bytes of each event that no compression makes smaller than three quarters
A_REQUEST: Final = 200
ROWS: Final = 1_000_000
ROUNDS: Final = 3
LISTEN_SECS: Final = 8.0
EVERY_SECS: Final = 0.02
MB: Final = 1_000_000


class Listener(threading.Thread):
    """Posts small deliveries at a pace, and keeps how long each took."""

    def __init__(self, one: RunningAppliance, pipeline_id: str, secret: str) -> None:
        super().__init__(daemon=True)
        self._sender = Sender(one.url, pipeline_id, secret)
        self.body = b"[" + b",".join(make(20)) + b"]"
        self.took: list[float] = []
        self.over = threading.Event()

    def run(self) -> None:
        number, began = 0, time.monotonic()
        while not self.over.wait(max(0.0, began + number * EVERY_SECS - time.monotonic())):
            at = time.perf_counter()
            self._sender.send(f"listen-{began}-{number}", self.body)
            self.took.append((time.perf_counter() - at) * 1000)
            number += 1

    def during(self, work: Callable[[], Any]) -> tuple[float, list[float]]:
        """Return how long ``work`` took, and what the deliveries that were sent meanwhile took."""
        seen, at = len(self.took), time.perf_counter()
        work()
        return time.perf_counter() - at, self.took[seen:]


def figures() -> Iterator[Figure]:
    with TemporaryDirectory(prefix="dash-bench-") as folder, _appliance(Path(folder)) as first:
        place = Path(folder)
        pads = {"fields": [{"name": "n", "path": "$.n", "type": "integer"}], "unmapped": "drop"}
        pipeline_id, secret = first.create_pipeline("pads", pads)
        _fill(first, pipeline_id, secret, FILLED // PAD)
        small, small_secret = first.create_pipeline("small", MAPPING)
        _fill_rows(first, small, small_secret)
        listener = Listener(first, small, small_secret)
        listener.start()
        try:
            yield from _told([_round(first, place, listener) for _ in range(ROUNDS)])
            yield _increment(first, pipeline_id, secret)
        finally:
            listener.over.set()
            listener.join()


@contextmanager
def _appliance(place: Path) -> Iterator[RunningAppliance]:
    """An appliance that is backed up when it is asked for, and verifies nothing afterwards."""
    with appliance(environment={"DASH_BACKUP_URL": f"file://{place}"}) as one:
        with one.client() as client:
            plan = {"full": None, "incremental": None, "verify": False}
            client.put("/api/v1/backups/schedule", json=plan).raise_for_status()
        yield one


def _round(one: RunningAppliance, place: Path, listener: Listener) -> dict[str, Any]:
    """Listen in quiet, copy, and back up; to an empty place each time."""
    for path in place.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    _, quiet = listener.during(lambda: time.sleep(LISTEN_SECS))
    files = _files(one)
    copied = sum(path.stat().st_size for path in files)
    copy_secs, copying = listener.during(lambda: _copied(files, one.folder / "copy"))
    shutil.rmtree(one.folder / "copy")
    _, backing = listener.during(lambda: _backed_up(one, "full"))
    with one.client() as client:
        found = client.get("/api/v1/backups/latest").json()
    return {
        "quiet": quiet, "copying": copying, "backing": backing, "copy": copied / copy_secs / MB,
        "backup": found["bytes"] / found["took_secs"] / MB, "bytes": found["bytes"],
    }  # fmt: skip


def _files(one: RunningAppliance) -> list[Path]:
    """Return what a backup holds, when closed segments are compressed: they change their names then."""
    while True:
        found = {path for path in one.data_dir.rglob("*") if path.suffix in (".zst", ".jsonl", ".duckdb")}
        if sum(path.suffix == ".jsonl" and path.stem.isdigit() for path in found) <= 2:  # the open ones
            return sorted(found)
        time.sleep(0.5)


def _increment(one: RunningAppliance, pipeline_id: str, secret: str) -> Figure:
    """100 MB of events since the last one: an hour of some hundred ordinary events a second."""
    _fill(one, pipeline_id, secret, 100 * MB // PAD, start=1_000_000)
    _backed_up(one, "incremental")
    with one.client() as client:
        found = client.get("/api/v1/backups/latest").json()
    remark = f"{found['new_bytes'] / MB:,.0f} MB new of {found['bytes'] / MB:,.0f} MB, while receiving"
    return Figure("an incremental backup", found["took_secs"], "s", 5, at_least=False, remark=remark)


def _told(rounds: list[dict[str, Any]]) -> Iterator[Figure]:
    ratios = [one["backup"] / one["copy"] for one in rounds]
    pace = f"{median([one['backup'] for one in rounds]):,.0f} MB/s of {median([one['copy'] for one in rounds]):,.0f}"
    size = rounds[-1]["bytes"] / MB
    remark = f"{pace}; {size:,.0f} MB; ratios {spread(ratios)}"
    yield Figure("a full backup to a folder, against copying", median(ratios), "×", 0.5, remark=remark)
    p99 = {name: [_p99(one[name]) for one in rounds] for name in ("quiet", "copying", "backing")}
    slower = [mine / plain for mine, plain in zip(p99["backing"], p99["quiet"], strict=True)]
    told = f"p99 quiet {median(p99['quiet']):.0f} ms, while copying {median(p99['copying']):.0f} ms, while backing up "
    told += f"{median(p99['backing']):.0f} ms; ratios {spread(slower)}"
    yield Figure(
        "receiving p99 during a full backup, against quiet", median(slower), "×", 2, at_least=False, remark=told
    )


def _fill(one: RunningAppliance, pipeline_id: str, secret: str, events: int, start: int = 0) -> None:
    sender = Sender(one.url, pipeline_id, secret)
    for first in range(start, start + events, A_REQUEST):
        batch = [{"n": n, "pad": b64encode(os.urandom(PAD * 3 // 4)).decode()} for n in range(first, first + A_REQUEST)]
        sender.send(f"fill-{start}-{first}", json.dumps(batch).encode())
    one.wait_refined(pipeline_id, 600)


def _fill_rows(one: RunningAppliance, pipeline_id: str, secret: str) -> None:
    sender, body = Sender(one.url, pipeline_id, secret), b"[" + b",".join(make(5_000)) + b"]"
    for number in range(ROWS // 5_000):
        sender.send(f"rows-{number}", body)
    one.wait_refined(pipeline_id, 600)


def _backed_up(one: RunningAppliance, kind: str) -> None:
    with one.client() as client:
        (job,) = client.post("/api/v1/backups", json={"kind": kind}).raise_for_status().json()["items"]
        while job["state"] in ("ready", "running"):
            time.sleep(0.1)
            job = client.get(f"/api/v1/jobs/{job['id']}").json()
        if job["state"] != "done":
            raise RuntimeError(job["error"])


def _copied(files: list[Path], target: Path) -> None:
    target.mkdir()
    for number, file in enumerate(files):
        with file.open("rb") as source, (target / str(number)).open("wb") as copy:
            shutil.copyfileobj(source, copy, 1 << 20)
            copy.flush()
            os.fsync(copy.fileno())


def _p99(values: list[float]) -> float:
    return sorted(values)[max(0, round(len(values) * 0.99) - 1)]
