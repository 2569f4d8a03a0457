"""One upgrade at a time, and signals while it is under way: a terminal that goes away does not end it half way.

Whoever sits at a terminal may lose it (SIGHUP), press Ctrl-C, or shut the machine down (SIGTERM). The service stands
still then, so the first goes on unheard, and the others become an error by which the course goes back.
"""

import fcntl
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Final

from appliance.errors import Conflict, TransientError

LOCK: Final = "upgrade.lock"


class Interrupted(TransientError):
    """Somebody, or the system, wants this process to end."""


@contextmanager
def alone(home: Path) -> Iterator[None]:
    """Be the one process that exchanges releases in ``home``. The lock goes with the process, however it ends.

    Raises:
        Conflict: another one is at it; the message names it.
    """
    descriptor = os.open(home / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            pid = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
            raise Conflict(f"an upgrade is under way (process {pid}): wait until it has ended") from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def to_be_interrupted() -> Iterator[None]:
    """Have Ctrl-C and SIGTERM raise ``Interrupted`` once, and SIGHUP nothing. For the main thread alone."""

    def interrupted(number: int, _: FrameType | None) -> None:
        _ignored()
        raise Interrupted(f"it was interrupted ({signal.Signals(number).name})")

    with _restored():
        signal.signal(signal.SIGHUP, _unheard)
        for one in (signal.SIGINT, signal.SIGTERM):
            signal.signal(one, interrupted)
        yield


@contextmanager
def undisturbed() -> Iterator[None]:
    """Hear none of them: going back is not interrupted."""
    with _restored():
        _ignored()
        yield


_HEARD: Final = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)


def _ignored() -> None:
    """By a handler, not by SIG_IGN: that would be handed down to the service that is started meanwhile."""
    for one in _HEARD:
        signal.signal(one, _unheard)


def _unheard(number: int, frame: FrameType | None) -> None: ...


@contextmanager
def _restored() -> Iterator[None]:
    before = {one: signal.getsignal(one) for one in _HEARD}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
