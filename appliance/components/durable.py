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
