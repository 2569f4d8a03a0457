"""What facts about a database mean for Dash: each finding with a remedy, and what Dash will do there."""

from collections.abc import Callable, Iterator
from statistics import median
from typing import Final

import msgspec

from appliance.domain.database.facts import Facts, Schema
from appliance.domain.database.rights import made, quoted
from appliance.domain.finding import Examined

OLDEST: Final = 15  # of PostgreSQL's majors
NEWEST: Final = 18
FAR_SECS: Final = 0.020


class Need(msgspec.Struct, frozen=True, kw_only=True):
    """What this appliance wants of it. ``head``: the newest schema that the program knows, ``known`` all of them."""

    connections: int
    max_lag_secs: float
    head: str
    known: tuple[str, ...]


def findings(facts: Facts, need: Need) -> list[Examined]:
    """Return everything worth telling, worst and best, in the order in which a person would ask."""
    looks: tuple[Callable[[Facts, Need], Iterator[Examined]], ...] = (
        _version, _recovery, _tls, _pooler, _rights, _schema, _organisations, _extension, _connections, _durability,
        _limits, _memory, _zone, _latency, _replicas,
    )  # fmt: skip
    return [found for look in looks for found in look(facts, need)]


def intentions(facts: Facts, need: Need) -> list[str]:
    """Return what Dash will do in this database, one sentence each."""
    schema = quoted(facts.schema)
    if facts.revision == need.head:
        first = f"Use schema {schema} as it is: somebody set Dash up in it before."
    elif facts.revision is not None:
        first = f"Bring schema {schema} from version {facts.revision} to {need.head}."
    elif facts.own() is not None:
        first = f"Make {facts.tables} tables in schema {schema}, which is there already."
    else:
        first = f"Make schema {schema} with {facts.tables} tables for accounts, pipelines, dashboards, jobs and audit."
    return [first, f"Make one schema for the rows of each organisation: {schema}_<organisation id>."]


def _fine(message: str) -> Examined:
    return Examined("database", "fine", message)


def _warn(message: str, remedy: str) -> Examined:
    return Examined("database", "warning", message, remedy)


def _bad(message: str, remedy: str) -> Examined:
    return Examined("database", "bad", message, remedy)


def _version(facts: Facts, _: Need) -> Iterator[Examined]:
    told = f"PostgreSQL {facts.major}.{facts.version % 10_000}"
    if facts.major < OLDEST:
        yield _bad(f"{told} is too old", f"upgrade the server to PostgreSQL {OLDEST} to {NEWEST}")
    elif facts.major > NEWEST:
        yield _warn(f"{told} is newer than this version of Dash knows", "ask for a newer Dash before you rely on it")
    else:
        yield _fine(told)
    if facts.encoding != "UTF8":
        remedy = "make the database with ENCODING 'UTF8' TEMPLATE template0"
        yield _bad(f"the database is encoded in {facts.encoding}, which cannot hold every text", remedy)


def _recovery(facts: Facts, _: Need) -> Iterator[Examined]:
    if facts.in_recovery:
        remedy = "name the primary, or all servers of the cluster with commas between; standbys go to database.replicas"
        yield _bad("this server is a standby and takes no writes", remedy)
    elif facts.settings.get("default_transaction_read_only") == "on":
        remedy = f"ALTER ROLE {quoted(facts.user)} SET default_transaction_read_only = off, or for the database"
        yield _bad("default_transaction_read_only is on: nothing could be written", remedy)


def _tls(facts: Facts, _: Need) -> Iterator[Examined]:
    if facts.tls is None and facts.local:
        yield _fine("connected within this machine")
    elif facts.tls is None:
        remedy = "switch ssl on in the server and write sslmode=verify-full and sslrootcert= into the DSN"
        yield _warn("the connection is not encrypted: passwords and rows can be read on the way", remedy)
    elif facts.sslmode not in ("verify-ca", "verify-full"):
        remedy = "write sslmode=verify-full and sslrootcert=/path/ca.crt into the DSN"
        yield _warn(f"encrypted ({facts.tls}), but the certificate is not verified (sslmode={facts.sslmode})", remedy)
    else:
        yield _fine(f"encrypted ({facts.tls}), and the server's certificate is verified ({facts.sslmode})")


def _pooler(facts: Facts, _: Need) -> Iterator[Examined]:
    if facts.pooled:
        told = "a pooler lends connections by transaction: all is kept there as it should, but no notification arrives"
        remedy = (
            "with several nodes name the server itself, or set pool_mode = session: nodes hear of each other at once"
        )
        yield _warn(told, remedy)


def _rights(facts: Facts, _: Need) -> Iterator[Examined]:
    database, user = quoted(facts.database), quoted(facts.user)
    if facts.superuser:
        remedy = "make a role of its own: 'dash-appliance database sql' prints how"
        yield _warn(f"{facts.user!r} is a superuser, which is much more than Dash needs", remedy)
    if not facts.may_create and facts.own() is None:
        remedy = f"GRANT CREATE ON DATABASE {database} TO {user}; or {made(quoted(facts.schema), user)}"
        yield _bad(f"{facts.user!r} may not make schemas, and schema {facts.schema!r} is not there", remedy)
    elif not facts.may_create:
        yield _fine(f"{facts.user!r} may not make schemas: each organisation's is made beforehand")
    elif not facts.superuser:
        yield _fine(f"{facts.user!r} may make schemas in {facts.database!r}")
    if not facts.may_use_temporary:
        remedy = f"GRANT TEMPORARY ON DATABASE {database} TO {user};"
        yield _bad(f"{facts.user!r} may not make temporary tables, which refining needs", remedy)


def _schema(facts: Facts, need: Need) -> Iterator[Examined]:
    if facts.revision is not None and facts.revision not in need.known:
        remedy = "start the newer version again, or restore a backup made before the upgrade"
        yield _bad(f"schema {facts.schema!r} is at {facts.revision!r}; this Dash knows up to {need.head!r}", remedy)
    for one in facts.schemas:
        yield from _usable(one, facts)


def _usable(one: Schema, facts: Facts) -> Iterator[Examined]:
    user, name = quoted(facts.user), quoted(one.name)
    if not one.usable:
        yield _bad(
            f"{facts.user!r} may not make tables in schema {one.name!r}", f"ALTER SCHEMA {name} OWNER TO {user};"
        )
    elif one.foreign:
        remedy = f"ALTER TABLE {name}.… OWNER TO {user}; for each, or sign in as their owner"
        yield _bad(f"{one.foreign} tables of schema {one.name!r} belong to another role", remedy)


def _organisations(facts: Facts, _: Need) -> Iterator[Examined]:
    if facts.missing and not facts.may_create:
        remedy = " ".join(made(quoted(name), quoted(facts.user)) for name in facts.missing)
        yield _bad(f"the schemas of {len(facts.missing)} organisations are not there and may not be made", remedy)


def _extension(facts: Facts, _: Need) -> Iterator[Examined]:
    found = facts.extension
    if found.installed and found.licence == "apache":
        remedy = "timescaledb.license = 'timescale' in postgresql.conf, with the community edition's package"
        told = f"TimescaleDB {found.installed}, Apache edition: no compression, no continuous aggregates, no policies"
        yield _warn(told, remedy)
    elif found.installed:
        yield _fine(f"TimescaleDB {found.installed}, {found.licence or 'unknown'} licence")
    elif found.available:
        yield _fine(f"TimescaleDB {found.available} could be installed here; without it Dash partitions by itself")
    else:
        yield _fine("no TimescaleDB: Dash partitions by itself")


def _number(facts: Facts, name: str, default: int = 0) -> int:
    try:
        return int(facts.settings[name])
    except (KeyError, ValueError):
        return default


def _connections(facts: Facts, need: Need) -> Iterator[Examined]:
    most = _number(facts, "max_connections", 100) - _number(facts, "superuser_reserved_connections", 3)
    limits = {"max_connections": most, f"the limit of role {facts.user!r}": facts.role_limit}
    limits[f"the limit of database {facts.database!r}"] = facts.database_limit
    name, room = min(((name, limit) for name, limit in limits.items() if limit >= 0), key=lambda pair: pair[1])
    told = f"a node uses up to {need.connections} connections, {name} leaves {room}, {facts.connections_used} in use"
    remedy = "raise it there, lower database.connections here, or put PgBouncer between"
    if need.connections > room:
        yield _bad(told, remedy)
    elif need.connections * 2 > room:
        yield _warn(f"{told}: a second node would not fit", remedy)
    else:
        yield _fine(told)


def _durability(facts: Facts, _: Need) -> Iterator[Examined]:
    if facts.settings.get("fsync") == "off":
        yield _bad("fsync is off: a crash of its machine ruins the whole database", "fsync = on in postgresql.conf")
    if facts.settings.get("full_page_writes") == "off":
        remedy = "full_page_writes = on in postgresql.conf, unless the file system writes pages whole"
        yield _warn("full_page_writes is off: a crash may leave half-written pages", remedy)
    if facts.settings.get("synchronous_commit") == "off":
        remedy = f"ALTER ROLE {quoted(facts.user)} SET synchronous_commit = on"
        yield _warn("synchronous_commit is off: what was saved last may be gone after a crash of the server", remedy)


def _limits(facts: Facts, _: Need) -> Iterator[Examined]:
    for name, least_ms, why in (
        ("statement_timeout", 60_000, "migrations, large batches and replays take longer"),
        ("idle_in_transaction_session_timeout", 30_000, "a batch that is being written may pause for longer"),
        ("lock_timeout", 5_000, "another node may hold a lock for longer"),
    ):
        value = _number(facts, name)
        if 0 < value < least_ms:
            remedy = f"ALTER ROLE {quoted(facts.user)} SET {name} = 0"
            yield _warn(f"{name} is {value / 1000:g} s: {why}", remedy)


def _memory(facts: Facts, _: Need) -> Iterator[Examined]:
    kib, wal = _number(facts, "work_mem", 4096), _number(facts, "max_wal_size", 1024)
    if kib < 4096:
        remedy = f"ALTER ROLE {quoted(facts.user)} SET work_mem = '16MB'"
        yield _warn(f"work_mem is {kib} kB: sorting and grouping go to the disk", remedy)
    if wal < 512:
        remedy = "max_wal_size = '4GB' in postgresql.conf, if its disk has the room"
        yield _warn(f"max_wal_size is {wal} MB: steady ingest makes the server checkpoint all the time", remedy)


def _zone(facts: Facts, _: Need) -> Iterator[Examined]:
    if zone := facts.settings.get("TimeZone"):
        yield _fine(f"its time zone is {zone}; Dash stores and compares in UTC whatever it is")


def _latency(facts: Facts, _: Need) -> Iterator[Examined]:
    if not facts.round_trips:
        return
    took = median(facts.round_trips)
    told = f"a round trip takes {took * 1000:.1f} ms"
    if took > FAR_SECS:
        yield _warn(f"{told}: every change and every page waits for several", "bring Dash and the database closer")
    else:
        yield _fine(told)


def _replicas(facts: Facts, need: Need) -> Iterator[Examined]:
    for one in facts.replicas:
        if one.trouble is not None:
            yield _warn(f"replica {one.name}: {one.trouble}", "reads go to the primary until it can be reached")
        elif not one.same_cluster:
            yield _bad(f"replica {one.name} is a copy of another database", "take it out of database.replicas")
        elif not one.standby:
            yield _warn(f"replica {one.name} is no standby", "take it out of database.replicas")
        elif one.lag_secs > need.max_lag_secs:
            remedy = "look at pg_stat_replication on the primary; it is not read from until it has caught up"
            yield _warn(f"replica {one.name} is {one.lag_secs:.0f} s behind", remedy)
        else:
            yield _fine(f"replica {one.name} is {one.lag_secs:.1f} s behind")
