"""TimescaleDB in the database: whether it is there, and which edition."""

from enum import Enum
from typing import Final, NamedTuple

import structlog

from appliance.storage.silver_postgres.connections import Cursor
from appliance.storage.sql.postgresql import quoted

OLDEST: Final = (2, 20)  # from here on chunks are converted by convert_to_columnstore()
_FOUND: Final = """
SELECT extversion, nspname, current_setting('timescaledb.license', true)
FROM pg_catalog.pg_extension JOIN pg_catalog.pg_namespace AS n ON n.oid = extnamespace WHERE extname = 'timescaledb'
"""

log = structlog.get_logger("silver")


class Edition(Enum):
    """What the server's ``timescaledb.license`` allows."""

    APACHE = "apache"  # hypertables only
    COMMUNITY = "timescale"  # and the columnstore


class Extension(NamedTuple):
    """``schema``: where its functions are, as SQL."""

    version: str
    edition: Edition
    schema: str

    @property
    def supported(self) -> bool:
        return _parsed(self.version) >= OLDEST

    @property
    def has_columnstore(self) -> bool:
        return self.supported and self.edition is Edition.COMMUNITY


def find(cursor: Cursor) -> Extension | None:
    """Return the extension of this database; None: it has none."""
    found = cursor.execute(_FOUND).fetchall()
    if not found:
        return None
    version, schema, license_ = found[0]
    edition = Edition.COMMUNITY if license_ == Edition.COMMUNITY.value else Edition.APACHE
    extension = Extension(version, edition, quoted(schema))
    if not extension.supported:
        least = ".".join(map(str, OLDEST))
        log.warning("silver.timescale_too_old", version=version, least=least)
    return extension


def _parsed(version: str) -> tuple[int, ...]:
    """Return the numbers that a version begins with: 2.29.0-dev is 2.29."""
    numbers = []
    for part in version.split("-")[0].split("."):
        if not part.isdigit():
            break
        numbers.append(int(part))
    return tuple(numbers)
