"""What root takes over of a release before it looks at it: copies, where nobody else can change them any more.

Whoever runs as the service may have left anything in its folder, and may change it at any moment; a release that an
administrator names may lie where others write. So what is proved, and then unpacked, is a copy.
"""

import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from appliance.errors import Conflict, NotFound
from appliance.upgrading.staging import BUNDLE, FOLDER, MOST_BYTES, SIGNATURE, WANTED, Wish

INCOMING: Final = "incoming"  # beside the releases
_STEP: Final = 1 << 20
_WISH_BYTES: Final = 4096


class Taken(NamedTuple):
    """Copies that nobody else can change. ``version``: which release was asked for; None: nobody said."""

    bundle: Path
    signature: Path
    version: str | None = None


@contextmanager
def into(home: Path) -> Iterator[Path]:
    """Give a place beside the releases for what is taken, which is gone afterwards."""
    incoming = home / INCOMING
    try:
        yield incoming
    finally:
        shutil.rmtree(incoming, ignore_errors=True)


def unasked(data_dir: Path) -> None:
    """Take the wish away without doing anything: one that stays is heard again at once, and without end."""
    with _folder(data_dir) as folder:
        _wished(folder)


def forgotten(data_dir: Path) -> None:
    """Remove the release that was taken from where it waited."""
    with _folder(data_dir) as folder:
        for name in (BUNDLE, SIGNATURE):
            with suppress(FileNotFoundError):
                os.unlink(name, dir_fd=folder)


def taken(data_dir: Path, into: Path) -> Taken:
    """Take the release that waits in ``data_dir`` to the new directory ``into``, which only this process's user can
    write, and the wish away. Whoever left it may do anything to his own files meanwhile: no link is followed, neither
    of a file nor of the folder.

    Raises:
        NotFound: nothing waits.
        Conflict: what waits is no file, or too large.
    """
    _emptied(into)
    with _folder(data_dir) as folder:
        version = _wished(folder)
        for name in (BUNDLE, SIGNATURE):
            _copied(name, into / name, MOST_BYTES[name], folder)
    return Taken(into / BUNDLE, into / SIGNATURE, version)


def kept_from(bundle: Path, signature: Path, into: Path) -> Taken:
    """Copy a release that somebody names to the new directory ``into``: it may lie where others write, and what was
    proved must be what is unpacked.

    Raises:
        NotFound, Conflict: as ``taken``.
    """
    _emptied(into)
    copies = Taken(into / bundle.name, into / f"{bundle.name}.sig")
    _copied(bundle, copies.bundle, MOST_BYTES[BUNDLE])
    _copied(signature, copies.signature, MOST_BYTES[SIGNATURE])
    return copies


@contextmanager
def _folder(data_dir: Path) -> Iterator[int]:
    """Open the folder of uploads, which is the service's: it may be anything. Raises NotFound: it is none."""
    try:
        folder = os.open(data_dir / FOLDER, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise _nothing(data_dir / FOLDER, error) from error
    try:
        yield folder
    finally:
        os.close(folder)


def _emptied(into: Path) -> None:
    shutil.rmtree(into, ignore_errors=True)
    into.mkdir(mode=0o700)


def _wished(folder: int) -> str | None:
    """Take the wish away and return which release it is for."""
    try:
        descriptor = os.open(WANTED, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except OSError:
        descriptor = None
    with suppress(FileNotFoundError):
        os.unlink(WANTED, dir_fd=folder)
    if descriptor is None:
        return None
    with os.fdopen(descriptor, "rb") as file:
        try:
            return msgspec.json.decode(file.read(_WISH_BYTES), type=Wish).version
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            return None


def _copied(source: Path | str, target: Path, most: int, folder: int | None = None) -> None:
    """``folder``: of the service's, where no link is followed; None: an administrator names it."""
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (os.O_NOFOLLOW if folder is not None else 0)
    try:
        descriptor = os.open(source, flags, dir_fd=folder)
    except OSError as error:
        raise _nothing(source, error) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise Conflict(f"taking {source}: it is no file")
    with os.fdopen(descriptor, "rb") as reading, target.open("wb") as copy:
        left = most
        while chunk := reading.read(_STEP):
            left -= len(chunk)
            if left < 0:
                raise Conflict(f"taking {source}: it is larger than any release")
            copy.write(chunk)


def _nothing(source: Path | str, error: OSError) -> NotFound:
    return NotFound(f"taking {source}: {error.strerror}; the release and its signature have to be there, side by side")
