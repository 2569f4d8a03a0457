"""The one background thread of a log: compresses what is closed, closes what is old."""

from collections.abc import Callable, Iterable
from threading import Event, Lock, Thread

from appliance.storage.bronze.compaction import Stopped
from appliance.storage.bronze.frame import Damaged
from appliance.storage.bronze.pipeline_log import PipelineLog

_ROUND_SECS = 30.0
_REST = 2.0  # seconds of rest for each second of work: receiving and refining need the processor more


class Caretaker:
    """Visits every open pipeline log when told to and every 30 s.

    Not by thread priority: a thread that is held back while it has the interpreter's lock holds everybody back.
    """

    def __init__(self, logs: Callable[[], Iterable[PipelineLog]]) -> None:
        self._logs = logs
        self._wake = Event()
        self._stop = Event()
        self._starting = Lock()
        self._thread: Thread | None = None
        self.compressed: Callable[[], None] = lambda: None  # is told that there is something to archive
        self.troubles: dict[str, str] = {}  # pipeline: why its closed segments stay uncompressed

    def wake(self) -> None:
        """Have the round made now; starts the thread at the first call."""
        self._wake.set()
        with self._starting:
            if self._thread is None and not self._stop.is_set():
                self._thread = Thread(target=self._run, name="bronze-caretaker", daemon=True)
                self._thread.start()

    def stop(self) -> None:
        """End the thread; what it was compressing is left for the next start."""
        self._stop.set()
        self._wake.set()
        with self._starting:
            thread, self._thread = self._thread, None
        if thread is not None:
            thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wake.wait(_ROUND_SECS)
            self._wake.clear()
            for log in list(self._logs()):
                self._visit(log)

    def _visit(self, log: PipelineLog) -> None:
        try:
            log.tick()
            while not self._stop.is_set() and self._compact(log):
                pass
            self.troubles.pop(log.directory.name, None)
        except Stopped:
            return
        except OSError as error:
            self.troubles[log.directory.name] = f"compressing failed ({error}); it is tried again every 30 s"

    def _compact(self, log: PipelineLog) -> bool:
        try:
            done = log.compact_oldest(self._pace)
        except Damaged:
            done = log.compact_oldest(self._pace)  # what can be read of it; the rest is quarantined
        if done:
            self.compressed()
        return done

    def _pace(self, worked_secs: float) -> None:
        if self._stop.wait(worked_secs * _REST):
            raise Stopped
