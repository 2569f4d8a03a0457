"""Making a pipeline's log again from the archive alone, in a place where there is none.

It grows in a directory that is no pipeline's, and gets its name at the end. What is there is not fetched twice: a
segment is done when its index is written. Every byte is summed against the manifest, whose chain was proved before.
"""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import structlog

from appliance.components.archive import ArchiveStore, Restored
from appliance.components.durable import sync_directory
from appliance.errors import Conflict, FatalError, NotFound
from appliance.storage.bronze.archive.objects import Objects, sum_of_file
from appliance.storage.bronze.archive.shelf import FETCHED
from appliance.storage.bronze.chain import Chain
from appliance.storage.bronze.corrections import FILE as CORRECTIONS
from appliance.storage.bronze.dedupe import deliveries_in
from appliance.storage.bronze.manifest import Manifest
from appliance.storage.bronze.manifest_lines import Entry
from appliance.storage.bronze.sidecar import sidecar_path, write_sidecar
from appliance.storage.bronze.unpack import rebuild_blocks

RESTORING = ".restoring-"  # begins the name of a directory that is not whole yet
_MANIFEST = "manifest.jsonl"
_FETCHES = 2

log = structlog.get_logger("bronze")


def pipelines_in(store: ArchiveStore, name: str) -> list[str]:
    """Return the pipelines that are archived under ``name``."""
    keys = (one.key.split("/") for one in store.list(name))
    return sorted({parts[1] for parts in keys if len(parts) == 3 and parts[2] == _MANIFEST})


class Restoration:
    """Of one pipeline. ``local_cache``: bytes of segments that stay here once proved, the newest; None: all."""

    def __init__(self, objects: Objects, root: Path, pipeline_id: str, local_cache: int | None) -> None:
        self._objects, self._pipeline_id, self._local_cache = objects, pipeline_id, local_cache
        self._target = root / pipeline_id
        self._work = root / (RESTORING + pipeline_id)
        self._lost: dict[str, str] = {}
        self._old: list[str] = []

    def steps(self) -> Iterator[Restored]:
        """Do it, and yield how far it is after each segment.

        Raises:
            Conflict: there is a log of this pipeline here.
            NotFound: there is none in the archive.
            FatalError: its manifest is not as it was written.
            TransientError: the archive cannot be reached; done again, it goes on.
        """
        if self._target.exists():
            raise Conflict(f"restoring {self._pipeline_id}: there is a log in {self._target}; move it away first")
        self._work.mkdir(mode=0o750, parents=True, exist_ok=True)
        chain, manifest = self._papers()
        entries = [chain.entries[name] for name in chain.names if not chain.expired(chain.entries[name])]
        stays, total = self._staying(entries, manifest), 0
        last_seq = max((entry.last_seq for entry in chain.entries.values()), default=0)
        for done, entry in enumerate(entries):
            yield self._told(done, len(entries), total, last_seq)
            total += self._segment(entry, chain.files.get(entry.name, set()), stays=entry.name in stays)
        self._end()
        yield msgspec.structs.replace(self._told(len(entries), len(entries), total, last_seq), finished=True)

    def _told(self, done: int, segments: int, size: int, last_seq: int) -> Restored:
        return Restored(
            pipeline_id=self._pipeline_id, done=done, segments=segments, bytes=size, last_seq=last_seq,
            lost=dict(self._lost), erase_again=list(self._old),
        )  # fmt: skip

    def _papers(self) -> tuple[Chain, Manifest]:
        """Fetch manifest and corrections, and prove the chain."""
        for name in (_MANIFEST, CORRECTIONS):
            draft = self._work / (name + FETCHED)
            try:
                self._objects.fetch(name, draft)
            except NotFound:
                if name == _MANIFEST:
                    raise
                continue
            draft.rename(self._work / name)
        chain = Chain(self._work / _MANIFEST)
        if wrong := list(chain.read()):
            raise FatalError(
                f"restoring {self._pipeline_id}: the manifest in {self._objects.place} is not as it was written: "
                f"{wrong[0]}",
                hint="put an older version of manifest.jsonl back there, if the archive keeps versions",
            )
        return chain, Manifest(self._work / _MANIFEST)

    def _staying(self, entries: list[Entry], manifest: Manifest) -> set[str]:
        """Return the segments that are left here: the newest that fit, and all that are not known to be archived."""
        names, size = set(), 0
        for entry in reversed(entries):
            size += entry.packed_size
            if self._local_cache is None or size <= self._local_cache or not manifest.is_archived(entry):
                names.add(entry.name)
        return names

    def _segment(self, entry: Entry, former: set[str], *, stays: bool) -> int:
        """Fetch and index one segment unless that was done before; return the bytes fetched."""
        path = self._work / entry.name
        found = sum_of_file(path) if sidecar_path(path).exists() else None
        if found == "" and not stays:
            return 0  # proved, indexed and let go before
        draft = self._work / (entry.name + FETCHED)
        if found is None or found not in {entry.packed_sha256, *former}:
            found = self._fetch(entry, former, draft)
        if found in former:
            self._old.append(entry.name)
        return self._take(draft, path, stays=stays or found in former) if draft.exists() else 0

    def _fetch(self, entry: Entry, former: set[str], draft: Path) -> str:
        """Fetch a segment and return its sum; nothing, and no draft, where it is lost."""
        found = ""
        for _ in range(_FETCHES):
            try:
                found = self._objects.fetch(entry.name, draft)
            except NotFound:
                self._lost[entry.name] = "it is not in the archive"
                return ""
            if found in {entry.packed_sha256, *former}:
                return found
        draft.unlink()
        self._lost[entry.name] = f"the archive has other bytes (SHA-256 {found})"
        return ""

    def _take(self, draft: Path, path: Path, *, stays: bool) -> int:
        size = draft.stat().st_size
        draft.rename(path)
        sync_directory(self._work)
        write_sidecar(sidecar_path(path), rebuild_blocks(path).blocks, deliveries_in(path))
        if not stays:
            path.unlink()
        return size

    def _end(self) -> None:
        sync_directory(self._work)
        self._work.rename(self._target)
        sync_directory(self._target.parent)
        log.info("bronze.restored", pipeline=self._pipeline_id, source=self._objects.place, lost=len(self._lost))
