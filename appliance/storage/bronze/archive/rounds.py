"""The one background thread that archives: every pipeline in turn, when something has closed and every 30 s."""

from collections.abc import Callable, Iterable
from threading import Event, Lock, Thread

import structlog

from appliance.errors import DashError
from appliance.storage.bronze.archive.archiver import Archiver
from appliance.storage.bronze.compaction import Stopped

_ROUND_SECS = 30.0
_END_SECS = 5.0  # to wait for a request that is under way; what comes of it is found out by the next start
_AGAIN_SECS = 5.0  # while the archive refuses

log = structlog.get_logger("bronze")


class Rounds:
    """``trouble``: why the archive gets nothing at present. ``troubles``: what is wrong with one pipeline's."""

    def __init__(self, archivers: Callable[[], Iterable[tuple[str, Archiver]]]) -> None:
        self.first: Callable[[], None] = lambda: None  # done before each round
        self.last: Callable[[], object] = lambda: None  # done after each round, whatever came of it
        self.trouble: str | None = None
        self.troubles: dict[str, str] = {}
        self._archivers = archivers
        self._wake = Event()
        self._stop = Event()
        self._starting = Lock()
        self._thread: Thread | None = None

    def start(self) -> None:
        """Begin; a second call does nothing."""
        with self._starting:
            if self._thread is None and not self._stop.is_set():
                self._wake.set()
                self._thread = Thread(target=self._run, name="bronze-archiver", daemon=True)
                self._thread.start()

    def wake(self) -> None:
        """Have a round made now, if this was started."""
        self._wake.set()

    def stop(self) -> None:
        """End the thread after the request that is under way, or leave it to the end of the process."""
        self._stop.set()
        self._wake.set()
        with self._starting:
            thread, self._thread = self._thread, None
        if thread is not None:
            thread.join(_END_SECS)

    def make(self) -> None:
        """Make one round now. What the archive refuses is told in ``trouble``."""
        try:
            self.first()
            for name, archiver in list(self._archivers()):
                self._visit(name, archiver)
        except (DashError, OSError) as error:  # whatever it is, the next round comes
            self._tell(str(error))
        except Stopped:
            return
        else:
            self._tell(None)
        finally:
            self.last()

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wake.wait(_ROUND_SECS if self.trouble is None else _AGAIN_SECS)
            self._wake.clear()
            if not self._stop.is_set():
                self.make()

    def _visit(self, name: str, archiver: Archiver) -> None:
        try:
            archiver.round(self._stop.is_set)
        except OSError as error:
            self.troubles[name] = f"reading what is to be archived failed ({error})"
            return
        self.troubles.pop(name, None)
        if archiver.rotten:
            told = f"{min(archiver.rotten)} is not as it was written, and so not archived"
            self.troubles[name] = f"{told}: put a copy of it back"

    def _tell(self, trouble: str | None) -> None:
        if trouble is not None and self.trouble is None:
            log.warning("bronze.not_archived", reason=trouble)
        elif trouble is None and self.trouble is not None:
            log.info("bronze.archived_again")
        self.trouble = trouble
