"""Brings what one pipeline has closed into the archive, and takes out what is gone. See the package for the order."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock
from typing import TYPE_CHECKING

from appliance.domain.clock import Clock
from appliance.errors import TransientError
from appliance.storage.bronze.archive.claim import Claim
from appliance.storage.bronze.archive.objects import Objects, sum_of_file
from appliance.storage.bronze.archive.shelf import ArchiveShelf
from appliance.storage.bronze.blockstore import Signature, signature_of
from appliance.storage.bronze.compaction import Stopped
from appliance.storage.bronze.corrections import FILE as CORRECTIONS
from appliance.storage.bronze.manifest_lines import NO_LINK, Archived, Entry
from appliance.storage.bronze.segment import key_of

if TYPE_CHECKING:
    from appliance.storage.bronze.pipeline_log import PipelineLog

MANIFEST = "manifest.jsonl"
_LOOK_EVERY = timedelta(days=1)  # at what the archive really has


@dataclass(frozen=True)
class Terms:
    """What the pipelines of a log share. ``keep``: what expires is kept in the archive until its newest event is this
    old; None: it goes at once. ``wake``: has a round made."""

    claim: Claim
    keep: timedelta | None
    clock: Clock
    wake: Callable[[], None]


class Archiver:
    """One pipeline's. ``rotten``: segments that are not archived because the file here is not as it was written."""

    def __init__(self, log: "PipelineLog", shelf: ArchiveShelf, objects: Objects, terms: Terms) -> None:
        self.rotten: set[str] = set()
        self._log, self._shelf, self._objects, self._terms = log, shelf, objects, terms
        self._lock = Lock()  # one at a time: a slow upload must not end after the one of what replaced it
        self._link = NO_LINK  # of the manifest that the archive has
        self._corrected: Signature | None = None
        self._looked_at: datetime | None = None
        self._swept = (0, 0)

    def round(self, stopping: Callable[[], bool] = lambda: False) -> None:
        """Archive everything that is closed and compressed, oldest first.

        Raises:
            TransientError: the archive cannot be reached.
            Conflict: somebody else archives under this name.
            Stopped: ``stopping`` says so.
            OSError: the disk refuses.
        """
        with self._lock:
            if self._log.deleted or not self._is_due(self._terms.clock()):
                return
            self._terms.claim.check()
            self._papers()
            for entry in self._pending():
                if stopping():
                    raise Stopped
                self._upload(entry)
            self._look(self._terms.clock())
            self._papers()

    def wake(self) -> None:
        """Have it look for what is new soon."""
        self._terms.wake()

    def settle(self, seqs: Sequence[int]) -> None:
        """Have the archive hold nothing of events that were erased here.

        Raises:
            TransientError: it does still; the same call again goes on.
        """
        wanted = sorted(set(seqs))
        with self._lock:
            if self._log.deleted:
                return
            try:
                self._terms.claim.check()
                self._papers()
                self._replace(self._holding(wanted))
                self._objects.remove(entry.name for entry in self._log.manifest.gone_with(wanted))
                self._papers()
            except TransientError as error:
                told = f"erasing events of {self._log.directory.name}: they are erased here, and in the archive not yet"
                raise TransientError(f"{told} ({error})", error.retry_after_secs) from error

    def proof(self) -> Iterator[tuple[Entry, str | None]]:
        """Read every archived object; yield its entry, and what is wrong with it or None."""
        for entry in self._log.manifest.entries():
            if self._log.manifest.is_archived(entry):
                found = self._objects.digest(entry.name)
                wrong = f"the archive has other bytes ({self._objects.place}, SHA-256 {found})"
                missing = f"it is not in the archive any more ({self._objects.place})"
                yield entry, None if found == entry.packed_sha256 else wrong if found else missing

    def _is_due(self, now: datetime) -> bool:
        manifest = self._log.manifest
        return (
            self._link != manifest.link
            or self._corrected != self._correction_file()
            or self._swept != manifest.gone
            or self._looked_at is None
            or now - self._looked_at >= _LOOK_EVERY
            or bool(self._shelf.missed)
            or bool(self.rotten)
            or bool(self._pending())  # compressed while the last round was under way
        )

    def _pending(self) -> list[Entry]:
        return [one for one in self._log.manifest.entries() if self._is_wanted(one)]

    def _is_wanted(self, entry: Entry) -> bool:
        if not self._log.manifest.is_archived(entry):
            return True
        return entry.name in self._shelf.missed and (self._log.directory / entry.name).exists()

    def _holding(self, seqs: Sequence[int]) -> list[Entry]:
        found = (self._log.manifest.find(seq) for seq in seqs)
        return list({entry.name: entry for entry in found if entry is not None}.values())

    def _replace(self, entries: Sequence[Entry]) -> None:
        """Have the archive's objects of these be as they are by now; what cannot be put there is at least not there."""
        for entry in entries:
            if not self._log.manifest.is_archived(entry):
                self._upload(entry)
            if not self._log.manifest.is_archived(entry):
                self._objects.remove([entry.name])

    def _upload(self, entry: Entry) -> None:
        """Store a segment, read it back, and say so in the manifest if it is still the same by then."""
        path = self._log.directory / entry.name
        with self._shelf.pinned(entry):
            if sum_of_file(path) != entry.packed_sha256:
                if self._is_current(entry):
                    self.rotten.add(entry.name)
                return
            self.rotten.discard(entry.name)
            try:
                self._objects.keep(entry.name, path, entry.packed_sha256)
            except TransientError:
                if self._is_current(entry):
                    raise
                return  # it was replaced meanwhile: what was stored may be half of each, and is stored again
            self._shelf.missed.discard(entry.name)
            with self._log.changing:
                if self._log.deleted or not self._is_current(entry):
                    return
                if not self._log.manifest.is_archived(entry):
                    line = Archived(
                        archived=entry.name, packed_sha256=entry.packed_sha256, at=self._terms.clock(), previous=""
                    )
                    self._log.manifest.append(line)
        self._shelf.is_here(entry)

    def _is_current(self, entry: Entry) -> bool:
        current = self._log.manifest.current(entry)
        return current is not None and current.packed_sha256 == entry.packed_sha256

    def _papers(self) -> None:
        """Have the archive's manifest and corrections say what those here say."""
        if self._link != self._log.manifest.link:
            link, content = self._log.manifest.content()
            self._objects.keep(MANIFEST, content)
            self._link = link
        found = self._correction_file()
        if found is not None and self._corrected != found:
            self._objects.keep(CORRECTIONS, (self._log.directory / CORRECTIONS).read_bytes())
            self._corrected = found

    def _correction_file(self) -> Signature | None:
        return signature_of(self._log.directory / CORRECTIONS)

    def _look(self, now: datetime) -> None:
        """Compare with what is in the archive: remove what has expired, note what it has lost."""
        due = self._looked_at is None or now - self._looked_at >= _LOOK_EVERY
        gone = self._log.manifest.gone
        if not due and self._swept == gone:
            return
        sizes = self._objects.sizes()
        if doomed := [name for name in sizes if self._is_over(name, now)]:
            self._objects.remove(doomed)
        for entry in self._log.manifest.entries():
            if self._log.manifest.is_archived(entry) and sizes.get(entry.name) != entry.packed_size:
                self._shelf.missed.add(entry.name)
        self._looked_at, self._swept = now, gone

    def _is_over(self, name: str, now: datetime) -> bool:
        """Return whether an object has expired, and is kept no longer."""
        key = key_of(name)
        if key is None or not name.endswith(".zst") or key > self._log.manifest.gone:
            return False
        entry, keep = self._log.manifest.named(name), self._terms.keep
        return keep is None or entry is None or entry.newest_at + keep < now
