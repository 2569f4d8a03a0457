"""Connects to PostgreSQL so that what goes wrong is told by its part, and a lost server is noticed."""

from typing import Any

import psycopg

from appliance.domain.database.access import Access
from appliance.domain.database.refusal import Part, Refusal, refusal
from appliance.storage.control.backend import Unreachable

# A server that vanished without a word is given up after 15 s, not after the two hours of the kernel's default.
_ALIVE = {
    "keepalives": "1",
    "keepalives_idle": "5",
    "keepalives_interval": "3",
    "keepalives_count": "3",
    "tcp_user_timeout": "10000",
}
# A replica is given up after 5 s: the primary answers in its place, and whoever asked still waits.
_REPLACEABLE = {
    **_ALIVE,
    "keepalives_idle": "2",
    "keepalives_interval": "1",
    "tcp_user_timeout": "5000",
}


def parameters(access: Access, *, replica: bool = False) -> dict[str, Any]:
    """Return what to hand to psycopg: the DSN over our defaults. Holds the password.

    Several hosts mean a cluster: without a word of its own it is the member that takes writes that is looked for; for a
    ``replica`` it is any standby.

    Raises:
        Unreachable: the password file cannot be read.
    """
    dsn = access.dsn
    given: dict[str, Any] = {
        "application_name": "dash-appliance",
        "connect_timeout": str(round(access.connect_timeout.total_seconds())),
        **(_REPLACEABLE if replica else _ALIVE),
    }
    if len(dsn.endpoints) > 1:
        given["target_session_attrs"] = "standby" if replica else "read-write"
    if access.password_file is not None and not dsn.has_password():
        given["password"] = _password(access)
    return given | dsn.reveal()


def connect(access: Access, *, replica: bool = False, **more: Any) -> "psycopg.Connection[Any]":
    """Return a new connection. Statements are not prepared, so that PgBouncer may hand them to any server process.

    Raises:
        Unreachable: with the part of the DSN that is wrong.
    """
    try:
        return psycopg.connect(**{**parameters(access, replica=replica), **more}, prepare_threshold=None)
    except psycopg.Error as error:
        raise Unreachable(refusal(access.dsn, str(error))) from error


def _password(access: Access) -> str:
    path = access.password_file
    try:
        return path.read_text("utf-8").split("\n", 1)[0].rstrip("\r") if path else ""
    except (OSError, UnicodeDecodeError) as error:
        told = f"the password file {str(path)!r} cannot be read: {getattr(error, 'strerror', None) or 'not UTF-8'}"
        raise Unreachable(Refusal(Part.PASSWORD, told, "check database.password_file")) from error
