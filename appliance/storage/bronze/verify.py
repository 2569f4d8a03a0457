"""Reading everything there is of one pipeline and telling what is not as it was written."""

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import msgspec

from appliance.components.bronze import Finding
from appliance.domain.ids import PipelineId
from appliance.errors import TransientError
from appliance.storage.bronze.chain import Chain
from appliance.storage.bronze.corrections import FILE as CORRECTIONS
from appliance.storage.bronze.corrections import Corrections
from appliance.storage.bronze.frame import BRIEF, LOST, Brief, Damaged, Found
from appliance.storage.bronze.manifest_lines import Entry
from appliance.storage.bronze.pipeline_log import PipelineLog
from appliance.storage.bronze.segment import Segment, frames_in, walk
from appliance.storage.bronze.sidecar import UNKNOWN, Block, read_blocks, sidecar_path
from appliance.storage.bronze.unpack import block_of, unpack_all

_RESTORE = "restore this file from a backup or from the archive"
_REACH = "see that the archive can be reached, then verify again"
_REINDEX = "remove the .idx file beside it: it is derived, and made again when it is needed"
_CORRECT = "correct the event again; remove the line while Dash is stopped"


class Verification:
    """One walk over one pipeline, oldest segment first; appends, compaction and upkeep may go on beside it."""

    def __init__(self, pipeline_id: PipelineId, log: PipelineLog, corrections: Corrections | None = None) -> None:
        self._pipeline_id = pipeline_id
        self._log = log
        self._corrections = corrections
        self._chain = Chain(log.manifest.path)
        self._expected = 1  # next sequence number

    def findings(self) -> Iterator[Finding]:
        """Yield what is wrong; see ``BronzeLog.verify``."""
        plain = self._log.plain_segments()  # before the manifest, so that no segment slips between the two
        yield from self._manifest()
        for segment, end in plain:
            if segment.key <= self._chain.newest:
                continue  # compressed meanwhile
            try:
                yield from self._plain(segment, end)
            except FileNotFoundError:
                yield from self._manifest()  # compressed this moment
                if segment.key > self._chain.newest:
                    yield self._finding(segment.name, "the file is missing", _RESTORE)
                    self._expected = segment.last_seq + 1
        for number in self._corrections.unreadable() if self._corrections else ():
            yield self._finding(CORRECTIONS, f"line {number} is not readable", _CORRECT)

    def _manifest(self) -> Iterator[Finding]:
        """Yield what is wrong with the lines that came since the last call, and with their segments."""
        known = len(self._chain.names)
        yield from (self._finding("manifest.jsonl", told, _RESTORE) for told in self._chain.read())
        for name in self._chain.names[known:]:
            entry = self._chain.entries[name]
            if entry.first_seq > self._expected:
                told = f"events {self._expected} to {entry.first_seq - 1} are in no segment before it"
                yield self._finding(entry.name, told, _RESTORE)
                self._expected = entry.first_seq
            yield from self._listed(entry)

    def _listed(self, entry: Entry) -> Iterator[Finding]:
        """Yield what is wrong with a segment, looking again if it was replaced or has expired meanwhile."""
        while not self._chain.expired(entry):
            self._expected = entry.first_seq
            found = list(self._packed(entry))
            if not found or not self._chain.changed(entry):
                yield from found
                break
            yield from (self._finding("manifest.jsonl", told, _RESTORE) for told in self._chain.read())
            entry = self._chain.entries[entry.name]
        self._expected = entry.last_seq + 1

    def _packed(self, entry: Entry) -> Iterator[Finding]:
        try:
            with self._log.shelf.lend(entry) as path:
                yield from self._file(entry, path)
        except Damaged as error:
            yield self._finding(entry.name, str(error), _RESTORE)
        except TransientError as error:
            yield self._finding(entry.name, f"it could not be read: {error}", _REACH)

    def _file(self, entry: Entry, path: Path) -> Iterator[Finding]:
        content, file, blocks = sha256(), sha256(), []
        lost: list[Brief] = []
        try:
            for place in unpack_all(path):
                content.update(place.plain)
                file.update(place.packed)
                frames = list(frames_in(place.plain, place.offset, BRIEF))
                self._check(frames, place.offset, len(place.plain))
                lost += [found.header for found in frames if found.header.form == LOST]
                blocks.append(block_of(place, frames))
            if self._expected != entry.last_seq + 1:
                raise Damaged(entry.size, f"expected it to end with event {entry.last_seq}, found {self._expected - 1}")
        except FileNotFoundError:
            yield self._finding(entry.name, "the file is missing", _RESTORE)
        except Damaged as error:
            yield self._finding(entry.name, str(error), _RESTORE)
        else:
            yield from self._sums(entry, (content.hexdigest(), file.hexdigest()))
            index = read_blocks(sidecar_path(path))
            if index is not None and not _fits(index.blocks, tuple(blocks)):
                yield self._finding(sidecar_path(path).name, "the index does not fit its segment", _REINDEX)
            for header in lost:
                told = f"events {header.seq} to {header.last_seq} could not be read when it was compressed"
                remedy = f"put a copy of {entry.name.removesuffix('.zst')} beside it"
                yield self._finding(entry.name, f"{told} ({header.damaged})", remedy)

    def _sums(self, entry: Entry, sums: tuple[str, str]) -> Iterator[Finding]:
        if sums == (entry.sha256, entry.packed_sha256) or not entry.sha256:
            return
        if sums in self._chain.former.get(entry.name, ()):
            told = "it is the file from before events in it were erased"
            yield self._finding(entry.name, told, "erase the same events again")
        else:
            yield self._finding(entry.name, "its SHA-256 is not the one in the manifest", _RESTORE)

    def _plain(self, segment: Segment, end: int) -> Iterator[Finding]:
        started = self._expected
        try:
            if segment.first_seq != started:
                raise Damaged(0, f"expected it to begin with event {started}")
            for found in walk(segment.path, 0, end, BRIEF):
                self._check([found], found.offset, found.size)
            if self._expected <= segment.last_seq and segment.damage is not None:
                raise Damaged(end, segment.damage)
        except Damaged as error:
            yield self._finding(segment.name, str(error), _RESTORE)
            self._expected = segment.last_seq + 1
        except FileNotFoundError:
            self._expected = started
            raise

    def _check(self, frames: list[Found[Brief]], offset: int, size: int) -> None:
        """Prove that ``frames`` fill ``size`` bytes and go on with the numbers."""
        end = offset
        for found in frames:
            if found.header.seq != self._expected:
                raise Damaged(found.offset, f"expected event {self._expected}, found {found.header.seq}")
            self._expected += found.header.n
            end = found.offset + found.size
        if end != offset + size:
            raise Damaged(end, "the frame is cut short")

    def _finding(self, segment: str, message: str, remedy: str) -> Finding:
        return Finding(self._pipeline_id, segment, message, remedy)


def _fits(index: tuple[Block, ...], blocks: tuple[Block, ...]) -> bool:
    """Return whether ``index`` says the same; one that an earlier version wrote knows no times."""
    if all(block.newest_us == UNKNOWN for block in index):
        blocks = tuple(msgspec.structs.replace(block, newest_us=UNKNOWN) for block in blocks)
    return index == blocks
