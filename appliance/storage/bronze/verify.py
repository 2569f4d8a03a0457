"""Reading everything there is of one pipeline and telling what is not as it was written."""

from collections.abc import Iterator
from hashlib import sha256

import msgspec

from appliance.components.bronze import Finding
from appliance.domain.ids import PipelineId
from appliance.storage.bronze.frame import BRIEF, Brief, Damaged, Found
from appliance.storage.bronze.manifest import NO_LINK, Entry, link_of, read_lines
from appliance.storage.bronze.pipeline_log import PipelineLog
from appliance.storage.bronze.segment import Key, Segment, frames_in, walk
from appliance.storage.bronze.sidecar import read_blocks, sidecar_path
from appliance.storage.bronze.unpack import block_of, unpack_all

_RESTORE = "restore this file from a backup or from the archive"
_REINDEX = "remove the .idx file beside it: it is derived, and made again when it is needed"


class Verification:
    """One walk over one pipeline, oldest segment first; appends and compaction may go on beside it."""

    def __init__(self, pipeline_id: PipelineId, log: PipelineLog) -> None:
        self._pipeline_id = pipeline_id
        self._log = log
        self._expected = 1  # next sequence number
        self._previous = NO_LINK
        self._lines = 0  # of the manifest, done
        self._done: Key = (0, 0)

    def findings(self) -> Iterator[Finding]:
        """Yield what is wrong; see ``BronzeLog.verify``."""
        plain = self._log.plain_segments()  # before the manifest, so that no segment slips between the two
        yield from self._manifest()
        for segment, end in plain:
            if segment.key <= self._done:
                continue  # compressed meanwhile
            try:
                yield from self._plain(segment, end)
            except FileNotFoundError:
                yield from self._manifest()  # compressed this moment
                if segment.key > self._done:
                    yield self._finding(segment.name, "the file is missing", _RESTORE)
                    self._expected = segment.last_seq + 1

    def _manifest(self) -> Iterator[Finding]:
        lines = read_lines(self._log.manifest.path)
        for line in lines[self._lines :]:
            self._lines += 1
            try:
                entry = msgspec.json.decode(line, type=Entry)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                yield self._finding("manifest.jsonl", f"line {self._lines} is not readable ({error})", _RESTORE)
                continue
            yield from self._chain(entry, line)
            yield from self._packed(entry)
            self._done = entry.key

    def _chain(self, entry: Entry, line: bytes) -> Iterator[Finding]:
        if entry.link != link_of(line):
            yield self._finding("manifest.jsonl", f"line {self._lines} ({entry.name}) was changed", _RESTORE)
        elif entry.previous != self._previous:
            message = f"the chain is broken before line {self._lines} ({entry.name}): a line is missing or was changed"
            yield self._finding("manifest.jsonl", message, _RESTORE)
        self._previous = entry.link

    def _packed(self, entry: Entry) -> Iterator[Finding]:
        path = self._log.directory / entry.name
        content, file, blocks = sha256(), sha256(), []
        try:
            for place in unpack_all(path):
                content.update(place.plain)
                file.update(place.packed)
                frames = list(frames_in(place.plain, place.offset, BRIEF))
                self._check(frames, place.offset, len(place.plain))
                blocks.append(block_of(place, frames))
            if self._expected != entry.last_seq + 1:
                raise Damaged(entry.size, f"expected it to end with event {entry.last_seq}, found {self._expected - 1}")
        except FileNotFoundError:
            yield self._finding(entry.name, "the file is missing", _RESTORE)
        except Damaged as error:
            yield self._finding(entry.name, str(error), _RESTORE)
        else:
            if (content.hexdigest(), file.hexdigest()) != (entry.sha256, entry.packed_sha256):
                yield self._finding(entry.name, "its SHA-256 is not the one in the manifest", _RESTORE)
            index = read_blocks(sidecar_path(path))
            if index is not None and index.blocks != tuple(blocks):
                yield self._finding(sidecar_path(path).name, "the index does not fit its segment", _REINDEX)
        self._expected = entry.last_seq + 1

    def _plain(self, segment: Segment, end: int) -> Iterator[Finding]:
        started = self._expected
        try:
            if segment.first_seq != started:
                raise Damaged(0, f"expected it to begin with event {started}")
            for found in walk(segment.path, 0, end, BRIEF):
                self._check([found], found.offset, found.size)
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
