"""What PostgreSQL's errors make the engine do, and what they never tell."""

import psycopg
import pytest
from psycopg import errors

from appliance.errors import ConfigError, DashError, FatalError, Invalid, TransientError
from appliance.storage.silver_postgres import faults


@pytest.mark.parametrize(
    ("error", "kind", "told"),
    [
        (errors.AdminShutdown("terminating"), TransientError, "the database server went away"),
        (errors.CannotConnectNow("starting up"), TransientError, "the database server went away"),
        (psycopg.OperationalError("consuming input failed"), TransientError, "went away"),
        (errors.DiskFull("no space"), TransientError, "its disk is full; make room"),
        (errors.TooManyConnections("sorry"), TransientError, "raise max_connections"),
        (errors.DeadlockDetected("deadlock"), TransientError, "others hold what it needs"),
        (errors.LockNotAvailable("lock"), TransientError, "others hold what it needs"),
        (errors.SerializationFailure("could not"), faults.Overtaken, "somebody else changed it"),
        (errors.UndefinedTable("rows"), faults.Vanished, "its table changed at the same moment"),
        (errors.ReadOnlySqlTransaction("read only"), TransientError, "it is a standby; name the primary"),
        (errors.NumericValueOutOfRange("big"), Invalid, "too large to compute with"),
        (errors.InsufficientPrivilege("denied"), ConfigError, "grant what docs/handbook/silver.md lists"),
        (errors.InvalidPassword("no"), ConfigError, "the database refuses"),
        (errors.UniqueViolation("twice"), FatalError, "should not happen: UniqueViolation"),
        (errors.ProtocolViolation("insufficient data"), FatalError, "should not happen"),
    ],
)
def test_each_error_says_what_happens_next(error: psycopg.Error, kind: type[DashError], told: str) -> None:
    found = faults.translated(error, "storing rows of pl_1")
    assert isinstance(found, kind)
    assert told in str(found)
