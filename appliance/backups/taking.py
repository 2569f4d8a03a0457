"""Taking a backup of an appliance that runs, or of a stopped one that is opened for it."""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Final

import msgspec
import structlog

from appliance import __version__
from appliance.backups.control_copy import Known, copied, known_in
from appliance.backups.rows import RowsCopy, copy_rows, rows_state, same_shape
from appliance.domain.backup import (
    CONTROL,
    FORMAT,
    Backup,
    FileEntry,
    Kind,
    Piece,
    PipelineFacts,
    RowsFacts,
    new_backup_id,
)
from appliance.domain.clock import Clock, utc_now
from appliance.domain.ids import NodeId, OrganisationId, PipelineId
from appliance.errors import TransientError
from appliance.storage.backup.locks import locked
from appliance.storage.backup.packing import Packer
from appliance.storage.backup.repository import Repository
from appliance.storage.bronze.frame import Damaged
from appliance.storage.bronze.log import FileBronzeLog
from appliance.storage.bronze.manifest_lines import Entry
from appliance.storage.bronze.still import MANIFEST, Still, swept
from appliance.storage.control import schema
from appliance.storage.control.plane import ControlPlane
from appliance.storage.silver_duckdb.store import DuckDbSilver

_TRIES: Final = 3
NODE_FILES: Final = ("node.id", "node.partition", "archive.json")
Told = Callable[[int, int | None, str], None]  # bytes done, bytes in all, of which file; may raise to stop

log = structlog.get_logger("backup")


@dataclass(frozen=True, kw_only=True)
class Taken:
    """What a backup is taken of. ``silver_of`` None: rows are in a database, at ``database``. ``spare``: bytes of disk
    that a copy of rows on the way to a bucket must leave free."""

    data_dir: Path
    plane: ControlPlane
    bronze: FileBronzeLog
    node_id: NodeId
    key: str
    silver_of: Callable[[OrganisationId], DuckDbSilver] | None
    database: str | None = None
    spare: int = 2 << 30
    clock: Clock = utc_now


class _RowsDoNotFit(Exception):
    """What rows are to be restored with was changed since they were copied: they are to be copied anew."""


def take(source: Taken, repository: Repository, kind: Kind | None = None, told: Told = lambda *_: None) -> Backup:
    """Take a backup and return it, when it is listed; blocking. ``kind`` None: incremental, where there is one before.

    Killed at any moment, it leaves objects that the next one uses, and nothing that is listed.

    Raises:
        Conflict: somebody prunes at present.
        TransientError: the place cannot be reached, or the rows could not be held; nothing is listed.
        OSError: a file does not read.
    """
    with locked(repository.store, "taking a backup", clock=source.clock):
        mine = [one for one in repository.backups() if one.node == source.node_id]
        previous = mine[-1] if mine and kind is not Kind.FULL else None
        for _ in range(_TRIES):
            try:
                return _Taking(source, repository, previous, told).run()
            except _RowsDoNotFit:
                previous = None
    raise TransientError("taking a backup: pipelines are changed all the time; take it again", 30.0)


@dataclass
class _Taking:
    """One attempt. ``previous``: whose rows may be used again."""

    source: Taken
    repository: Repository
    previous: Backup | None
    told: Told
    done: int = 0
    total: int | None = None
    rows: dict[OrganisationId, RowsCopy] = field(default_factory=dict)

    def run(self) -> Backup:
        source, began = self.source, time.monotonic()
        backup_id, at = new_backup_id(source.clock()), source.clock()
        with swept(source.data_dir / "bronze", backup_id) as folder, Packer(self.repository, self._told) as packer:
            self._rows(packer, known_in(source.plane), folder)
            with self._control(folder, packer) as known:
                stills = self._hold(known, folder)
                self._settle_rows(known, stills)
                self.total = self.done + sum(held.size for still in stills.values() for held in still.files)
                self._events(packer, stills)
                for name in NODE_FILES:
                    if (path := source.data_dir / name).exists():
                        packer.content(name, path.read_bytes())
                backup = self._manifest(packer, known, stills, backup_id, at)
            self._still_there(packer)
            backup = msgspec.structs.replace(
                backup, new_bytes=packer.new_bytes, took_secs=round(time.monotonic() - began, 3)
            )
            self.repository.add(backup)
        log.info("backup.taken", backup=backup.id, kind=backup.kind.value, bytes=backup.bytes, new=backup.new_bytes)
        return backup

    def _told(self, size: int, path: str) -> None:
        self.done += size
        self.told(self.done, self.total if self.total is None else max(self.total, self.done), path)

    def _rows(self, packer: Packer, known: Known, folder: Path) -> None:
        """Take the rows of every organisation: those of before where they serve, else a copy of now."""
        if self.source.silver_of is None:
            return
        for organisation_id in known.organisations:
            if not (path := self.source.data_dir / "silver" / f"{organisation_id}.duckdb").exists():
                continue
            store = self.source.silver_of(organisation_id)
            state = rows_state(known, organisation_id, store, self.source.bronze.revised)
            if (again := self._again(packer, organisation_id, state)) is not None:
                self.rows[organisation_id] = again
                continue
            remote = not self.repository.place.startswith("file://")
            spare = self.source.spare if remote else None
            self.total = self.done + path.stat().st_size
            refined, as_of = copy_rows(store, packer, folder, spare), self.source.clock()
            self.rows[organisation_id] = RowsCopy(state, as_of, refined, anew=True)

    def _again(self, packer: Packer, organisation_id: OrganisationId, state: str) -> RowsCopy | None:
        """Return the rows of the previous backup, if nothing has changed that events do not tell."""
        if self.previous is None:
            return None
        facts = next((one for one in self.previous.rows if one.organisation_id == organisation_id), None)
        if facts is None or facts.state != state:
            return None
        path = f"silver/{organisation_id}.duckdb"
        entry = next((one for one in self._earlier if one.path == path), None)
        if entry is None or not packer.again(entry):
            return None
        refined = {PipelineId(one.id): one.refined for one in self.previous.pipelines if one.refined is not None}
        return RowsCopy(state, facts.as_of, refined, anew=False)

    @cached_property
    def _earlier(self) -> list[FileEntry]:
        return self.repository.catalog(self.previous) if self.previous is not None else []

    @contextmanager
    def _control(self, folder: Path, packer: Packer) -> Iterator[Known]:
        """Copy the control plane, and give what the copy knows."""
        with copied(self.source.plane, self.source.data_dir / CONTROL, folder, self.source.database) as path:
            if path is None:
                yield known_in(self.source.plane)
                return
            packer.pieces(CONTROL, path)
            looked = ControlPlane.look(path)
            try:
                yield known_in(looked)
            finally:
                looked.close()

    def _hold(self, known: Known, folder: Path) -> dict[PipelineId, Still]:
        """Hold the logs of all pipelines that the copied control plane knows."""
        found = {one: self.source.bronze.hold(one, folder / one) for one in known.pipelines}
        return {one: still for one, still in found.items() if still is not None}

    def _settle_rows(self, known: Known, stills: dict[PipelineId, Still]) -> None:
        """See that the rows go with control plane and events as these were copied after them.

        Raises:
            _RowsDoNotFit: they do not.
        """
        for organisation_id, rows in self.rows.items():
            now = self._state(known, organisation_id, lambda one: stills[one].revised if one in stills else "")
            own = [one for one in known.of(organisation_id) if one in stills and one in rows.refined]
            behind = any(rows.refined[one] < stills[one].first_seq - 1 for one in own)
            ahead = any(rows.refined[one] > stills[one].last_seq for one in own)
            if not same_shape(rows.state, now) or ahead or (not rows.anew and (behind or rows.state != now)):
                raise _RowsDoNotFit

    def _state(self, known: Known, organisation_id: OrganisationId, revised: Callable[[PipelineId], str]) -> str:
        assert self.source.silver_of is not None  # noqa: S101 - there are rows
        return rows_state(known, organisation_id, self.source.silver_of(organisation_id), revised)

    def _events(self, packer: Packer, stills: dict[PipelineId, Still]) -> None:
        for pipeline_id, still in stills.items():
            base = f"bronze/{pipeline_id}"
            for held in still.files:
                if held.sha256 is None:
                    packer.pieces(f"{base}/{held.name}", held.path, held.size)
                elif not packer.whole(f"{base}/{held.name}", held.path, Piece(held.sha256, held.size)):
                    log.warning("backup.segment_damaged", pipeline=pipeline_id, segment=held.name)
            for entry in still.away:
                self._fetched(packer, pipeline_id, entry)
            if still.manifest:
                packer.content(f"{base}/{MANIFEST}", still.manifest)
            if still.corrections:
                packer.content(f"{base}/corrections.jsonl", still.corrections)

    def _fetched(self, packer: Packer, pipeline_id: PipelineId, entry: Entry) -> None:
        """Take a segment that is in the archive only; one that is nowhere is left out, as it is on the disk."""
        name, piece = f"bronze/{pipeline_id}/{entry.name}", Piece(entry.packed_sha256, entry.packed_size)
        if packer.known(name, piece):
            return
        try:
            with self.source.bronze.lend(pipeline_id, entry) as path:
                if path.exists():
                    packer.whole(name, path, piece)
                    packer.settle()
                    return
                reason = "it is missing"
        except Damaged as error:
            reason = str(error)
        log.warning("backup.segment_missing", pipeline=pipeline_id, segment=entry.name, reason=reason)

    def _still_there(self, packer: Packer) -> None:
        """See that what was not stored because it was there is there still: locks end, and clocks go wrong.

        Raises:
            TransientError: something is gone.
        """
        there = self.repository.objects()
        if gone := [name for name in packer.reused if name not in there]:
            raise TransientError(
                f"taking a backup: {len(gone)} objects have vanished from {self.repository.place} meanwhile; take it "
                "again, and see who else removes things there",
                60.0,
            )

    def _manifest(
        self, packer: Packer, known: Known, stills: dict[PipelineId, Still], backup_id: str, at: datetime
    ) -> Backup:
        source = self.source
        catalog = packer.catalog()
        anew = all(one.anew for one in self.rows.values()) and (bool(self.rows) or self.previous is None)
        return Backup(
            format=FORMAT,
            id=backup_id,
            kind=Kind.FULL if anew else Kind.INCREMENTAL,
            at=at,
            took_secs=0.0,
            version=__version__,
            schema=schema.HEAD,
            node=source.node_id,
            host=socket.gethostname(),
            key=source.key,
            files=len(packer.files),
            bytes=sum(one.size for one in packer.files),
            new_bytes=0,
            pipelines=tuple(self._facts(known, one, still) for one, still in stills.items()),
            rows=tuple(
                RowsFacts(organisation_id=one, as_of=rows.as_of, state=rows.state) for one, rows in self.rows.items()
            ),
            catalog=catalog,
            database=source.database,
        )

    def _facts(self, known: Known, pipeline_id: PipelineId, still: Still) -> PipelineFacts:
        owner = known.pipelines[pipeline_id].organisation_id
        rows = self.rows.get(owner)
        return PipelineFacts(
            id=pipeline_id,
            organisation_id=owner,
            name=known.pipelines[pipeline_id].name,
            first_seq=still.first_seq,
            last_seq=still.last_seq,
            refined=rows.refined.get(pipeline_id) if rows is not None else None,
        )
