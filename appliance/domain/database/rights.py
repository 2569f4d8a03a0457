"""What a role needs in the database: as SQL to hand to a DBA, and as the one line that is missing."""

import re
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from appliance.domain.database.access import Access

_PLAIN: Final = re.compile(r"[a-z_][a-z0-9_]*")
_LEAST: Final = "NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION"
_RESERVED: Final = frozenset({"all", "user", "table", "public", "current_user", "session_user", "default", "group"})


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Who is to own what.

    ``user``: what Dash signs in as. ``owner``: a role without login that owns everything and that ``user`` acts as, so
    that logins can be exchanged; None: ``user`` itself. ``beforehand``: every schema is made now, and no right is given
    to make others; ``organisations``: the ids of those that have rows.
    """

    database: str = "dash"
    schema: str = "dash"
    user: str = "dash"
    owner: str | None = None
    beforehand: bool = False
    organisations: Sequence[str] = ()


def quoted(name: str) -> str:
    """Return an identifier as SQL writes it, in quotes only where it needs them."""
    if _PLAIN.fullmatch(name) and name not in _RESERVED:
        return name
    return '"' + name.replace('"', '""') + '"'


def dba_sql(plan: Plan) -> str:
    """Return a script for psql that a DBA runs as superuser, connected to any database; again if need be."""
    parts = (_roles(plan), _database(plan), _acting(plan), _schemas(plan), _extension())
    return "\n".join(line for part in parts for line in part) + "\n"


def _roles(plan: Plan) -> Iterator[str]:
    user = quoted(plan.user)
    yield f"-- Who Dash is. Give it a password afterwards, by: \\password {user}"
    yield _unless_there(f"CREATE ROLE {user} LOGIN {_LEAST}", "pg_roles", "rolname", plan.user)
    if plan.owner is not None:
        yield "-- Everything belongs to this role, so that another login can take over."
        yield _unless_there(f"CREATE ROLE {quoted(plan.owner)} NOLOGIN {_LEAST}", "pg_roles", "rolname", plan.owner)
        yield f"GRANT {quoted(plan.owner)} TO {user};"


def _database(plan: Plan) -> Iterator[str]:
    database, owner = quoted(plan.database), quoted(plan.owner or plan.user)
    yield "-- Where it lives."
    create = f"CREATE DATABASE {database} ENCODING 'UTF8' TEMPLATE template0"
    yield _unless_there(create, "pg_database", "datname", plan.database)
    yield f"REVOKE ALL ON DATABASE {database} FROM PUBLIC;"
    for role in dict.fromkeys((owner, quoted(plan.user))):
        yield f"GRANT CONNECT, TEMPORARY ON DATABASE {database} TO {role};"
    if not plan.beforehand:
        yield "-- Dash makes its schemas itself; --beforehand prints the script that needs no such right."
        yield f"GRANT CREATE ON DATABASE {database} TO {owner};"


def _acting(plan: Plan) -> Iterator[str]:
    if plan.owner is not None:
        role = _literal(plan.owner)
        yield f"ALTER ROLE {quoted(plan.user)} IN DATABASE {quoted(plan.database)} SET role = {role};"
    yield f"\\connect {quoted(plan.database)}"


def _schemas(plan: Plan) -> Iterator[str]:
    if not plan.beforehand:
        return
    owner = quoted(plan.owner or plan.user)
    yield "-- The schemas: what people enter, then the rows of each organisation."
    yield f"CREATE SCHEMA IF NOT EXISTS {quoted(plan.schema)} AUTHORIZATION {owner};"
    for one in plan.organisations:
        yield f"CREATE SCHEMA IF NOT EXISTS {quoted(f'{plan.schema}_{one}')} AUTHORIZATION {owner};"
    if not plan.organisations:
        yield "-- Once the first organisation is set up, Dash asks for its schema by name; say then:"
        yield f"--    CREATE SCHEMA {quoted(plan.schema)}_<organisation id> AUTHORIZATION {owner};"


def _extension() -> Iterator[str]:
    yield "-- Only with TimescaleDB, and only a superuser may:"
    yield "--    CREATE EXTENSION IF NOT EXISTS timescaledb;"


def remedy(access: Access, told: str) -> str:
    """Return the SQL that gives what the server refused with the words ``told``."""
    database, user = quoted(access.dsn.database), quoted(access.dsn.user or "dash")
    if "for database" in told:
        schema = quoted(access.schema)
        return f"GRANT CREATE ON DATABASE {database} TO {user}; or, beforehand, {made(schema, user)}"
    found = re.search(r'for schema "?([^"\s]+)"?', told)
    if found:
        return f"GRANT USAGE, CREATE ON SCHEMA {quoted(found[1])} TO {user};"
    found = re.search(r'(?:for|owner of) (table|sequence|view|relation) "?([^"\s]+)"?', told)
    if found:
        return f"ALTER TABLE {quoted(access.schema)}.{quoted(found[2])} OWNER TO {user};"
    return "'dash-appliance database sql' prints every right that Dash needs"


def made(schema: str, user: str) -> str:
    """Return the SQL that makes a schema, both names quoted already, for Dash."""
    return f"CREATE SCHEMA {schema} AUTHORIZATION {user};"


def _unless_there(create: str, catalog: str, column: str, name: str) -> str:
    """Return ``create`` as psql runs it only where there is no such thing yet."""
    return (
        f"SELECT {_literal(create)} WHERE NOT EXISTS (SELECT FROM {catalog} WHERE {column} = {_literal(name)}) \\gexec"  # noqa: S608
    )


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
