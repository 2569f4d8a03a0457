"""Where the pages of ``/docs`` are: beside the built program, or made when they are first asked for, in a checkout."""

import subprocess
import sys
from pathlib import Path
from typing import Final

import structlog

HOUSE: Final = Path(__file__).resolve().parent.parent
BUILT: Final = HOUSE / "docs" / "site"  # only in the built program
MAKING_SECS: Final = 120.0

log = structlog.get_logger("handbook")


def find() -> Path | None:
    """Return the folder of the pages. May take seconds: in a checkout a process of its own makes them, and ends.

    None: there is neither; the log says why, where making them failed.
    """
    if BUILT.is_dir():
        return BUILT
    if not (HOUSE / "handbook" / "__main__.py").is_file():
        return None
    command = [sys.executable, "-m", "handbook", "kept", str(HOUSE / "build" / "handbook")]
    try:
        made = subprocess.run(  # noqa: S603 - this very interpreter, our own module
            command, cwd=HOUSE, capture_output=True, text=True, check=True, timeout=MAKING_SECS
        )
    except (OSError, subprocess.SubprocessError) as error:
        log.error("handbook.not_made", error=str(error), told=getattr(error, "stderr", None))
        return None
    return Path(made.stdout.strip())
