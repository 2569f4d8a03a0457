"""Open a database in a child process first: a damaged file may kill the process that reads it."""

import multiprocessing
import signal
import sys
from pathlib import Path
from typing import Final

import structlog

log = structlog.get_logger("silver")

_DEADLY: Final = frozenset({signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE})
_REFUSED: Final = 3


def kills_its_reader(path: Path, memory_limit: int, timeout_secs: float = 300.0) -> str | None:
    """Open and close ``path`` in a child process, which replays its write-ahead log. None: the child lived.

    A refusal is no finding: the caller opens the file itself and sees the same error. The answer tells how the child
    died. Works in a frozen program too (its entry calls ``multiprocessing.freeze_support``).
    """
    context = multiprocessing.get_context("spawn")
    child = context.Process(target=_open_and_close, args=(str(path), memory_limit), daemon=True)
    try:
        child.start()
    except OSError as error:
        log.warning("silver.not_probed", file=str(path), error=str(error))
        return None
    child.join(timeout_secs)
    if child.exitcode is None:
        child.kill()
        child.join()
        return f"opening it did not end within {timeout_secs:g} s"
    died_of = -child.exitcode
    child.close()
    return f"opening it ended the process with {signal.Signals(died_of).name}" if died_of in _DEADLY else None


def _open_and_close(path: str, memory_limit: int) -> None:
    import duckdb

    from appliance.storage.silver_duckdb.connect import connect

    try:
        connect(Path(path), memory_limit, threads=1).close()
    except duckdb.Error:
        sys.exit(_REFUSED)
