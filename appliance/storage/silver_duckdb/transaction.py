"""All or nothing, on the writer's cursor."""

from collections.abc import Iterator
from contextlib import contextmanager

import duckdb
import structlog

log = structlog.get_logger("silver")


@contextmanager
def transaction(cursor: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Begin; commit at the end, or roll back and pass on what was raised."""
    cursor.execute("BEGIN")
    try:
        yield
        cursor.execute("COMMIT")
    except BaseException:
        _roll_back(cursor)
        raise


def checkpoint(cursor: duckdb.DuckDBPyConnection) -> None:
    """Empty the log, and give the space of dropped tables back to the file system; later, if somebody else writes."""
    try:
        cursor.execute("CHECKPOINT")
    except duckdb.TransactionException as error:
        log.info("silver.checkpoint_later", reason=str(error))


def _roll_back(cursor: duckdb.DuckDBPyConnection) -> None:
    try:
        cursor.execute("ROLLBACK")
    except duckdb.TransactionException:
        return  # a commit that failed has ended its transaction already
    except duckdb.FatalException:
        return  # the handle is dead, and what it held with it
