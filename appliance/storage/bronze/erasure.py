"""Erasing events: their segments are written again with tombstones, and nothing else keeps their bytes."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress

from appliance.components.durable import sync_directory
from appliance.errors import NotFound
from appliance.storage.bronze.blockstore import Blockstore
from appliance.storage.bronze.compaction import DAMAGED, filled
from appliance.storage.bronze.corrections import Corrections
from appliance.storage.bronze.frame import BRIEF, FULL, LOST, Brief, Damaged, Found, Header
from appliance.storage.bronze.manifest_lines import Entry
from appliance.storage.bronze.pipeline_log import PipelineLog, Plain
from appliance.storage.bronze.replacing import Why, finish_replacing, replace
from appliance.storage.bronze.runs import Run, cut, members, runs_of
from appliance.storage.bronze.unpack import survey_frames

_CUT = ".jsonl.cut-"


def erase(log: PipelineLog, blocks: Blockstore, corrections: Corrections, seqs: Sequence[int], why: Why) -> int:
    """Do what ``LogUpkeep.erase`` promises. ``why``: without the sequence numbers.

    Raises:
        NotFound: there are no such events.
        OSError: the disk refuses; the same call again goes on where this one ended.
    """
    if wrong := [seq for seq in seqs if not 1 <= seq <= log.last_seq]:
        raise NotFound(f"erasing event {wrong[0]} of {log.directory.name}: there are events 1 to {log.last_seq}")
    with log.changing:
        if log.deleted:
            return 0
        manifest = log.manifest
        finish_replacing(manifest, [path.name for path in log.directory.iterdir()])
        blocks.forget(log.directory)
        wanted = [seq for seq in sorted(set(seqs)) if seq >= log.first_seq]
        fresh = [seq for seq in wanted if not manifest.erased(seq, seq)]
        _compress(log, wanted)
        for entry, within in _by_segment(log, wanted):
            with _held(log, entry):
                if any(not manifest.erased(seq, seq) for seq in within) or _still_has(log, entry, runs_of(within)):
                    replace(manifest, entry, _frames(log, entry), _because(why, within))
                    blocks.forget(log.directory / entry.name)
        corrections.keep(lambda seq: not manifest.erased(seq, seq))
        _remove_set_aside(log)
        return len(fresh)


@contextmanager
def _held(log: PipelineLog, entry: Entry) -> Iterator[None]:
    """Have the file here if it is anywhere; what is left of it nowhere counts as lost."""
    with ExitStack() as stack:
        with suppress(Damaged):
            stack.enter_context(log.shelf.lend(entry))
        yield


def _compress(log: PipelineLog, seqs: Sequence[int]) -> None:
    """Have all of ``seqs`` in compressed segments."""
    while any(isinstance(log.locate(seq), Plain) for seq in seqs[-1:]):
        log.rotate()
        try:
            log.compact_held(lambda worked: None)
        except Damaged:
            log.compact_held(lambda worked: None)  # what can be read of it


def _by_segment(log: PipelineLog, seqs: Sequence[int]) -> Iterator[tuple[Entry, list[int]]]:
    rest = list(seqs)
    while rest:
        entry = log.manifest.find(rest[0])
        if entry is None:  # its segment is lost: nothing of it is here
            rest = rest[1:]
            continue
        yield entry, [seq for seq in rest if seq <= entry.last_seq]
        rest = [seq for seq in rest if seq > entry.last_seq]


def _because(why: Why, seqs: Sequence[int]) -> Why:
    return Why(why=why.why, seqs=tuple(runs_of(seqs)), reason=why.reason, by=why.by, at=why.at)


def _still_has(log: PipelineLog, entry: Entry, runs: Sequence[Run]) -> bool:
    """Return whether the file has payloads of ``runs``: somebody put a copy back that was made before."""
    path = log.directory / entry.name
    if not path.exists():
        return False
    headers = (found.header for found in survey_frames(path, BRIEF) if isinstance(found, Found))
    return any(header.form != LOST and _payloads(header, cut(runs, header.seq, header.last_seq)) for header in headers)


def _payloads(header: Brief, runs: Sequence[Run]) -> bool:
    """Return whether the frame has a payload of one of the events of ``runs``, all of which are in it."""
    return any(seq - header.seq not in header.erased for seq in members(runs))


def _frames(log: PipelineLog, entry: Entry) -> Iterator[Found[Header]]:
    path = log.directory / entry.name
    pieces = survey_frames(path, FULL) if path.exists() else iter(())
    return filled(pieces, (entry.first_seq, entry.last_seq), entry.newest_at)


def _remove_set_aside(log: PipelineLog) -> None:
    """Remove what recovery and compaction kept for a person: nobody knows whose events are in it."""
    kept = [path for path in log.directory.iterdir() if _CUT in path.name or path.name.endswith(DAMAGED)]
    for path in kept:
        path.unlink()
    if kept:
        sync_directory(log.directory)
