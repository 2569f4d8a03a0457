"""A copy of the control plane, and what a control plane knows of organisations and pipelines."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from appliance.domain.ids import OrganisationId, PipelineId
from appliance.domain.pipeline import State
from appliance.errors import TransientError
from appliance.storage.control.plane import ControlPlane
from appliance.storage.control.tables import OrganisationRow, PipelineRow


class KnownPipeline(msgspec.Struct, frozen=True):
    organisation_id: OrganisationId
    name: str
    version: int
    era: int


class Known(msgspec.Struct, frozen=True):
    """What a control plane knows."""

    organisations: list[OrganisationId]
    pipelines: dict[PipelineId, KnownPipeline]

    def of(self, organisation_id: OrganisationId) -> list[PipelineId]:
        return [one for one, it in self.pipelines.items() if it.organisation_id == organisation_id]


def known_in(plane: ControlPlane) -> Known:
    """Return what ``plane`` knows; blocking."""

    def read(tx: Session) -> Known:
        organisations = [OrganisationId(one) for one in tx.scalars(select(OrganisationRow.id).order_by("id"))]
        rows = tx.scalars(select(PipelineRow).order_by(PipelineRow.id))
        return Known(
            organisations,
            {
                PipelineId(row.id): KnownPipeline(
                    OrganisationId(row.organisation_id), row.live_name or "", row.version, row.era
                )
                for row in rows
                if row.state != State.DELETED.value
            },
        )

    return plane.read_now(read)


@contextmanager
def copied(plane: ControlPlane, path: Path, folder: Path, database: str | None) -> Iterator[Path | None]:
    """Give a consistent copy of the SQLite file at ``path``, in ``folder``; None where it is in a database.

    Raises:
        TransientError: the file does not read now.
    """
    if database is not None:
        yield None
        return
    target = folder / path.name
    copy_sqlite(path, target)
    yield target


def copy_sqlite(path: Path, target: Path) -> None:
    """Copy a database that is in use by its online backup: one consistent view, whoever writes meanwhile."""
    try:
        there = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)
        with closing(there) as source, closing(sqlite3.connect(target)) as copy:
            source.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE").fetchall()
    except sqlite3.Error as error:
        raise TransientError(f"copying {path.name}: {error}; try again", 5.0) from error
