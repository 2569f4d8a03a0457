"""Replacing a compressed segment on purpose: to erase events in it, or to mend it with a copy.

Order: new file as ``.new`` → fsync → directory fsync → manifest line with old and new sums → the index goes → rename →
new index → directory fsync. Up to the manifest line nothing has happened; from then on a start finishes it: a ``.new``
file with the sums that the manifest names takes its place, another one is removed.
"""

from collections.abc import Iterable
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Literal

import msgspec

from appliance.components.durable import sync_directory
from appliance.storage.bronze.frame import Found, Header
from appliance.storage.bronze.manifest import Manifest
from appliance.storage.bronze.manifest_lines import Entry, Rewritten, Run
from appliance.storage.bronze.packer import Packer
from appliance.storage.bronze.runs import add_run, cut, members
from appliance.storage.bronze.sidecar import sidecar_path, write_sidecar
from appliance.storage.bronze.tombstone import without

NEW = ".new"


class Why(msgspec.Struct, frozen=True, kw_only=True):
    """What a manifest line says about the replacement of a segment."""

    why: Literal["erased", "mended"]
    seqs: tuple[Run, ...] = ()  # erased by it
    reason: str
    by: str
    at: datetime


def replace(manifest: Manifest, entry: Entry, frames: Iterable[Found[Header]], why: Why) -> None:
    """Write the segment of ``entry`` again from ``frames``, without the events that are erased, and say so.

    Raises:
        OSError: the disk refuses; the next start, or the same call, finishes what was begun.
    """
    target = manifest.path.with_name(entry.name)
    packer = Packer(target.with_name(target.name + NEW), entry.checkpoint)
    erased = manifest.erased(entry.first_seq, entry.last_seq)
    for run in why.seqs:
        add_run(erased, run)
    try:
        for found in frames:
            runs = cut(erased, found.header.seq, found.header.last_seq)
            packer.add(found, without(found, members(runs)) if runs else None)
        sums = packer.finish()
        sync_directory(target.parent)
    except BaseException:
        packer.discard()
        raise
    manifest.append(
        Rewritten(
            rewritten=entry.name, why=why.why, seqs=why.seqs, reason=why.reason, by=why.by, at=why.at,
            was=(entry.sha256, entry.packed_sha256), size=sums.size, packed_size=sums.packed_size,
            sha256=sums.sha256, packed_sha256=sums.packed_sha256, damaged=sums.damaged, previous="",
        )
    )  # fmt: skip
    _put_in_place(target)
    write_sidecar(sidecar_path(target), tuple(packer.blocks), packer.deliveries)  # syncs the directory too


def finish_replacing(manifest: Manifest, names: Iterable[str]) -> None:
    """Finish what a crash or the disk interrupted; ``names``: the files of the directory."""
    for name in [name for name in names if name.endswith(".zst" + NEW)]:
        draft = manifest.path.with_name(name)
        entry = manifest.named(name.removesuffix(NEW))
        if entry is not None and sum_of(draft) == entry.packed_sha256:
            _put_in_place(draft.with_name(entry.name))
        else:
            draft.unlink()
        sync_directory(draft.parent)


def sum_of(path: Path) -> str:
    """Return the SHA-256 of a file; nothing where there is none."""
    return sha256(path.read_bytes()).hexdigest() if path.exists() else ""


def _put_in_place(target: Path) -> None:
    """Rename the new file. Its index goes first: it does not fit, and is made again when it is missing."""
    sidecar_path(target).unlink(missing_ok=True)
    target.with_name(target.name + NEW).rename(target)
