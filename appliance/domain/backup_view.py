"""A backup as people see it: nothing of what belongs to an organisation is in it."""

from datetime import datetime

import msgspec

from appliance.domain.backup import Backup, Kind, Verdict


class BackupView(msgspec.Struct, frozen=True, kw_only=True):
    """One backup. ``bytes``: of all its files; ``new_bytes``: what it added to what was there; ``rows_as_of``: when the
    oldest of its rows were copied, None: they are in a database; ``verified``: what came of reading it whole."""

    id: str
    kind: Kind
    at: datetime
    took_secs: float
    version: str
    node: str
    host: str
    pipelines: int
    events: int
    files: int
    bytes: int
    new_bytes: int
    rows_as_of: datetime | None
    database: str | None
    verified: Verdict | None = None


def view_of(one: Backup, verified: Verdict | None = None) -> BackupView:
    return BackupView(
        id=one.id,
        kind=one.kind,
        at=one.at,
        took_secs=one.took_secs,
        version=one.version,
        node=one.node,
        host=one.host,
        pipelines=len(one.pipelines),
        events=one.events,
        files=one.files,
        bytes=one.bytes,
        new_bytes=one.new_bytes,
        rows_as_of=min((rows.as_of for rows in one.rows), default=None),
        database=one.database,
        verified=verified,
    )
