"""Looks at a database through its DSN and changes nothing: the facts of ``domain.database.facts``."""

import time
from collections.abc import Iterable, Iterator
from typing import Any, Final

import psycopg
from msgspec.structs import replace
from psycopg import sql
from psycopg.rows import class_row, dict_row

from appliance.domain.database.access import Access
from appliance.domain.database.dsn import Dsn
from appliance.domain.database.facts import Extension, Facts, Replica, Schema
from appliance.egress.guard import parse_address
from appliance.errors import TransientError
from appliance.storage.control import schema as schemas
from appliance.storage.control.backend import Unreachable
from appliance.storage.control.connect import connect
from appliance.storage.control.tables import Table

ROUND_TRIPS: Final = 7
WITHIN_SECS: Final = 10
POOLER_TRIES: Final = 3

_SERVER: Final = """
SELECT current_setting('server_version_num')::int AS version, pg_is_in_recovery() AS in_recovery,
       current_user::text AS "user", current_database()::text AS database,
       (SELECT pg_encoding_to_char(encoding) FROM pg_database WHERE datname = current_database()) AS encoding,
       (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS superuser,
       has_database_privilege(current_database(), 'CREATE') AS may_create,
       has_database_privilege(current_database(), 'TEMPORARY') AS may_use_temporary,
       (SELECT rolconnlimit FROM pg_roles WHERE rolname = session_user) AS role_limit,
       (SELECT datconnlimit FROM pg_database WHERE datname = current_database()) AS database_limit,
       (SELECT coalesce(sum(numbackends), 0)::int FROM pg_stat_database) AS connections_used,
       (SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid() AND ssl) AS tls
"""
_SETTINGS: Final = "SELECT name, reset_val FROM pg_settings WHERE name = ANY(%s)"
_WATCHED: Final = [
    "max_connections", "superuser_reserved_connections", "fsync", "full_page_writes", "synchronous_commit", "TimeZone",
    "default_transaction_read_only", "statement_timeout", "idle_in_transaction_session_timeout", "lock_timeout",
    "work_mem", "max_wal_size",
]  # fmt: skip
_SCHEMAS: Final = """
SELECT nspname::text AS name, has_schema_privilege(n.oid, 'USAGE, CREATE') AND has_schema_privilege(n.oid, 'CREATE')
       AS usable,
       (SELECT count(*)::int FROM pg_class c WHERE c.relnamespace = n.oid AND c.relkind IN ('r', 'p')
        AND NOT pg_has_role(c.relowner, 'USAGE')) AS "foreign"
FROM pg_namespace n WHERE nspname = %(schema)s OR starts_with(nspname, %(schema)s || '_org_') ORDER BY nspname
"""
_EXTENSION: Final = """
SELECT default_version AS available, installed_version AS installed,
       current_setting('timescaledb.license', true) AS licence
FROM pg_available_extensions WHERE name = 'timescaledb'
"""
_POSITION: Final = "SELECT system_identifier, pg_current_wal_flush_lsn()::text FROM pg_control_system()"
_REPLICA: Final = """
SELECT pg_is_in_recovery() AS standby, system_identifier = %(system)s AS same_cluster,
       CASE WHEN NOT pg_is_in_recovery() OR pg_last_wal_replay_lsn() >= %(position)s::pg_lsn THEN 0
            ELSE extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp())::float END AS lag
FROM pg_control_system()
"""


def survey(access: Access, replicas: Iterable[Access] = ()) -> Facts:
    """Connect, look, and disconnect; blocking, bounded by the timeouts of both.

    Raises:
        Unreachable: with the part of the DSN that is wrong.
        TransientError: the server let us in and then failed.
    """
    with connect(access) as connection:
        try:
            connection.execute("SELECT set_config('statement_timeout', %s, true)", [f"{WITHIN_SECS}s"])
            facts = _look(connection, access, replicas)
            return replace(facts, pooled=_is_pooled(connection, access))
        except psycopg.Error as error:
            told = error.diag.message_primary or str(error)
            raise TransientError(f"looking at the database {access.dsn.database!r} failed: {told}") from error


def _look(connection: "psycopg.Connection[Any]", access: Access, replicas: Iterable[Access]) -> Facts:
    server = connection.cursor(row_factory=dict_row).execute(_SERVER).fetchall()[0]
    found = connection.cursor(row_factory=class_row(Schema)).execute(_SCHEMAS, {"schema": access.schema}).fetchall()
    extension = connection.cursor(row_factory=class_row(Extension)).execute(_EXTENSION).fetchone()
    revision, organisations = _lived_in(connection, access, {one.name for one in found if one.usable})
    expected = {access.schema_of(one) for one in organisations}
    return Facts(
        **server,
        schema=access.schema,
        local=_is_local(connection),
        sslmode=access.dsn.get("sslmode") or "prefer",
        schemas=tuple(found),
        missing=tuple(sorted(expected - {one.name for one in found})),
        revision=revision,
        tables=len(Table.metadata.tables),
        extension=extension or Extension(),
        settings=dict(connection.execute(_SETTINGS, [_WATCHED]).fetchall()),
        round_trips=tuple(_round_trips(connection)),
        replicas=tuple(_replicas(connection, replicas, in_recovery=server["in_recovery"])),
    )


def _is_pooled(connection: "psycopg.Connection[Any]", access: Access) -> bool:
    """Return whether somebody else gets the process of the server that served ``connection``, which stays open.

    Who lends it to others in between looks like who does not: hence several tries.
    """
    try:
        with connect(access, autocommit=True) as other:
            return any(_process(connection) == _process(other) for _ in range(POOLER_TRIES))
    except Unreachable:  # it has no second one
        return False


def _process(connection: "psycopg.Connection[Any]") -> int:
    """Return the process that served a transaction of its own."""
    connection.rollback()
    found = connection.execute("SELECT pg_backend_pid()").fetchall()
    connection.rollback()
    return int(found[0][0])


def _is_local(connection: "psycopg.Connection[Any]") -> bool:
    info = connection.info
    return info.host.startswith("/") or (bool(info.hostaddr) and parse_address(info.hostaddr).is_loopback)


def _lived_in(connection: "psycopg.Connection[Any]", access: Access, usable: set[str]) -> tuple[str | None, list[str]]:
    """Return the control plane's version and the organisations in it, as far as this user may see them."""
    place = sql.Identifier(access.schema)
    if access.schema not in usable or not _has(connection, access.schema, schemas.VERSIONS):
        return None, []
    revision = connection.execute(sql.SQL("SELECT version_num FROM {}.alembic_version").format(place)).fetchone()
    organisations = connection.execute(sql.SQL("SELECT id FROM {}.organisation").format(place)).fetchall()
    return (revision[0] if revision else None), [str(one) for (one,) in organisations]


def _has(connection: "psycopg.Connection[Any]", schema: str, table: str) -> bool:
    asked = "SELECT FROM pg_tables WHERE schemaname = %s AND tablename = %s AND has_table_privilege(%s, 'SELECT')"
    quoted = sql.Identifier(schema, table).as_string(connection)
    return connection.execute(asked, [schema, table, quoted]).fetchone() is not None


def _round_trips(connection: "psycopg.Connection[Any]") -> Iterator[float]:
    for _ in range(ROUND_TRIPS):
        began = time.perf_counter()
        connection.execute("SELECT 1")
        yield time.perf_counter() - began


def _replicas(
    connection: "psycopg.Connection[Any]", replicas: Iterable[Access], *, in_recovery: bool
) -> Iterator[Replica]:
    position = None if in_recovery else connection.execute(_POSITION).fetchone()
    for access in replicas:
        name = _name(access.dsn)
        if position is None:
            yield Replica(name=name, trouble="the primary was not reached, so nothing can be compared")
            continue
        try:
            yield _replica(access, name, position)
        except Unreachable as error:
            yield Replica(name=name, trouble=error.refusal.message)
        except psycopg.Error as error:
            yield Replica(name=name, trouble=error.diag.message_primary or "it failed while it was asked")


def _replica(access: Access, name: str, position: tuple[int, str]) -> Replica:
    with connect(access, replica=True) as connection:
        row = connection.execute(_REPLICA, {"system": position[0], "position": position[1]}).fetchone()
    standby, same, lag = row if row is not None else (True, True, None)
    return Replica(name=name, standby=standby, same_cluster=same, lag_secs=lag or 0.0)


def _name(dsn: Dsn) -> str:
    return " or ".join(str(one) for one in dsn.endpoints)
