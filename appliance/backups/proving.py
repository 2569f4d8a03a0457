"""Proving that a backup is good: every byte is read, and what was written is really opened."""

import os
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

import duckdb
import structlog

from appliance.domain.backup import CONTROL, Backup, FileEntry, PipelineFacts, Verdict, problems_of
from appliance.domain.clock import utc_now
from appliance.errors import DashError, TransientError
from appliance.storage.backup.locks import reading
from appliance.storage.backup.repository import Repository
from appliance.storage.backup.unpacking import unpack
from appliance.storage.bronze.chain import Chain
from appliance.storage.bronze.manifest_lines import Entry
from appliance.storage.silver_duckdb import probe
from appliance.storage.silver_duckdb.commit import read_live_progress

_MEMORY: Final = 256 << 20  # for opening rows
_SHOWN: Final = 20
log = structlog.get_logger("backup")

Told = Callable[[int, int, str], None]  # bytes done, in all, of which file; may raise to stop


def scratch_beside(data_dir: Path) -> Path:
    """Return a folder that has room for what is opened: the data directory, or for whoever may not write it another."""
    return data_dir if os.access(data_dir, os.W_OK) else Path(tempfile.gettempdir())


def prove(repository: Repository, backup: Backup, scratch: Path | None, told: Told = lambda *_: None) -> Verdict:
    """Read a backup whole, and note in the repository what came of it; blocking.

    Every object is read and its sum compared; the control plane is opened and examined by SQLite, the rows are opened
    by DuckDB and their progress compared, the chain of each log is walked and its segments compared with it.
    ``scratch``: a folder with room for the largest of these; None: databases are not opened.

    Raises:
        TransientError: the place cannot be reached.
        OSError: there is no room in ``scratch``.
    """
    began = time.monotonic()
    with reading(repository.store, "verifying a backup"):
        problems = list(_problems(repository, backup, scratch, told))
        verdict = Verdict(
            at=utc_now(),
            took_secs=round(time.monotonic() - began, 3),
            opened=scratch is not None,
            problems=tuple(problems[:_SHOWN]),
        )
        try:
            repository.note(backup.id, verdict)
        except TransientError as error:  # a place may be read-only
            log.warning("backup.verdict_not_kept", backup=backup.id, reason=str(error))
    return verdict


def _problems(repository: Repository, backup: Backup, scratch: Path | None, told: Told) -> Iterator[str]:
    try:
        files = repository.catalog(backup)
    except DashError as error:
        yield str(error)
        return
    yield from problems_of(backup, files)
    proof = _Proof(repository, backup, files, told)
    with tempfile.TemporaryDirectory(dir=scratch, prefix=".verify-") as folder:
        yield from proof.read(Path(folder), opening=scratch is not None)


class _Proof:
    """Of one backup."""

    def __init__(self, repository: Repository, backup: Backup, files: list[FileEntry], told: Told) -> None:
        self._repository, self._backup, self._files, self._told = repository, backup, files, told
        self._done, self._total = 0, sum(one.size for one in files)
        self._read: set[str] = set()

    def read(self, folder: Path, *, opening: bool) -> Iterator[str]:
        """Read every file; those that are opened are written, one database at a time."""
        own: list[FileEntry] = []
        for entry in self._files:
            if entry.path.endswith("/manifest.jsonl"):
                own.append(entry)
            elif opening and (entry.path == CONTROL or entry.path.startswith("silver/")):
                yield from self._opened(entry, folder)
            else:
                yield from self._passed(entry)
        for entry in own:
            yield from self._log(entry, folder)

    def _passed(self, entry: FileEntry) -> Iterator[str]:
        try:
            for piece in entry.pieces:
                if piece.sha256 not in self._read:
                    for _ in self._repository.read(piece):
                        continue
                    self._read.add(piece.sha256)
        except DashError as error:
            yield f"{entry.path}: {error}"
        self._step(entry)

    def _opened(self, entry: FileEntry, folder: Path) -> Iterator[str]:
        path = folder / entry.path
        try:
            unpack(self._repository, [entry], folder, lambda size, name: None)
        except DashError as error:
            yield f"{entry.path}: {error}"
            return
        yield from _sqlite(path) if entry.path == CONTROL else self._rows(path)
        path.unlink()
        self._step(entry)

    def _rows(self, path: Path) -> Iterator[str]:
        """Open a file of rows in a child first: a damaged one may end the process that reads it."""
        if (death := probe.kills_its_reader(path, _MEMORY)) is not None:
            yield f"silver/{path.name}: {death}"
            return
        try:
            with closing(
                duckdb.connect(str(path), read_only=True, config={"memory_limit": f"{_MEMORY}B"})
            ) as connection:
                refined = {str(one): it.seq for one, it in read_live_progress(connection).items()}
                for (table,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall():
                    quoted = table.replace('"', '""')
                    connection.execute(f'SELECT count(*) FROM "{quoted}"').fetchall()  # noqa: S608 - quoted
        except duckdb.Error as error:
            yield f"silver/{path.name} does not open: {str(error).splitlines()[0]}"
            return
        owner = path.name.removesuffix(".duckdb")
        for one in self._backup.pipelines:
            if one.organisation_id == owner and one.refined is not None and refined.get(one.id) != one.refined:
                yield f"silver/{path.name}: rows of {one.id} reach event {refined.get(one.id)}, expected {one.refined}"

    def _log(self, entry: FileEntry, folder: Path) -> Iterator[str]:
        """Walk the chain of a log and compare its segments with what is there."""
        pipeline_id = entry.path.split("/")[1]
        path = folder / f"{pipeline_id}.jsonl"
        try:
            path.write_bytes(b"".join(part for piece in entry.pieces for part in self._repository.read(piece)))
        except DashError as error:
            yield f"{entry.path}: {error}"
            return
        chain = Chain(path)
        yield from (f"{entry.path}: {told}" for told in chain.read())
        path.unlink()
        base = f"bronze/{pipeline_id}/"
        there = {one.path.removeprefix(base): one for one in self._files if one.path.startswith(base)}
        for listed in (chain.entries[name] for name in chain.names if not chain.expired(chain.entries[name])):
            yield from _segment(base, listed, there.get(listed.name))
        facts = next((one for one in self._backup.pipelines if one.id == pipeline_id), None)
        if facts is not None:
            yield from _ledger(facts, chain)
        self._step(entry)

    def _step(self, entry: FileEntry) -> None:
        self._done += entry.size
        self._told(self._done, self._total, entry.path)


def _sqlite(path: Path) -> Iterator[str]:
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)) as connection:
            found = [row[0] for row in connection.execute("PRAGMA integrity_check(5)")]
            broken = connection.execute("PRAGMA foreign_key_check").fetchmany(5)
    except sqlite3.Error as error:
        yield f"{CONTROL} does not open: {error}"
        return
    yield from (f"{CONTROL}: {told}" for told in found if told != "ok")
    yield from (f"{CONTROL}: a row of {row[0]} names one of {row[2]} that is not there" for row in broken)


def _segment(base: str, listed: Entry, there: FileEntry | None) -> Iterator[str]:
    if there is None:
        yield f"{base}{listed.name} is missing"
    elif [piece.sha256 for piece in there.pieces] != [listed.packed_sha256] and listed.packed_sha256:
        yield f"{base}{listed.name} was damaged when it was backed up: its SHA-256 is not the one in the manifest"


def _ledger(facts: PipelineFacts, chain: Chain) -> Iterator[str]:
    """Rows never reach further than events, and events no less far than the segments that are closed."""
    closed = max((one.last_seq for one in chain.entries.values()), default=0)
    if closed > facts.last_seq:
        yield f"bronze/{facts.id} has events up to {closed}, and the backup says {facts.last_seq}"
    if facts.refined is not None and facts.refined > facts.last_seq:
        yield f"rows of {facts.id} reach event {facts.refined}, and events only {facts.last_seq}"
