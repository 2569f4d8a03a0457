"""The shelf of a pipeline that is archived: files on this disk, and what is not is fetched when somebody reads it."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from appliance.components.durable import sync_directory
from appliance.errors import NotFound, TransientError
from appliance.storage.bronze.archive.cache import Cache, Held
from appliance.storage.bronze.archive.objects import Objects, sum_of_file
from appliance.storage.bronze.frame import Damaged
from appliance.storage.bronze.manifest_lines import Entry
from appliance.storage.bronze.shelf import Shelf

if TYPE_CHECKING:
    from appliance.storage.bronze.archive.archiver import Archiver
    from appliance.storage.bronze.pipeline_log import PipelineLog

FETCHED = ".fetched.tmp"  # ends the name of a file on its way: the next start removes it
_FETCHES = 2  # bytes that were changed on the way come right the second time

log = structlog.get_logger("bronze")


class ArchiveShelf(Shelf):
    """Shares ``cache`` with the other pipelines. ``archiver`` sees to what is to be erased."""

    def __init__(self, log: "PipelineLog", objects: Objects, cache: Cache) -> None:
        super().__init__(log.directory, log.manifest)
        self.archiver: Archiver
        self.missed: set[str] = set()  # segments that the archive has not got as it should
        self._log, self._objects, self._cache = log, objects, cache

    @contextmanager
    def lend(self, entry: Entry) -> Iterator[Path]:
        path = self.directory / entry.name
        try:
            with self._cache.pin(path):
                if not path.exists() and self._manifest.is_archived(entry):
                    self._bring(entry, path)
                yield path
        finally:
            self._cache.make_room()

    def renew(self, entry: Entry) -> bool:
        path = self.directory / entry.name
        if not self._manifest.is_archived(entry) or sum_of_file(path) == entry.packed_sha256:
            return False
        with self._cache.pin(path), self._cache.fetching(path):
            try:
                draft = self._fetched(entry)
            except Damaged:
                return False
            with self._log.changing:
                current = self._manifest.current(entry)
                if self._log.deleted or current is None or current.packed_sha256 != entry.packed_sha256:
                    draft.unlink()
                    return False
                self._put_in_place(draft, path)
        log.info("bronze.renewed", pipeline=self.directory.name, segment=entry.name, source=self._objects.place)
        return True

    def elsewhere(self, entries: Sequence[Entry]) -> int:
        away = (one for one in entries if self._manifest.is_archived(one))
        return sum(one.packed_size for one in away if not (self.directory / one.name).exists())

    def erased(self, seqs: Sequence[int]) -> None:
        self.archiver.settle(seqs)

    def changed(self) -> None:
        self.archiver.wake()

    def is_here(self, entry: Entry) -> None:
        """Count a segment that is archived among those that may go, if its file is here."""
        path = self.directory / entry.name
        if path.exists():
            self._cache.here(path, Held(entry.packed_size, entry.newest_at, partial(self._evict, entry)))

    def pinned(self, entry: Entry) -> AbstractContextManager[None]:
        """Keep the file from going, if it is here."""
        return self._cache.pin(self.directory / entry.name)

    def _bring(self, entry: Entry, path: Path) -> None:
        with self._cache.fetching(path):
            if not path.exists():  # nobody was faster
                self._put_in_place(self._fetched(entry), path)
        self.is_here(entry)

    def _fetched(self, entry: Entry) -> Path:
        """Return a draft with the bytes that the manifest vouches for.

        Raises:
            Damaged: the archive has other bytes, or nothing.
        """
        draft = self.directory / (entry.name + FETCHED)
        try:
            for _ in range(_FETCHES):
                found = self._objects.fetch(entry.name, draft)
                if found == entry.packed_sha256:
                    self.missed.discard(entry.name)
                    return draft
        except NotFound as error:
            self._ask_for_manifest(entry)
            self.missed.add(entry.name)
            raise Damaged(0, f"it is not in the archive any more ({self._objects.place})") from error
        except TransientError as error:
            told = f"reading {entry.name} of {self.directory.name}, which is in the archive only: {error}"
            raise TransientError(told, error.retry_after_secs) from error
        draft.unlink()
        self.missed.add(entry.name)
        raise Damaged(0, f"the archive has other bytes ({self._objects.place}, SHA-256 {found})")

    def _ask_for_manifest(self, entry: Entry) -> None:
        """An archive that has nothing of this pipeline is not the one it was archived to: nothing is lost by that."""
        try:
            self._objects.content("manifest.jsonl")
        except NotFound as error:
            told = f"reading {entry.name} of {self.directory.name}: {self._objects.place} has nothing of this pipeline"
            raise TransientError(f"{told}; see that archive.url is the one it was archived to", 30.0) from error

    def _put_in_place(self, draft: Path, path: Path) -> None:
        draft.rename(path)
        sync_directory(self.directory)

    def _evict(self, entry: Entry) -> bool:
        """Remove the file if it is archived as it is, and neither read nor being replaced."""
        path = self.directory / entry.name
        if entry.name in self.missed or not self._log.changing.acquire(blocking=False):
            return False
        try:
            with self._cache.lock:
                if not path.exists():
                    return True  # it has expired
                current = self._manifest.current(entry)
                if current is None or not self._manifest.is_archived(current) or self._cache.pinned(path):
                    return False
                path.unlink()
                return True
        except OSError as error:
            log.warning("bronze.not_evicted", pipeline=self.directory.name, segment=entry.name, error=str(error))
            return False
        finally:
            self._log.changing.release()
