"""Putting a whole copy in the place of a segment that was damaged when it was compressed."""

from collections.abc import Iterator

from appliance.storage.bronze.blockstore import Blockstore
from appliance.storage.bronze.compaction import DAMAGED, filled
from appliance.storage.bronze.disk import sync_directory
from appliance.storage.bronze.frame import FULL, LOST, Damaged, Found, Header
from appliance.storage.bronze.manifest_lines import Entry
from appliance.storage.bronze.pipeline_log import PipelineLog
from appliance.storage.bronze.replacing import Why, replace, sum_of
from appliance.storage.bronze.survey import Gap, survey
from appliance.storage.bronze.unpack import survey_frames


def mend(log: PipelineLog, blocks: Blockstore, why: Why) -> None:
    """Take in the copies that somebody put back: ``….jsonl`` beside the damaged segment, or ``….jsonl.zst`` over it.

    A copy that is not whole is left where it is.

    Raises:
        OSError: the disk refuses; the next call goes on.
    """
    with log.changing:
        for entry in [entry for entry in log.manifest.entries() if entry.damaged and not log.deleted]:
            if _is_whole(log, entry):
                replace(log.manifest, entry, _frames(log, entry), why)
                blocks.forget(log.directory / entry.name)
                _clear(log, entry)


def _frames(log: PipelineLog, entry: Entry) -> Iterator[Found[Header]]:
    path = log.directory / entry.name.removesuffix(".zst")
    pieces: Iterator[Found[Header] | Gap | Damaged]
    if path.exists():
        pieces = survey(path, 0, path.stat().st_size, FULL)
    else:
        pieces = survey_frames(log.directory / entry.name, FULL)
    return filled(pieces, (entry.first_seq, entry.last_seq), entry.newest_at)


def _is_whole(log: PipelineLog, entry: Entry) -> bool:
    plain, packed = log.directory / entry.name.removesuffix(".zst"), log.directory / entry.name
    if not plain.exists() and sum_of(packed) in ("", entry.packed_sha256):
        return False
    return all(found.header.form != LOST for found in _frames(log, entry))


def _clear(log: PipelineLog, entry: Entry) -> None:
    """Remove the copy, which is compressed now, and what was damaged."""
    plain = log.directory / entry.name.removesuffix(".zst")
    for path in (plain, plain.with_name(plain.name + DAMAGED)):
        path.unlink(missing_ok=True)
    sync_directory(log.directory)
