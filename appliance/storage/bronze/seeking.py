"""Finding events by the time of their receipt.

The clock may have been set back: numbers are the order, times are not. So each segment, each block and each place of an
index knows the *latest* receipt, and what is found is the first event that was received at or after the moment.
"""

from collections.abc import Iterator
from datetime import datetime

from appliance.storage.bronze.blockstore import Blockstore
from appliance.storage.bronze.frame import BRIEF, Brief, Damaged, Found, Unread, microseconds
from appliance.storage.bronze.manifest_lines import Entry
from appliance.storage.bronze.pipeline_log import PipelineLog
from appliance.storage.bronze.segment import Segment, frames_in
from appliance.storage.bronze.survey import survey

_ATTEMPTS = 3  # segments are replaced by their compressed form meanwhile


def seq_at(log: PipelineLog, blocks: Blockstore, moment: datetime) -> int:
    """Return what ``LogUpkeep.seq_at`` promises; damaged places are passed over."""
    wanted = microseconds(moment)
    for _ in range(_ATTEMPTS):
        try:
            found = next(_frames(log, blocks, moment), None)
        except FileNotFoundError:
            continue
        return found.header.seq if found else log.last_seq + 1
    return next(
        (entry.first_seq for entry in log.manifest.entries() if microseconds(entry.newest_at) >= wanted),
        log.last_seq + 1,
    )  # a file is missing: the number of its segment must do


def _frames(log: PipelineLog, blocks: Blockstore, moment: datetime) -> Iterator[Found[Brief]]:
    """Yield frames with events that were received at or after ``moment``, the first one first."""
    wanted = microseconds(moment)
    plain = log.plain_segments()  # before the manifest, so that no segment slips between the two
    entries = log.manifest.entries()
    listed = entries[-1].key if entries else (0, 0)
    for entry in entries:
        if entry.newest_at >= moment:
            try:
                with log.shelf.lend(entry):
                    yield from _late(_packed(log, blocks, entry, wanted), wanted)
            except Damaged:
                continue  # the copy elsewhere
    for segment, end in plain:
        if segment.key > listed and segment.latest_us >= wanted:
            yield from _late(_plain(segment, end, wanted), wanted)


def _late(frames: Iterator[Found[Brief]], wanted: int) -> Iterator[Found[Brief]]:
    return (found for found in frames if found.header.n and found.header.received_us >= wanted)


def _packed(log: PipelineLog, blocks: Blockstore, entry: Entry, wanted: int) -> Iterator[Found[Brief]]:
    path = log.directory / entry.name
    try:
        known = blocks.index(path).blocks
    except Unread:
        return
    for block in known:
        if block.newest_us >= wanted:
            try:
                yield from frames_in(blocks.block(path, block), block.offset, BRIEF)
            except Damaged:
                continue


def _plain(segment: Segment, end: int, wanted: int) -> Iterator[Found[Brief]]:
    pieces = survey(segment.path, segment.index.offset_at(wanted), end, BRIEF)
    return (piece for piece in pieces if isinstance(piece, Found))
