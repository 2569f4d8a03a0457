"""How the rows of one pipeline lie in a store that knows TimescaleDB: what the database has, and each chunk."""

from datetime import datetime
from enum import Enum
from typing import Final

import msgspec

from appliance.domain.chunks import Cutting

MOST_CHUNKS: Final = 400  # of one generation, up to which they are as wide as asked for


class Edition(Enum):
    """What the database offers."""

    NONE = "none"  # it has no TimescaleDB: rows lie in native partitions
    TOO_OLD = "too_old"  # it has a version that is not used
    APACHE = "apache"  # chunks only
    COMMUNITY = "community"  # and the columnstore


class Chunk(msgspec.Struct, frozen=True, kw_only=True):
    """The rows from ``start`` to before ``end``. ``bytes``: what they occupy, indexes included.

    ``columnar``: they lie in columns, and occupied ``as_rows_bytes`` before. ``grown``: rows came since, or were taken
    out to be changed, so that the next round converts it again.
    """

    start: datetime
    end: datetime
    bytes: int
    columnar: bool = False
    grown: bool = False
    as_rows_bytes: int = 0


class RowsCut(msgspec.Struct, frozen=True, kw_only=True):
    """``version``: TimescaleDB's; None: there is none. ``in_use``: new generations are cut into chunks.

    ``usual``: how rows of a pipeline are cut that says nothing of its own. ``keyed``: they are not, for their keys.
    ``width_secs``: of chunks to come, of the live rows; None: these are no hypertable. ``ordered_by``: the columns by
    which rows are put together in the columnstore; None: not decided yet. ``chunks``: newest first.
    """

    edition: Edition
    version: str | None = None
    in_use: bool = False
    usual: Cutting
    keyed: bool = False
    width_secs: int | None = None
    ordered_by: str | None = None
    chunks: tuple[Chunk, ...] = ()
