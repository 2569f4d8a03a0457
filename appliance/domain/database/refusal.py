"""Why a database cannot be reached, and what to do: one sentence for each part of a DSN that can be wrong."""

import re
from collections.abc import Callable
from enum import Enum
from typing import Final, NamedTuple

from appliance.domain.database.dsn import Dsn


class Part(Enum):
    """What is to be mended; each is a word that people see."""

    HOST = "host"
    PORT = "port"
    TLS = "TLS"
    DATABASE = "database"
    USER = "user"
    PASSWORD = "password"  # noqa: S105 - the word
    ACCESS = "access"  # pg_hba.conf, or the right to connect
    ROOM = "connections"
    STANDBY = "standby"
    SERVER = "server"


class Refusal(NamedTuple):
    """``passes``: it may be over by itself, as when a server is starting."""

    part: Part
    message: str
    remedy: str
    passes: bool = False

    def __str__(self) -> str:
        return f"{self.message}; {self.remedy}"


def refusal(dsn: Dsn, told: str) -> Refusal:
    """Return what libpq's or the server's words ``told`` mean for somebody who wrote ``dsn``.

    A server that speaks another language, and what nobody foresaw, is quoted instead; no words hold a password.
    """
    for pattern, make in _KNOWN:
        if re.search(pattern, told, re.IGNORECASE):
            return make(dsn, told)
    return Refusal(Part.SERVER, f"connecting to {_where(dsn)} failed: {_quoted(told)}", "see the server's own log")


def _where(dsn: Dsn) -> str:
    return " or ".join(str(one) for one in dsn.endpoints)


def _who(dsn: Dsn) -> str:
    return repr(dsn.user) if dsn.user else "this process's user"


def _quoted(told: str) -> str:
    """Return the last line that says something, without libpq's preface of where it tried to connect."""
    lines = [line.strip() for line in told.splitlines() if line.strip()]
    said = re.sub(r"^connection .*? failed: (?:FATAL: +|ERROR: +)?", "", lines[-1]) if lines else "no reason was given"
    return re.sub(r"^(?:FATAL|ERROR): +", "", said)


def _host(dsn: Dsn, told: str) -> Refusal:
    found = re.search(r'host name "([^"]+)"', told)
    name = repr(found[1]) if found else _where(dsn)
    return Refusal(Part.HOST, f"the host {name} is not known here", "check its spelling and this machine's DNS")


def _closed(dsn: Dsn, _: str) -> Refusal:
    remedy = "check the port, that the server runs, and listen_addresses in postgresql.conf"
    return Refusal(Part.PORT, f"nobody listens on {_where(dsn)}", remedy, passes=True)


def _no_socket(dsn: Dsn, _: str) -> Refusal:
    remedy = "start the server, or name the folder of unix_socket_directories"
    return Refusal(Part.HOST, f"no server is on {_where(dsn)}", remedy, passes=True)


def _silent(dsn: Dsn, _: str) -> Refusal:
    remedy = "check host and port, and what a firewall between here and there lets through"
    return Refusal(Part.HOST, f"{_where(dsn)} does not answer", remedy, passes=True)


def _speaks_otherwise(dsn: Dsn, _: str) -> Refusal:
    return Refusal(Part.PORT, f"what answers on {_where(dsn)} is no PostgreSQL", "check the port")


def _no_tls(dsn: Dsn, _: str) -> Refusal:
    remedy = "switch ssl on there, or, in a network you trust, write sslmode=prefer"
    return Refusal(Part.TLS, f"{_where(dsn)} does not speak TLS and sslmode={dsn.get('sslmode')} wants it", remedy)


def _untrusted(dsn: Dsn, _: str) -> Refusal:
    told = f"the certificate of {_where(dsn)} was issued by nobody who is trusted here"
    return Refusal(Part.TLS, told, "name the file of its issuer's certificate: sslrootcert=/path/ca.crt")


def _other_name(dsn: Dsn, told: str) -> Refusal:
    found = re.search(r'server certificate for "([^"]+)".*host name "([^"]+)"', told)
    names = f"is for {found[1]!r}, not for {found[2]!r}" if found else f"is for another name than {_where(dsn)}"
    return Refusal(Part.TLS, f"the server's certificate {names}", "connect by the name that stands in the certificate")


def _no_root(_: Dsn, told: str) -> Refusal:
    found = re.search(r'root certificate file "([^"]+)"', told)
    name = repr(found[1]) if found else "of sslrootcert"
    return Refusal(Part.TLS, f"the certificate file {name} is not there", "name it by sslrootcert=/path/ca.crt")


def _tls(dsn: Dsn, told: str) -> Refusal:
    return Refusal(Part.TLS, f"TLS with {_where(dsn)} failed: {_quoted(told)}", "compare sslmode and ssl on both sides")


def _no_database(dsn: Dsn, _: str) -> Refusal:
    remedy = "check its spelling, or have it made: 'dash-appliance database sql' prints how"
    return Refusal(Part.DATABASE, f"the server has no database {dsn.database!r}", remedy)


def _closed_database(dsn: Dsn, _: str) -> Refusal:
    return Refusal(
        Part.DATABASE, f"the database {dsn.database!r} takes no connections", "ALTER DATABASE … ALLOW_CONNECTIONS true"
    )


def _no_user(dsn: Dsn, _: str) -> Refusal:
    remedy = "check its spelling, or have it made: 'dash-appliance database sql' prints how"
    return Refusal(Part.USER, f"the server has no user {_who(dsn)}", remedy)


def _no_login(dsn: Dsn, _: str) -> Refusal:
    return Refusal(Part.USER, f"the role {_who(dsn)} may not sign in", "ALTER ROLE … LOGIN")


def _peer(dsn: Dsn, _: str) -> Refusal:
    told = f"this process's system user may not sign in as {_who(dsn)}"
    return Refusal(Part.USER, told, "run Dash as that system user, or connect over TCP with a password")


def _no_password(dsn: Dsn, _: str) -> Refusal:
    remedy = "put it into the DSN, or into the file named by DASH_DATABASE_PASSWORD_FILE"
    return Refusal(Part.PASSWORD, f"the server wants a password for {_who(dsn)} and none was given", remedy)


def _wrong_password(dsn: Dsn, _: str) -> Refusal:
    told = f"the password for {_who(dsn)} is wrong, or there is no such user: the server does not say which"
    return Refusal(Part.PASSWORD, told, "check both; special characters in a URL are percent-encoded")


def _no_line(dsn: Dsn, told: str) -> Refusal:
    unencrypted = re.search(r"no encryption|SSL off", told)
    how = " without TLS" if unencrypted else ""
    remedy = "add a line for it to pg_hba.conf and reload the server" + (", or write sslmode=require" if how else "")
    whom = f"{_who(dsn)} in the database {dsn.database!r} from this machine{how}"
    return Refusal(Part.ACCESS, f"pg_hba.conf of the server has no line that lets in {whom}", remedy)


def _no_connect(dsn: Dsn, _: str) -> Refusal:
    told = f"{_who(dsn)} may not connect to the database {dsn.database!r}"
    return Refusal(Part.ACCESS, told, f"GRANT CONNECT ON DATABASE … TO {dsn.user or '…'}")


def _full(dsn: Dsn, _: str) -> Refusal:
    remedy = "raise max_connections there, lower database.connections here, or put PgBouncer between"
    return Refusal(Part.ROOM, f"{_where(dsn)} has no connection left", remedy, passes=True)


def _busy(dsn: Dsn, told: str) -> Refusal:
    found = re.search(r"(starting up|shutting down|in recovery mode|not yet accepting connections)", told)
    state = found[1] if found else "not ready"
    return Refusal(Part.SERVER, f"the server {_where(dsn)} is {state}", "wait a moment", passes=True)


def _standby(dsn: Dsn, _: str) -> Refusal:
    wanted = dsn.get("target_session_attrs")
    if wanted not in (None, "read-write", "primary"):
        told = f"{_where(dsn)} is not as target_session_attrs={wanted} wants it"
        return Refusal(Part.STANDBY, told, "leave it out, or name another server", passes=True)
    remedy = "name the primary, or every server of the cluster, separated by commas"
    return Refusal(Part.STANDBY, f"{_where(dsn)} is a standby that takes no writes", remedy, passes=True)


def _pooler(_: Dsn, told: str) -> Refusal:
    remedy = "add it to ignore_startup_parameters of PgBouncer"
    return Refusal(Part.SERVER, f"the pooler does not take a parameter: {_quoted(told)}", remedy)


_KNOWN: Final[tuple[tuple[str, Callable[[Dsn, str], Refusal]], ...]] = (
    (r"could not translate host name|Name or service not known|failed to resolve host", _host),
    (r"password authentication failed|SASL authentication failed", _wrong_password),
    (r"no password supplied", _no_password),
    (r"(peer|ident) authentication failed", _peer),
    (r'role "[^"]*" does not exist|no such user', _no_user),
    (r'role "[^"]*" is not permitted to log in', _no_login),
    (r'database "[^"]*" does not exist|no such database', _no_database),
    (r"not currently accepting connections", _closed_database),
    (r"no pg_hba.conf entry|pg_hba.conf rejects", _no_line),
    (r"permission denied for database", _no_connect),
    (r"too many clients|too many connections|remaining connection slots|no more connections allowed", _full),
    (r"starting up|shutting down|recovery mode|not yet accepting connections", _busy),
    (r"session is (not )?read-only|in hot standby mode|server is not in hot standby", _standby),
    (r"unsupported startup parameter", _pooler),
    (r"does not support SSL, but SSL was required", _no_tls),
    (r"root certificate file .* does not exist", _no_root),
    (r"server certificate for .* does not match host name", _other_name),
    (r"certificate verify failed", _untrusted),
    (
        r"invalid response to SSL negotiation|expected authentication request|unexpected message|invalid message",
        _speaks_otherwise,
    ),
    (r"SSL error|TLS|certificate", _tls),
    (r"Connection refused", _closed),
    (r"No such file or directory", _no_socket),
    (r"timed? ?out|timeout expired|No route to host|unreachable", _silent),
    (r"server closed the connection unexpectedly|Connection reset", _busy),
)
