"""The schema's own tables, made once, by whichever node comes first."""

import hashlib
from typing import Final

from appliance.domain.database.rights import made
from appliance.domain.database.rights import quoted as plain
from appliance.errors import ConfigError, FatalError, Problem
from appliance.storage.silver_postgres.connections import Cursor
from appliance.storage.sql.postgresql import quoted

FORMAT: Final = 1  # of this schema; one with a greater one was made by a newer version

# _pipelines.version rises with everything that was done alone: who began before finds out. era: see ``Generation.era``;
# held_until: until then nobody commits to the live rows, so that what replaces them can catch up.
# _generations.columns: the columns of its rows, each with the types it has had, as JSON; keyed: keys can be looked up;
# period: how long those are that its rows are partitioned by, null where they are not.
# _generations.period: of native partitions; chunk_us: how wide new chunks of a hypertable are; never both.
# _periods.name: the partition; null: there is none, and rows of that time are among the rest.
# _progress, _spans: of a partition of events, which is in the high bits of their numbers, so that nodes that receive
# beside each other never write the same line. _spans.dead_gone: of the events dead, those whose dead letters retention
# has removed since.
# _claims, _repeated, _settled: see claims. _claims.id stands for pipeline and delivery, so that one narrow index does.
# _decided: what each partition received before that is refined.
_TABLES: Final = """
CREATE TABLE IF NOT EXISTS _format (format integer NOT NULL);
INSERT INTO _format SELECT {format} WHERE NOT EXISTS (SELECT FROM _format);
CREATE TABLE IF NOT EXISTS _pipelines (
    pipeline_id text PRIMARY KEY, live integer NOT NULL, version bigint NOT NULL DEFAULT 1,
    era bigint NOT NULL DEFAULT 0, held_until timestamptz
);
CREATE TABLE IF NOT EXISTS _generations (
    pipeline_id text NOT NULL, number integer NOT NULL, first_seq bigint NOT NULL, created_at timestamptz NOT NULL,
    columns text NOT NULL, keyed boolean NOT NULL, period text, chunk_us bigint,
    PRIMARY KEY (pipeline_id, number)
);
CREATE TABLE IF NOT EXISTS _periods (
    pipeline_id text NOT NULL, generation integer NOT NULL, starts timestamptz NOT NULL, ends timestamptz NOT NULL,
    name text, PRIMARY KEY (pipeline_id, generation, starts, ends)
);
CREATE SEQUENCE IF NOT EXISTS _numbers AS integer START WITH 2;
CREATE TABLE IF NOT EXISTS _progress (
    pipeline_id text NOT NULL, generation integer NOT NULL, partition smallint NOT NULL, seq bigint NOT NULL,
    stored bigint NOT NULL DEFAULT 0, filtered bigint NOT NULL DEFAULT 0, duplicate bigint NOT NULL DEFAULT 0,
    dead bigint NOT NULL DEFAULT 0, updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (pipeline_id, generation, partition)
) WITH (fillfactor = 50);
CREATE TABLE IF NOT EXISTS _spans (
    pipeline_id text NOT NULL, generation integer NOT NULL, partition smallint NOT NULL, first_seq bigint NOT NULL,
    last_seq bigint NOT NULL, day date NOT NULL, version integer NOT NULL, stored bigint NOT NULL,
    filtered bigint NOT NULL, duplicate bigint NOT NULL, dead bigint NOT NULL, gone bigint NOT NULL DEFAULT 0,
    dead_gone bigint NOT NULL DEFAULT 0, PRIMARY KEY (pipeline_id, generation, first_seq)
) WITH (fillfactor = 50);
CREATE TABLE IF NOT EXISTS _amendments (
    pipeline_id text NOT NULL, number bigint NOT NULL, seq bigint NOT NULL, item integer NOT NULL,
    PRIMARY KEY (pipeline_id, seq, item)
);
CREATE INDEX IF NOT EXISTS _amendments_by_number ON _amendments (pipeline_id, number);
CREATE TABLE IF NOT EXISTS _amended (
    pipeline_id text NOT NULL, generation integer NOT NULL, seq bigint NOT NULL, outcome text NOT NULL,
    version integer NOT NULL, amended_at timestamptz NOT NULL, PRIMARY KEY (pipeline_id, generation, seq)
);
CREATE TABLE IF NOT EXISTS _claims (
    id uuid PRIMARY KEY, seq bigint NOT NULL, received_at timestamptz NOT NULL, pipeline_id text NOT NULL
);
CREATE TABLE IF NOT EXISTS _repeated (
    pipeline_id text NOT NULL, first_seq bigint NOT NULL, last_seq bigint NOT NULL, stored_as bigint NOT NULL,
    PRIMARY KEY (pipeline_id, first_seq)
);
CREATE TABLE IF NOT EXISTS _decided (
    pipeline_id text NOT NULL, partition smallint NOT NULL, up_to timestamptz NOT NULL,
    PRIMARY KEY (pipeline_id, partition)
);
CREATE TABLE IF NOT EXISTS _settled (pipeline_id text PRIMARY KEY, before timestamptz NOT NULL);
CREATE TABLE IF NOT EXISTS _polls (
    pipeline_id text PRIMARY KEY REFERENCES _pipelines ON DELETE CASCADE, partition smallint NOT NULL,
    tenure bigint NOT NULL, checkpoint text
) WITH (fillfactor = 50);
CREATE TABLE IF NOT EXISTS _polled (
    pipeline_id text NOT NULL REFERENCES _pipelines ON DELETE CASCADE, partition smallint NOT NULL,
    seq bigint NOT NULL, PRIMARY KEY (pipeline_id, partition)
) WITH (fillfactor = 50);
"""

_END: Final = """
DROP TABLE IF EXISTS _format, _pipelines, _generations, _periods, _progress, _spans, _amendments, _amended, _claims,
    _repeated, _decided, _settled, _polls, _polled;
DROP SEQUENCE IF EXISTS _numbers
"""


def begin(cursor: Cursor, schema: str) -> None:
    """Make the schema and its own tables where they are not there; inside a transaction.

    Raises:
        FatalError: a newer version made them; ConfigError: the database cannot hold every text, or the schema is to be
            made by somebody else.
    """
    key = int.from_bytes(hashlib.blake2b(schema.encode(), digest_size=8).digest(), "big", signed=True)
    cursor.execute("SELECT pg_advisory_xact_lock(%(key)s)", {"key": key})
    found = cursor.execute(
        "SELECT to_regnamespace(%(name)s) IS NOT NULL, current_setting('server_encoding'), current_user, "
        "has_database_privilege(current_database(), 'CREATE')",
        {"name": quoted(schema)},
    ).fetchall()
    there, encoding, user, may_make = found[0]
    if encoding != "UTF8":
        remedy = "make the database with ENCODING 'UTF8' TEMPLATE template0"
        raise ConfigError([Problem("database.url", f"the database has the encoding {encoding}, expected UTF8", remedy)])
    if not there and not may_make:
        told = f"the schema {schema!r} is missing, in which rows are kept, and {user!r} may not make it"
        raise ConfigError([Problem("database.url", told, f"a DBA runs: {made(plain(schema), plain(user))}")])
    if not there:
        cursor.execute(f"CREATE SCHEMA {quoted(schema)}")
    if not _has_tables(cursor, schema):
        cursor.execute(_TABLES.format(format=FORMAT))
    (number,) = cursor.execute("SELECT max(format) FROM _format").fetchall()[0]
    if number > FORMAT:
        raise FatalError(
            f"Opening the row store in schema {schema!r}: it has format {number}, expected at most {FORMAT}.",
            hint="run the version of Dash that wrote it, or a newer one",
        )


def end(cursor: Cursor) -> None:
    """Drop the schema's own tables, once nothing is stored in it; inside a transaction."""
    cursor.execute(_END)


def drop(cursor: Cursor, schema: str) -> None:
    """Drop the schema, if nothing of anybody else's is in it; inside a transaction."""
    oid = "(SELECT oid FROM pg_namespace WHERE nspname = %(name)s)"
    found = cursor.execute(f"SELECT count(*) FROM pg_class WHERE relnamespace = {oid}", {"name": schema}).fetchall()  # noqa: S608
    if found[0][0] == 0:
        cursor.execute(f"DROP SCHEMA IF EXISTS {quoted(schema)}")


def _has_tables(cursor: Cursor, schema: str) -> bool:
    """Return whether the last of the tables is there; making those that are would need rights nobody has to give."""
    name = f"{quoted(schema)}._polled"
    return bool(cursor.execute("SELECT to_regclass(%(name)s) IS NOT NULL", {"name": name}).fetchall()[0][0])
