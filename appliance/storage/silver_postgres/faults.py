"""What PostgreSQL's errors mean for Dash. The one place that looks at their codes.

Source: the PostgreSQL manual, appendix "PostgreSQL Error Codes".
"""

from typing import Final

import psycopg
from psycopg import errors

from appliance.errors import ConfigError, DashError, FatalError, Invalid, Problem, TransientError

_AWAY: Final = ("08", "57P")  # connections that end or are not taken; a server that stops or starts
_MISUNDERSTOOD: Final = "08P01"  # a message of ours that it cannot read
_SHORT_OF: Final = {
    "53100": "its disk is full; make room on it",
    "53200": "it is out of memory; lower work_mem or give it more",
    "53300": "it takes no more connections; raise max_connections or lower database.pool",
    "58030": "its disk refuses to read or write; look into the server's log",
}
_RIGHTS: Final = ("42501", "28000", "28P01", "3D000")
_READ_ONLY: Final = "25006"
_LATER_SECS: Final = 5.0


class Vanished(TransientError):
    """A table was dropped between finding it and reading it: find it again."""


class Overtaken(TransientError):
    """Somebody else changed what this transaction began from: begin it again."""


class TooSlow(TransientError):
    """A read took all the time it had."""


class Away(TransientError):
    """The server is not there, or takes nobody."""


class Elsewhere(TransientError):
    """No replica can answer this: ask the primary."""


def is_lost(connection: psycopg.Connection[object]) -> bool:
    """Return whether nothing can be asked of a connection any more."""
    return connection.closed or connection.broken


def translated(error: psycopg.Error, doing: str) -> DashError:
    """Return what to raise when ``doing`` (a phrase such as ``reading 'pl_1'``) failed."""
    told, begun = _told(error), doing[:1].upper() + doing[1:]
    found = _disturbed(error, begun, told) or _refused(error, doing, told) or _away(error, begun, told)
    return found or FatalError(
        f"{begun} failed in a way that should not happen: {type(error).__name__}: {told}",
        hint="report it with the support bundle",
    )


def _disturbed(error: psycopg.Error, begun: str, told: str) -> DashError | None:
    """Return what to raise where somebody else was in the way."""
    match error:
        case errors.QueryCanceled():
            return TransientError(f"{begun} was stopped by the database ({told}); try again.", _LATER_SECS)
        case errors.UndefinedTable() | errors.InvalidSchemaName():
            return Vanished(f"{begun}: its table changed at the same moment; try again.")
        case errors.SerializationFailure():
            return Overtaken(f"{begun}: somebody else changed it at the same moment; try again.")
        case errors.DeadlockDetected() | errors.LockNotAvailable() | errors.IdleInTransactionSessionTimeout():
            return TransientError(f"{begun}: others hold what it needs ({told}); try again.")
    return None


def _refused(error: psycopg.Error, doing: str, told: str) -> DashError | None:
    """Return what to raise where a person has to ask for something else, or to allow it."""
    match error:
        case errors.NumericValueOutOfRange():
            return Invalid([Problem("", f"{doing}: a value is too large to compute with ({told})")])
        case errors.ProgramLimitExceeded():
            return Invalid([Problem("", f"{doing}: the answer is larger than the database hands out; ask for less")])
    if error.sqlstate in _RIGHTS:
        remedy = "grant what docs/handbook/silver.md lists for the role that Dash connects as"
        return ConfigError([Problem("database.url", f"{doing}: the database refuses ({told})", remedy)])
    return None


def _away(error: psycopg.Error, begun: str, told: str) -> DashError | None:
    """Return what to raise where the server cannot at the moment, or is not there."""
    code = error.sqlstate or ""
    if code in _SHORT_OF:
        return TransientError(f"{begun}: the database server cannot ({told}): {_SHORT_OF[code]}.", _LATER_SECS)
    if code == _READ_ONLY:
        remedy = "it is a standby; name the primary, or all hosts and target_session_attrs=read-write, in database.url"
        return TransientError(f"{begun}: the database server only reads ({told}): {remedy}.", _LATER_SECS)
    lost = not code and isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError))
    if lost or (code.startswith(_AWAY) and code != _MISUNDERSTOOD):
        return Away(f"{begun}: the database server went away ({told}); what it had not committed is undone.")
    return None


def too_slow(doing: str, secs: float) -> TooSlow:
    """Return what to raise when a read took longer than ``secs``."""
    remedy = "Narrow the time range, group by fewer values, or raise silver.query_timeout"
    return TooSlow(f"{doing[:1].upper()}{doing[1:]} took longer than {secs:g} s. {remedy}.", _LATER_SECS)


def closed(doing: str) -> TransientError:
    """Return what to raise when the store was closed."""
    return TransientError(f"{doing[:1].upper()}{doing[1:]}: the store is closed; start it again.")


def no_connection(doing: str, secs: float, size: int, refused: str | None) -> TransientError:
    """Return what to raise when no connection was free in time. ``refused``: why none could be made; None: in use."""
    why = f"the database cannot be reached ({refused})" if refused else f"all {size} connections are in use"
    kind = Away if refused else TransientError
    return kind(f"{doing[:1].upper()}{doing[1:]}: {why}, waited {secs:g} s; it is tried again.", 2.0)


def _told(error: psycopg.Error) -> str:
    """Return the message without details, which may have values in them."""
    return error.diag.message_primary or str(error).strip().split("\n", 1)[0] or type(error).__name__
