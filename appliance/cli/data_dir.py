"""The data directory has one owner at a time: whoever holds the lock on the file ``lock`` in it."""

import errno
import fcntl
import os
import pwd
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from appliance.cli.exits import CannotCreate
from appliance.errors import ConfigError, Problem, TransientError

LOCK_FILE: Final = "lock"
_SIGNED_WITHIN_SECS: Final = 1.0  # a new owner locks first and writes its pid then


def become_owner(data_dir: Path) -> None:
    """As root, act from now on as the user whom ``data_dir`` belongs to, for good.

    What root made there the service could not write, so that its next backup or its next pipeline would fail; and what
    it may have left there, such as a link, must not lead root.
    """
    if os.geteuid() != 0 or not data_dir.is_dir():
        return
    found = data_dir.stat()
    if found.st_uid == 0:
        return
    try:
        groups = os.getgrouplist(pwd.getpwuid(found.st_uid).pw_name, found.st_gid)
    except KeyError:  # a user without a name
        groups = [found.st_gid]
    os.setgroups(groups)
    os.setgid(found.st_gid)
    os.setuid(found.st_uid)


def asked_as_owner(data_dir: Path, ask: Callable[[], str]) -> str:
    """Return what ``ask`` answers as the user whom ``data_dir`` belongs to, empty if that fails; root stays root.

    Databases that somebody else may have written are not read by root.
    """
    if os.geteuid() != 0 or data_dir.stat().st_uid == 0:
        return ask()
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        try:
            become_owner(data_dir)
            os.write(writing, ask().encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    return said


@contextmanager
def owned(data_dir: Path, *, as_owner: bool = True) -> Iterator[Path]:
    """Make ``data_dir`` if it is not there, and own it until the end. The lock goes with the process, however it ends.

    ``as_owner``: root becomes the user whom it belongs to, see ``become_owner``.

    Raises:
        CannotCreate: it cannot be made or written.
        TransientError: another process owns it; the message names its pid.
    """
    if as_owner:
        become_owner(data_dir)
    descriptor = _open(data_dir)
    try:
        _lock(descriptor, data_dir)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield data_dir
    finally:
        os.close(descriptor)  # the file stays: removing it would let two processes lock two files of that name


def existing(data_dir: Path) -> Path:
    """Return ``data_dir``. Raises ConfigError: there is none, so that a mistyped one is not made."""
    if not data_dir.is_dir():
        told = f"there is no directory {str(data_dir)!r}"
        raise ConfigError([Problem("server.data_dir", told, "say where the data is: --data-dir")])
    return data_dir


def owner(data_dir: Path) -> int | None:
    """Return the pid of the process that owns ``data_dir``, 0 if it cannot be told, None if nobody does."""
    try:
        descriptor = os.open(data_dir / LOCK_FILE, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _pid(descriptor)
    finally:
        os.close(descriptor)
    return None


def _open(data_dir: Path) -> int:
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        return os.open(data_dir / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        hint = {errno.EROFS: "the file system is read-only", errno.ENOSPC: "the disk is full"}.get(
            error.errno or 0, error.strerror
        )
        raise CannotCreate(
            f"the data directory {str(data_dir)!r} cannot be used: {hint}; "
            f"give uid {os.getuid()} write permission, or choose another with --data-dir"
        ) from error


def _lock(descriptor: int, data_dir: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise TransientError(
            f"the data directory {str(data_dir)!r} belongs to the running process {_pid(descriptor) or 'unknown'}: "
            "stop that one first, or choose another with --data-dir"
        ) from error


def _pid(descriptor: int) -> int:
    """Return the pid that the owner wrote, waiting a moment for one that has only just locked; 0: none."""
    deadline = time.monotonic() + _SIGNED_WITHIN_SECS
    while True:
        text = os.pread(descriptor, 32, 0)
        pid = int(text) if text.strip().isdigit() else 0
        # Otherwise it is half written, or that of an owner before this one.
        signed = text.endswith(b"\n") and Path(f"/proc/{pid}").exists()
        if signed or time.monotonic() >= deadline:
            return pid
        time.sleep(0.01)
