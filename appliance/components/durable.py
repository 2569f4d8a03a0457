"""What every store of files needs: a name that survives a crash."""

import os
from pathlib import Path


def sync_directory(directory: Path) -> None:
    """Make names in ``directory`` durable: a new or renamed file is lost with its name."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def exchange(path: Path, text: str) -> None:
    """Have ``path`` hold ``text``, for its owner only: wholly or not at all, durable when this returns; blocking."""
    beside = path.with_name(f"{path.name}.new")
    beside.unlink(missing_ok=True)
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    sync_directory(path.parent)
