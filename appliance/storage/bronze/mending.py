"""Putting a whole copy in the place of a segment that was damaged when it was compressed."""

from collections.abc import Iterator
from pathlib import Path

from appliance.components.durable import sync_directory
from appliance.storage.bronze.blockstore import Blockstore, Signature, signature_of
from appliance.storage.bronze.compaction import DAMAGED, filled
from appliance.storage.bronze.frame import FULL, LOST, Damaged, Found, Header
from appliance.storage.bronze.manifest_lines import Entry
from appliance.storage.bronze.pipeline_log import PipelineLog
from appliance.storage.bronze.replacing import Why, replace, sum_of
from appliance.storage.bronze.survey import Gap, survey
from appliance.storage.bronze.unpack import survey_frames

Tried = dict[str, tuple[Signature | None, ...]]  # segment: what the files were that did not mend it


def mend(log: PipelineLog, blocks: Blockstore, why: Why, tried: Tried) -> bool:
    """Take in the copies that somebody put back: ``….jsonl`` beside the damaged segment, or ``….jsonl.zst`` over it.

    Returns whether there was one. A copy that is not whole is left where it is, and not looked at again until it
    changes.

    Raises:
        OSError: the disk refuses; the next call goes on.
    """
    mended = False
    with log.changing:
        for entry in [entry for entry in log.manifest.entries() if entry.damaged and not log.deleted]:
            files = tuple(signature_of(path) for path in _files(log, entry))
            if tried.get(entry.name) == files:
                continue
            tried[entry.name] = files
            if _is_whole(log, entry):
                replace(log.manifest, entry, _frames(log, entry), why)
                blocks.forget(log.directory / entry.name)
                _clear(log, entry)
                mended = True
    return mended


def _files(log: PipelineLog, entry: Entry) -> tuple[Path, Path]:
    packed = log.directory / entry.name
    return packed.with_suffix(""), packed


def _frames(log: PipelineLog, entry: Entry) -> Iterator[Found[Header]]:
    plain, packed = _files(log, entry)
    copied = plain.exists()
    pieces: Iterator[Found[Header] | Gap | Damaged]
    pieces = survey(plain, 0, plain.stat().st_size, FULL) if copied else survey_frames(packed, FULL)
    return filled(pieces, (entry.first_seq, entry.last_seq), entry.newest_at)


def _is_whole(log: PipelineLog, entry: Entry) -> bool:
    plain, packed = _files(log, entry)
    if not plain.exists() and sum_of(packed) in ("", entry.packed_sha256):
        return False
    return all(found.header.form != LOST for found in _frames(log, entry))


def _clear(log: PipelineLog, entry: Entry) -> None:
    """Remove the copy, which is compressed now, and what was damaged."""
    plain, _ = _files(log, entry)
    for path in (plain, plain.with_name(plain.name + DAMAGED)):
        path.unlink(missing_ok=True)
    sync_directory(log.directory)
