"""Copying the rows of one organisation while they are committed to, and telling whether an earlier copy still serves.

Events that came since are refined again from Bronze. What they do not tell must be as it was: which pipelines there
are, in which version, which generation of rows is live, and that no event was erased or corrected.
"""

import hashlib
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec

from appliance.backups.control_copy import Known
from appliance.domain.ids import OrganisationId, PipelineId
from appliance.storage.backup.packing import Packer
from appliance.storage.silver_duckdb.frozen import Frozen
from appliance.storage.silver_duckdb.store import DuckDbSilver

_STEP: Final = 8 << 20


@dataclass
class RowsCopy:
    """``refined``: how far the rows of each pipeline are. ``anew``: copied now. ``state``: see ``rows_state``."""

    state: str
    as_of: datetime
    refined: Mapping[PipelineId, int]
    anew: bool


def rows_state(
    known: Known, organisation_id: OrganisationId, store: DuckDbSilver, revised: Callable[[PipelineId], str]
) -> str:
    """Return two digests: of the shape of the rows, and of what people changed in events."""
    own = sorted(known.of(organisation_id))
    lives = store.lives(own)
    shape = [(one, known.pipelines[one].version, known.pipelines[one].era, lives[one]) for one in own]
    return f"{_digest(shape)}:{_digest([(one, revised(one)) for one in own])}"


def same_shape(state: str, other: str) -> bool:
    """Return whether rows of one state fit a control plane of the other."""
    return state.partition(":")[0] == other.partition(":")[0]


def copy_rows(store: DuckDbSilver, packer: Packer, folder: Path, spare: int | None) -> dict[PipelineId, int]:
    """Take the file of ``store`` as it is now; return how far each pipeline's rows in it are.

    ``spare``: None: it is read where it lies; else it is copied into ``folder`` first if the disk keeps that much room,
    for a slow line would hold up checkpoints for long.

    Raises:
        TransientError: the store closes, or its file is exchanged.
    """
    with store.frozen() as held:
        name = f"silver/{held.path.name}"
        if spare is None or shutil.disk_usage(folder).free < held.size + spare:
            packer.pieces(name, held.path, held.size, held.check)
            return held.refined
        copy = folder / held.path.name
        _copy(held, copy)
    packer.pieces(name, copy)
    copy.unlink()
    return held.refined


def _copy(held: Frozen, target: Path) -> None:
    with held.path.open("rb") as source, target.open("wb") as copy:
        left = held.size
        while left:
            held.check()
            done = os.copy_file_range(source.fileno(), copy.fileno(), min(left, _STEP))
            if not done:
                raise OSError(f"{held.path.name} is shorter than the {held.size} bytes it had")
            left -= done


def _digest(facts: object) -> str:
    return hashlib.sha256(msgspec.json.encode(facts)).hexdigest()[:32]
