"""The upkeep of one pipeline's log: what expires, what is erased or corrected, what is in quarantine."""

import os
from collections.abc import Sequence
from datetime import datetime, timedelta

from appliance.components.bronze import Correction, Expired, Quarantine
from appliance.errors import NotFound
from appliance.storage.bronze.blockstore import Blockstore, Signature, signature_of
from appliance.storage.bronze.corrections import Corrections
from appliance.storage.bronze.dedupe import WINDOW_US
from appliance.storage.bronze.erasure import erase
from appliance.storage.bronze.expiry import Rule, occupied, occupied_by, sweep, to_expire
from appliance.storage.bronze.frame import Damaged
from appliance.storage.bronze.manifest_lines import Entry, Expiry
from appliance.storage.bronze.mending import Tried, mend
from appliance.storage.bronze.options import Options
from appliance.storage.bronze.pipeline_log import PipelineLog
from appliance.storage.bronze.quarantine import Places
from appliance.storage.bronze.reader import Reader
from appliance.storage.bronze.replacing import Why
from appliance.storage.bronze.seeking import seq_at
from appliance.storage.bronze.sidecar import sidecar_path

_WINDOW = timedelta(microseconds=WINDOW_US)


class Keeper:
    """Does what ``LogUpkeep`` promises, for one pipeline. All may raise OSError; the same call then goes on."""

    def __init__(self, log: PipelineLog, options: Options, blocks: Blockstore) -> None:
        self.corrections = Corrections(log.directory)
        self.places = Places(log.directory)
        self.reader = Reader(log, blocks, self.corrections, self.places)
        self._log = log
        self._options = options
        self._blocks = blocks
        self._tried: Tried = {}
        self._looked: dict[str, tuple[Signature | None, ...]] = {}  # segment: what its files were when it was damaged

    @property
    def first_seq(self) -> int:
        return self._log.first_seq

    def seq_at(self, moment: datetime) -> int:
        return seq_at(self._log, self._blocks, moment)

    def size(self) -> int:
        return occupied_by(self._log.directory) + self._log.shelf.elsewhere(self._log.manifest.entries())

    def expire(self, before: datetime | None, keep_bytes: int | None, up_to: int) -> Expired:
        log, manifest = self._log, self._log.manifest
        with log.changing:
            if log.deleted:
                return Expired(0, 0, 0)
            freed = self._sweep()
            entries = self._doomed(before, keep_bytes, up_to)
            if not entries:
                return Expired(0, 0, freed)
            last = entries[-1]
            freed += log.shelf.elsewhere(entries)
            events = last.last_seq - entries[0].first_seq + 1
            manifest.append(
                Expiry(
                    expired=last.name, segments=len(entries), events=events, bytes=sum(map(self._size_of, entries)),
                    reason=_reason(before, keep_bytes), at=self._options.clock(), previous="",
                )
            )  # fmt: skip
            freed += self._sweep()
        self.corrections.keep(lambda seq: seq > last.last_seq)
        self.places.gone(last.last_seq)
        log.shelf.changed()
        return Expired(len(entries), events, freed)

    def erase(self, seqs: Sequence[int], reason: str, by: str) -> int:
        why = Why(why="erased", reason=reason, by=by, at=self._options.clock())
        erased = erase(self._log, self._blocks, self.corrections, seqs, why)
        self._log.shelf.erased(seqs)
        return erased

    def correct(self, corrections: Sequence[Correction]) -> None:
        first, last = self._log.first_seq, self._log.last_seq
        if wrong := [one.seq for one in corrections if not 1 <= one.seq <= last]:
            raise NotFound(f"correcting event {wrong[0]} of {self._log.directory.name}: there are events 1 to {last}")
        erased = self._log.manifest.erased
        held = [one for one in corrections if one.seq >= first and not erased(one.seq, one.seq)]
        if held:
            self.corrections.add(held)
            self._log.shelf.changed()

    def quarantined(self) -> list[Quarantine]:
        damaged = [entry for entry in self._log.manifest.entries() if entry.damaged]
        if damaged:
            self.mend()
        for entry in damaged:
            if entry.name not in self._looked:  # compressed while damaged: perhaps nobody has read that far
                self._look(entry)
        self.places.look_again(self._readable)
        return self.places.all()

    def mend(self) -> None:
        """Take in copies that somebody put back."""
        why = Why(why="mended", reason="a copy was put back", by="", at=self._options.clock())
        if mend(self._log, self._blocks, why, self._tried):
            self._log.shelf.changed()

    def _look(self, entry: Entry) -> None:
        """Read a segment through, so that its damaged places are known."""
        self._looked[entry.name] = ()
        after = entry.first_seq - 1
        while after < entry.last_seq and (frames := self.reader.read(after, entry.last_seq - after, 1 << 22)):
            after = frames[-1].last_seq

    def _readable(self, place: Quarantine) -> bool:
        """Return whether ``place`` reads again; looks only if its file is another one, or the disk refused it."""
        stem = self._log.directory / place.segment.split(".")[0]
        files = tuple(signature_of(stem.with_name(stem.name + suffix)) for suffix in (".jsonl", ".jsonl.zst"))
        if self._looked.get(place.segment) == files and "does not read" not in place.reason:
            return False
        self._looked[place.segment] = files
        self._blocks.forget(stem.with_name(stem.name + ".jsonl.zst"))
        return self.reader.readable(place)

    def _doomed(self, before: datetime | None, keep_bytes: int | None, up_to: int) -> list[Entry]:
        """Return the entries that are to go; compresses what waits for it while all before is to go."""
        while True:
            entries = self._log.manifest.entries()
            excess = self.size() - keep_bytes if keep_bytes is not None else 0
            rule = Rule(before=before, excess=excess, up_to=up_to, now=self._options.clock())
            count = to_expire(entries, rule, self._size_of)
            try:
                if count < len(entries) or not self._log.compact_held(lambda worked: None):
                    return entries[:count]
            except (Damaged, OSError):  # the caretaker tells of it and tries again
                return entries[:count]

    def _sweep(self) -> int:
        names = os.listdir(self._log.directory)
        return sweep(self._log.manifest, names, self._options.clock() - _WINDOW)

    def _size_of(self, entry: Entry) -> int:
        path = self._log.directory / entry.name
        return occupied([path, sidecar_path(path)]) + self._log.shelf.elsewhere([entry])


def _reason(before: datetime | None, keep_bytes: int | None) -> str:
    old = f"received before {before.isoformat()}" if before is not None else ""
    large = f"more than {keep_bytes} bytes" if keep_bytes is not None else ""
    return " or ".join(filter(None, (old, large)))
