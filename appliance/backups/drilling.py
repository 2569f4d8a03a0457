"""A rehearsal: a backup is really restored into a folder that goes again, opened, and proved, with times."""

import asyncio
import os
import shutil
import tempfile
import time
from pathlib import Path

import msgspec

from appliance import compose
from appliance.backups.proving import scratch_beside
from appliance.backups.restoring import Restoration, Told, Wanted
from appliance.domain.clock import utc_now
from appliance.domain.ids import PipelineId
from appliance.errors import ConfigError, Problem
from appliance.examine import Trouble
from appliance.settings import Archive, Backup, Settings
from appliance.storage.backup.repository import Repository
from appliance.storage.bronze.log import FileBronzeLog
from appliance.storage.control.vault import KEY_FILE


class Drill(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it. ``again``: events that the first start would refine again. ``findings``: what is wrong."""

    backup: str
    at: str
    age_secs: float
    files: int
    bytes: int
    events: int
    again: int
    restore_secs: float
    prove_secs: float
    summary: str
    findings: list[Trouble]
    notes: list[str]


def drill(
    settings: Settings, repository: Repository, backup_id: str | None, key_file: Path, told: Told = lambda *_: None
) -> Drill:
    """Restore a backup, open all that it holds as an appliance would, prove it, and remove it again; blocking.

    Raises:
        ConfigError: the key is not there, or another one's.
        DashError: as ``Restoration``.
    """
    if not key_file.exists():
        hint = "name the copy that you keep: --key-file"
        raise ConfigError([Problem(KEY_FILE, f"there is none at {str(key_file)!r}, and it is in no backup", hint=hint)])
    scratch = scratch_beside(settings.server.data_dir)
    with tempfile.TemporaryDirectory(dir=scratch, prefix=".drill-") as folder:
        place, began = Path(folder), time.monotonic()
        _copied(key_file, place / KEY_FILE)
        plan = Restoration(repository, place, Wanted(backup_id=backup_id), utc_now()).run(told)
        restored, backup = time.monotonic(), plan.backup
        if backup.database is None:
            summary, findings = _opened(settings, place)
        else:
            summary, findings = _events(place, [PipelineId(one.id) for one in backup.pipelines])
        return Drill(
            backup=backup.id,
            at=backup.at.isoformat(timespec="seconds"),
            age_secs=round((utc_now() - backup.at).total_seconds(), 1),
            files=plan.files,
            bytes=plan.bytes,
            events=backup.events,
            again=sum(one.last_seq - one.refined for one in backup.pipelines if one.refined is not None),
            restore_secs=round(restored - began, 2),
            prove_secs=round(time.monotonic() - restored, 2),
            summary=summary,
            findings=findings,
            notes=plan.notes,
        )


def _opened(settings: Settings, place: Path) -> tuple[str, list[Trouble]]:
    """Open everything as an appliance does, and prove chains, ledgers and audit; no archive is asked or told."""
    server = msgspec.structs.replace(settings.server, data_dir=place)
    own = msgspec.structs.replace(settings, server=server, archive=Archive(), backup=Backup())
    report = compose.verify(own)
    return report.summary, report.findings


def _events(place: Path, pipelines: list[PipelineId]) -> tuple[str, list[Trouble]]:
    """Prove the logs alone: rows and control plane are in a database, and not in the backup."""
    bronze = FileBronzeLog(place / "bronze")
    try:
        found = [
            Trouble(f"bronze {it.pipeline_id} {it.segment}", it.message, it.remedy)
            for one in pipelines
            for it in bronze.verify(one)
        ]
        return f"{len(pipelines)} logs; rows and control plane are in a database", found
    finally:
        asyncio.run(bronze.close())


def _copied(key_file: Path, target: Path) -> None:
    try:
        shutil.copy(key_file, target)
    except PermissionError as error:
        told = f"{str(key_file)!r} cannot be read by uid {os.geteuid()}, as whom this works"
        raise ConfigError(
            [Problem(KEY_FILE, told, hint="let that user read the copy for the time of the drill")]
        ) from error
