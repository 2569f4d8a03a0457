"""Archiving closed segments and reading them back through the archive, against copying the same files by themselves.

To a folder on the same disk, and to an object store on loopback; that is a test server in Python, so its own pace is
measured beside it: the same files by bare obstore. Events that hardly compress, so that bytes count.
"""

import asyncio
import os
import shutil
import statistics
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import obstore

from appliance.components.archive import ArchiveStore
from appliance.domain.clock import utc_now
from appliance.domain.event import Delivery, Envelope
from appliance.domain.ids import PipelineId
from appliance.storage.archive.folder import FolderArchive
from appliance.storage.archive.s3 import S3Archive
from appliance.storage.bronze import FileBronzeLog
from appliance.storage.bronze.archive.claim import Identity
from appliance.storage.bronze.archive.log_archive import Archiving, LogArchive
from appliance.storage.bronze.pipeline_log import PipelineLog
from benchmarks.report import Figure, spread
from tests.s3 import s3_server

PIPE: Final = PipelineId("pl_bench")
EVENTS: Final = 40_000
MB: Final = 1_000_000
ROUNDS: Final = 5


async def _fill(root: Path) -> None:
    """Make a log of about 60 MB in segments of 16 MiB, all compressed."""
    log = FileBronzeLog(root, segment_bytes=16 << 20)
    for _ in range(EVENTS // 1000 + 1):
        payloads = [b'"%b"' % b64encode(os.urandom(1500)) for _ in range(1000)]
        await log.append(PIPE, Delivery(Envelope(received_at=utc_now(), source="webhook"), payloads))
    while any(one.closed and one.sha256 is None for one in log.segments(PIPE)):  # noqa: ASYNC110 - tells nobody
        await asyncio.sleep(0.1)
    await log.close()


def _copied(files: list[Path], target: Path) -> None:
    target.mkdir()
    for file in files:
        with file.open("rb") as source, (target / file.name).open("wb") as copy:
            shutil.copyfileobj(source, copy, 1 << 20)
            copy.flush()
            os.fsync(copy.fileno())
    shutil.rmtree(target)


def _secs(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


class _Round:
    """One log, archived to ``store`` and read back from it."""

    def __init__(self, filled: Path, root: Path, store: ArchiveStore) -> None:
        shutil.copytree(filled, root)
        self._log = FileBronzeLog(
            root, archive=Archiving(store=store, who=Identity("bench", "bench"), local_cache=0)
        )  # fmt: skip
        self._log.open()
        assert self._log.archive is not None
        self._archive: LogArchive = self._log.archive

    def archive(self) -> None:
        self._archive.rounds.make()
        assert self._archive.rounds.trouble is None

    def read_through(self) -> None:
        log: PipelineLog
        for log, shelf, _ in self._archive.lines():
            for entry in log.manifest.entries():
                with shelf.lend(entry):
                    continue

    def close(self) -> None:
        asyncio.run(self._log.close())


def _bare(store: S3Archive, files: list[Path]) -> None:
    for file in files:
        obstore.put(store._store, f"bare/{file.name}", file)


def figures() -> Iterator[Figure]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="dash-bench-")))
        asyncio.run(_fill(folder / "filled"))
        files = sorted((folder / "filled" / PIPE).glob("*.zst"))
        size = sum(file.stat().st_size for file in files) / MB
        server = stack.enter_context(s3_server())
        bucket, target = server.archive(server.new_bucket()), folder / "archive"
        rates: dict[str, list[float]] = {}
        for turn in range(ROUNDS):
            shutil.rmtree(target, ignore_errors=True)
            target.mkdir()
            took = {"copy": _secs(lambda: _copied(files, folder / "copy")), "bare": _secs(lambda: _bare(bucket, files))}
            for name, store in (("folder", FolderArchive(target)), ("bucket", bucket)):
                one = _Round(folder / "filled", folder / f"{name}-{turn}", store)
                took[f"{name} archive"], took[f"{name} read"] = _secs(one.archive), _secs(one.read_through)
                one.close()
                shutil.rmtree(folder / f"{name}-{turn}")
            for name, secs in took.items():
                rates.setdefault(name, []).append(size / secs)
    yield from _told(rates, size)


def _told(rates: dict[str, list[float]], size: float) -> Iterator[Figure]:
    for name, yardstick, words in (
        ("folder archive", "copy", "archive to a folder, read back, against copying"),
        ("folder read", "copy", "read through from a folder, against copying"),
        ("bucket archive", "bare", "archive to S3, read back, against bare obstore"),
        ("bucket read", "bare", "read through from S3, against storing by bare obstore"),
    ):
        ratios = [mine / plain for mine, plain in zip(rates[name], rates[yardstick], strict=True)]
        pace = f"{statistics.median(rates[name]):,.0f} MB/s of {statistics.median(rates[yardstick]):,.0f}"
        yield Figure(words, statistics.median(ratios), "×", remark=f"{pace}; {size:,.0f} MB; ratios {spread(ratios)}")
