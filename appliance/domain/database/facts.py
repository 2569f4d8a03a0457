"""What was seen in a database, before anything is made of it."""

from collections.abc import Mapping

import msgspec


class Schema(msgspec.Struct, frozen=True):
    """``usable``: objects in it may be used and made. ``foreign``: tables in it that belong to somebody else."""

    name: str
    usable: bool
    foreign: int = 0


class Extension(msgspec.Struct, frozen=True, kw_only=True):
    """TimescaleDB. ``available``: the version that could be installed; ``licence``: ``timescale`` or ``apache``."""

    available: str | None = None
    installed: str | None = None
    licence: str | None = None


class Replica(msgspec.Struct, frozen=True, kw_only=True):
    """One read DSN. ``trouble``: why it was not reached; then the rest is not known. ``lag_secs``: of what it shows."""

    name: str
    trouble: str | None = None
    standby: bool = True
    same_cluster: bool = True
    lag_secs: float = 0.0


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """One look at one database, as the user of the DSN.

    ``version``: such as 150012. ``tls``: the protocol, None without. ``local``: by a socket or loopback. ``pooled``:
    two connections were served by one process of the server. ``settings``: of ``pg_settings``, in its units.
    ``role_limit``, ``database_limit``: of connections, -1: none. ``missing``: schemas of organisations that are not
    there. ``revision``: of the control plane found, ``tables`` the number that would be made.
    """

    version: int
    user: str
    database: str
    schema: str
    encoding: str = "UTF8"
    in_recovery: bool = False
    superuser: bool = False
    local: bool = False
    pooled: bool = False
    tls: str | None = None
    sslmode: str = "prefer"
    may_create: bool = True
    may_use_temporary: bool = True
    schemas: tuple[Schema, ...] = ()
    missing: tuple[str, ...] = ()
    revision: str | None = None
    tables: int = 0
    extension: Extension = Extension()
    settings: Mapping[str, str] = {}
    connections_used: int = 0
    role_limit: int = -1
    database_limit: int = -1
    round_trips: tuple[float, ...] = ()
    replicas: tuple[Replica, ...] = ()

    @property
    def major(self) -> int:
        return self.version // 10_000

    def own(self) -> Schema | None:
        """Return the control plane's schema; None: it is not there."""
        return next((one for one in self.schemas if one.name == self.schema), None)
