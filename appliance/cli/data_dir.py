"""The data directory has one owner at a time: whoever holds the lock on the file ``lock`` in it."""

import errno
import fcntl
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from appliance.cli.exits import CannotCreate
from appliance.errors import ConfigError, Problem, TransientError

LOCK_FILE: Final = "lock"
_SIGNED_WITHIN_SECS: Final = 1.0  # a new owner locks first and writes its pid then


@contextmanager
def owned(data_dir: Path) -> Iterator[Path]:
    """Make ``data_dir`` if it is not there, and own it until the end. The lock goes with the process, however it ends.

    What root leaves there is handed over to whom the directory belongs: the service could not use it otherwise.

    Raises:
        CannotCreate: it cannot be made or written.
        TransientError: another process owns it; the message names its pid.
    """
    descriptor = _open(data_dir)
    try:
        _lock(descriptor, data_dir)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield data_dir
    finally:
        hand_over(data_dir)
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


def hand_over(data_dir: Path) -> None:
    """Give what root made to whom the directory belongs. What lies elsewhere, or may, is left alone."""
    if os.geteuid() != 0 or not data_dir.is_dir() or (of := data_dir.stat()).st_uid == 0:
        return
    # By descriptor: whoever may write the directory must not lead root to files elsewhere meanwhile.
    for _, folders, files, at in os.fwalk(data_dir):
        for name in (*folders, *files):
            with suppress(FileNotFoundError):  # a running appliance removes files
                if _is_roots_own(os.stat(name, dir_fd=at, follow_symlinks=False)):
                    os.chown(name, of.st_uid, of.st_gid, dir_fd=at, follow_symlinks=False)


def _is_roots_own(found: os.stat_result) -> bool:
    kept_here = stat.S_ISDIR(found.st_mode) or (stat.S_ISREG(found.st_mode) and found.st_nlink == 1)
    return kept_here and found.st_uid == 0


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
