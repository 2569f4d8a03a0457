"""The archive of a whole log: its pipelines, the space their archived segments take here, and how it is doing."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from appliance.components.archive import ArchiveState, ArchiveStore
from appliance.components.durable import sync_directory
from appliance.domain.clock import Clock, utc_now
from appliance.storage.bronze.archive.archiver import Archiver, Terms
from appliance.storage.bronze.archive.cache import Cache
from appliance.storage.bronze.archive.claim import Claim, Identity
from appliance.storage.bronze.archive.objects import Objects
from appliance.storage.bronze.archive.pending import Archived, Pending, archived_of, pending_of
from appliance.storage.bronze.archive.restore import Restoration, pipelines_in
from appliance.storage.bronze.archive.rounds import Rounds
from appliance.storage.bronze.archive.shelf import ArchiveShelf
from appliance.storage.bronze.disk import write_new

if TYPE_CHECKING:
    from appliance.storage.bronze.pipeline_log import PipelineLog

DELETED = ".unarchive-"  # begins the name of a note that a pipeline was deleted here, and may be in the archive still


@dataclass(frozen=True, kw_only=True)
class Archiving:
    """``node``: see ``Claim``. ``local_cache``: bytes of archived segments kept on this disk too; None: all.

    ``keep``: see ``Terms``.
    """

    store: ArchiveStore
    who: Identity
    node: str | None = None
    local_cache: int | None = None
    keep: timedelta | None = None


class LogArchive:
    """Belongs to one log. Nothing is stored before ``start``; reading fetches at any time."""

    def __init__(self, root: Path, terms: Archiving, clock: Clock = utc_now) -> None:
        self._root, self._archiving = root, terms
        self._cache = Cache(terms.local_cache)
        self._lines: dict[str, tuple[PipelineLog, ArchiveShelf, Archiver]] = {}
        self._counted: set[str] = set()  # pipelines whose archived segments the cache knows
        self.rounds = Rounds(lambda: [(log.directory.name, archiver) for log, _, archiver in self.lines()])
        self.rounds.first, self.rounds.last = self._begin, self._end
        self.latest = self._told(Pending(), Archived())  # as it was at the end of the last round: asking costs nothing
        claim = Claim(terms.store, terms.who, terms.node)
        self._terms = Terms(claim, terms.keep, clock, self.rounds.wake)

    @property
    def place(self) -> str:
        return f"{self._archiving.store.place}/{self._archiving.who.name}"

    def attach(self, log: "PipelineLog") -> None:
        """Have ``log`` archived, and read from the archive what is not here."""
        name = log.directory.name
        shelf = ArchiveShelf(log, self._objects(name), self._cache)
        shelf.archiver = Archiver(log, shelf, self._objects(name), self._terms)
        self._lines[name] = (log, shelf, shelf.archiver)
        log.shelf = shelf
        (self._root / (DELETED + name)).unlink(missing_ok=True)  # the deletion ended before it began

    def delete(self, name: str) -> None:
        """Note durably that a pipeline's objects are to go; called before its log goes."""
        write_new(self._root / (DELETED + name), b"")

    def detach(self, log: "PipelineLog") -> None:
        """Forget a pipeline whose log is gone."""
        self._lines.pop(log.directory.name, None)
        self._counted.discard(log.directory.name)
        self._cache.forget(log.directory)
        self.rounds.wake()

    def press(self, pressed: bool) -> None:
        """Have everything go from this disk that is archived, for as long as the disk is nearly full."""
        if pressed != self._cache.pressed:
            self._cache.pressed = pressed
            self.rounds.wake()

    def lines(self) -> "list[tuple[PipelineLog, ArchiveShelf, Archiver]]":
        return list(self._lines.values())

    def archiver(self, name: str) -> Archiver:
        """Return who archives an attached pipeline."""
        return self._lines[name][2]

    def pipelines(self) -> list[str]:
        """Return the pipelines that are archived under this name."""
        return pipelines_in(self._archiving.store, self._archiving.who.name)

    def restoration(self, pipeline_id: str) -> Restoration:
        """Return what makes the log of a pipeline again; see ``Restoration.steps``."""
        return Restoration(self._objects(pipeline_id), self._root, pipeline_id, self._archiving.local_cache)

    def node(self) -> str | None:
        """Return which node archives under this name, if that is known."""
        return self._terms.claim.node()

    def take_over(self) -> None:
        """Archive under this name from now on, whoever did: its machine is lost."""
        self._terms.claim.take()

    def state(self) -> ArchiveState:
        """Return what is archived and what is not; looks at every manifest, and waits for no archive."""
        pending, held = Pending(), Archived()
        for log, _, _ in self.lines():
            pending += pending_of(log)
            held += archived_of(log)
        return self._told(pending, held)

    def _told(self, pending: Pending, held: Archived) -> ArchiveState:
        troubles = list(self.rounds.troubles.items())
        told = self.rounds.trouble or "; ".join(f"{name}: {trouble}" for name, trouble in troubles)
        return ArchiveState(
            place=self._archiving.store.place,
            name=self._archiving.who.name,
            archived_segments=held.segments,
            archived_bytes=held.bytes,
            local_bytes=held.local_bytes,
            pending_events=pending.events,
            pending_bytes=pending.bytes,
            pending_since=pending.since,
            well=not told,
            told=told or "what has closed is archived",
        )

    def _objects(self, pipeline: str) -> Objects:
        return Objects(self._archiving.store, f"{self._archiving.who.name}/{pipeline}")

    def _begin(self) -> None:
        """Count what is here of what is archived, and take deleted pipelines out of the archive."""
        for name, (log, shelf, _) in list(self._lines.items()):
            if name not in self._counted:
                self._counted.add(name)
                for entry in log.manifest.entries():
                    if log.manifest.is_archived(entry):
                        shelf.is_here(entry)
        for note in self._root.glob(f"{DELETED}*"):
            name = note.name.removeprefix(DELETED)
            if name not in self._lines and not (self._root / name).exists():
                self._remove(note)

    def _end(self) -> None:
        self._cache.make_room()
        with suppress(OSError):  # a disk that does not read a manifest: the round has told it
            self.latest = self.state()

    def _remove(self, note: Path) -> None:
        self._terms.claim.check()
        objects = self._objects(note.name.removeprefix(DELETED))
        objects.remove(objects.sizes())
        note.unlink()
        sync_directory(self._root)
