"""Locks of a repository, as small objects in it: many may write, one may prune, and never both.

Whoever comes writes its own first and looks then, so that of two at the same moment at least one sees the other. A lock
that was not renewed for a quarter of an hour is one that was left behind; so is one of this machine whose process is
gone. Only by this do clocks matter, and not by less than that.
"""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime, timedelta
from secrets import token_hex
from typing import Final

import msgspec
import structlog

from appliance.components.archive import ArchiveStore
from appliance.domain.clock import Clock, utc_now
from appliance.errors import Conflict, DashError, NotFound, TransientError

FOLDER: Final = "locks"
LAST: Final = timedelta(minutes=15)
RENEW_SECS: Final = 120.0

log = structlog.get_logger("backup")


class Lock(msgspec.Struct, frozen=True, kw_only=True):
    """Who holds it. ``alone``: to prune. ``at``: when it was renewed."""

    alone: bool
    what: str
    host: str
    pid: int
    boot: str
    at: datetime


class Held:
    """A lock that is held, and renewed beside the work."""

    def __init__(self, store: ArchiveStore, key: str, lock: Lock, clock: Clock) -> None:
        self._store, self._key, self._lock, self._clock = store, key, lock, clock
        self._renewed = clock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._renew, name="backup-lock", daemon=True)

    def check(self) -> None:
        """Return if it still holds: asked before anything is removed.

        Raises:
            Conflict: it could not be renewed in time, or somebody took it away.
        """
        lost = self._clock() - self._renewed > LAST / 2
        with suppress(NotFound):
            b"".join(self._store.read(self._key))
            if not lost:
                return
        raise Conflict(f"{self._lock.what} in {self._store.place}: its lock was lost; run it again")

    def begin(self) -> None:
        self._thread.start()

    def end(self) -> None:
        self._ended.set()
        self._thread.join()
        try:
            self._store.delete([self._key])
        except DashError as error:  # it ends by itself in a quarter of an hour
            log.warning("backup.lock_left", error=str(error))

    def _renew(self) -> None:
        while not self._ended.wait(RENEW_SECS):
            now = self._clock()
            try:
                self._store.put(self._key, msgspec.json.encode(msgspec.structs.replace(self._lock, at=now)))
                self._renewed = now
            except DashError as error:
                log.warning("backup.lock_not_renewed", error=str(error))


@contextmanager
def locked(store: ArchiveStore, what: str, *, alone: bool = False, clock: Clock = utc_now) -> Iterator[Held]:
    """Hold a lock inside; ``what``: what is done, in words.

    Raises:
        Conflict: somebody prunes, or, for one ``alone``, somebody writes.
    """
    lock = Lock(alone=alone, what=what, host=socket.gethostname(), pid=os.getpid(), boot=_boot(), at=clock())
    key = f"{FOLDER}/{'prune' if alone else 'write'}-{token_hex(8)}.json"
    held = Held(store, key, lock, clock)
    store.put(key, msgspec.json.encode(lock), only_new=True)
    held.begin()
    try:
        _refuse_beside(store, key, lock)
        yield held
    finally:
        held.end()


@contextmanager
def reading(store: ArchiveStore, what: str) -> Iterator[None]:
    """Keep what is read from being pruned, where a lock can be written at all: a place may be read-only.

    Raises:
        Conflict: somebody prunes.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(locked(store, what))
        except TransientError as error:
            log.info("backup.read_without_lock", place=store.place, reason=str(error))
        yield


def _refuse_beside(store: ArchiveStore, own: str, lock: Lock) -> None:
    for key, other in _others(store, own):
        if _left_behind(other, lock.at):
            log.info("backup.lock_removed", what=other.what, host=other.host, pid=other.pid)
            store.delete([key])
        elif other.alone or lock.alone:
            raise Conflict(
                f"{lock.what} in {store.place}: {other.what} is under way on {other.host} (process {other.pid}, "
                f"seen {other.at.isoformat(timespec='seconds')}); try again when it has ended"
            )


def _others(store: ArchiveStore, own: str) -> Iterator[tuple[str, Lock]]:
    for one in list(store.list(FOLDER)):
        if one.key == own:
            continue
        with suppress(NotFound, msgspec.DecodeError, UnicodeDecodeError):  # gone meanwhile, or no lock
            yield one.key, msgspec.json.decode(b"".join(store.read(one.key)), type=Lock)


def _left_behind(other: Lock, now: datetime) -> bool:
    if abs(now - other.at) > LAST:
        return True
    here = (other.host, other.boot) == (socket.gethostname(), _boot())
    return here and not os.path.exists(f"/proc/{other.pid}")


def _boot() -> str:
    """Return what tells this start of this machine from every other: a process id is unique in it."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            boot = file.read().strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""
