"""What DuckDB's errors mean for Dash. The one place that looks at their wording."""

from typing import Final

import duckdb

from appliance.errors import DashError, FatalError, Invalid, Problem, TransientError

_DAMAGE: Final = (
    "corrupt", "not a valid duckdb database file", "could not read enough bytes", "failure while replaying wal",
    "failed to deserialize", "checksum",
)  # fmt: skip
_CIRCUMSTANCES: Final = (
    "no space left", "file too large", "could not write", "out of memory", "permission denied", "too many open files",
    "input/output error", "could not set lock",
)  # fmt: skip
_FULL: Final = ("no space left", "file too large", "could not write", "disk quota")


class Moved(TransientError):
    """A read was interrupted because the file was exchanged for another with the same rows: read again."""


def is_damage(error: duckdb.Error) -> bool:
    """Return whether the file itself is at fault: opening it again would fail again."""
    told = str(error).lower()
    if any(sign in told for sign in _CIRCUMSTANCES):
        return False
    return isinstance(error, (duckdb.SerializationException, duckdb.InternalException)) or any(
        sign in told for sign in _DAMAGE
    )


def is_dead(error: duckdb.Error) -> bool:
    """Return whether the handle is useless from now on, whatever is asked of it: close it and open the file again."""
    return isinstance(error, duckdb.FatalException) or "database has been invalidated" in str(error)


def opening_failed(error: duckdb.Error, path: object) -> DashError:
    """Return what to raise when ``path`` does not open and is not damaged."""
    told = first_line(error)
    if "could not set lock" in told.lower():
        return TransientError(f"Opening {path}: another process has it open; stop that process.", 5.0)
    if "version number" in told.lower():
        return FatalError(
            f"Opening {path}: it was written by a newer version ({told}).",
            hint="run the version of Dash that wrote it, or a newer one",
        )
    return TransientError(f"Opening {path} failed: {told}", 5.0)


def translated(error: duckdb.Error, doing: str) -> DashError:
    """Return what to raise when ``doing`` (a phrase such as ``reading 'pl_1'``) failed on a handle that lives."""
    told = first_line(error)
    match error:
        case duckdb.OutOfMemoryException():
            remedy = "Narrow the time range, group by fewer values, or raise silver.memory_limit"
            return TransientError(f"{_start(doing)} needs more memory than the store may use. {remedy}.", 5.0)
        case duckdb.OutOfRangeException():
            return Invalid([Problem("", f"{doing}: a value is too large to compute with ({told})")])
        case duckdb.TransactionException() | duckdb.IOException() if _is_full(told):
            return TransientError(f"{_start(doing)}: the disk is full or refuses to write ({told}).", 5.0)
        case duckdb.CatalogException():
            return TransientError(f"{_start(doing)}: its table changed at the same moment; try again.")
        case duckdb.ConnectionException() | duckdb.InterruptException():  # reopening interrupts whoever is at work
            return TransientError(f"{_start(doing)}: the store is being closed or reopened; try again.")
        case duckdb.TransactionException() | duckdb.IOException() if not is_damage(error):
            return TransientError(f"{_start(doing)} failed: {told}")
    if is_damage(error):
        return FatalError(
            f"{_start(doing)}: the database file is damaged ({told}).",
            hint="stop Dash, move the organisation's file in silver/ away and start again: it is rebuilt from Bronze",
        )
    return FatalError(
        f"{_start(doing)} failed in a way that should not happen: {type(error).__name__}: {told}",
        hint="report it with the support bundle",
    )


def interrupted(doing: str, told: str) -> TransientError:
    """Return what to raise when a read was stopped; ``told`` says why."""
    remedy = "Narrow the time range, group by fewer values, or raise silver.query_timeout"
    return TransientError(f"{_start(doing)} {told}. {remedy}.", 5.0)


def reopened(doing: str) -> TransientError:
    """Return what to raise when the handle died under ``doing`` and the file was opened again."""
    return TransientError(f"{_start(doing)}: the database had to be reopened; try again.")


def first_line(error: Exception) -> str:
    """Return the message without DuckDB's advice, which is about its own command line."""
    return str(error).strip().split("\n", 1)[0]


def _is_full(told: str) -> bool:
    return any(sign in told.lower() for sign in _FULL)


def _start(doing: str) -> str:
    return doing[:1].upper() + doing[1:]
