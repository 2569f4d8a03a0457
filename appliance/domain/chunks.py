"""How one pipeline's rows are cut into chunks: what it says itself, and what that makes of the installation's."""

from datetime import timedelta
from typing import Final

import msgspec

from appliance.domain.pipeline import Chunks
from appliance.domain.quantity import format_duration, parse_duration

NEVER: Final = "never"  # what a pipeline says whose rows shall stay rows
LEAST: Final = timedelta(hours=1)  # of both; as of the settings that they stand for
MOST: Final = {"interval": timedelta(days=365), "compress_after": timedelta(days=3650)}


class ChunkRules(msgspec.Struct, frozen=True, kw_only=True):
    """What a pipeline says of its chunks. None: nothing, and the installation's counts.

    ``stay_rows``: chunks are not put into columns, whatever ``compress_after`` is. ``order_by`` None: it is guessed.
    """

    interval: timedelta | None = None
    compress_after: timedelta | None = None
    stay_rows: bool = False
    order_by: str | None = None
    views: bool | None = None


AS_INSTALLED: Final = ChunkRules()


class Cutting(msgspec.Struct, frozen=True, kw_only=True):
    """How rows are cut in the end. ``compress_after`` None: never. ``order_by`` None: guessed from the rows."""

    interval: timedelta
    compress_after: timedelta | None
    views: bool = False
    order_by: str | None = None

    def told(self) -> Chunks:
        """Return it as people write it, every part of it."""
        age = NEVER if self.compress_after is None else format_duration(self.compress_after)
        return Chunks(format_duration(self.interval), age, self.order_by, self.views)


def chunk_rules(said: Chunks) -> ChunkRules:
    """Return what a document says, read.

    Raises:
        ValueError: a text is no duration; what was saved is.
    """
    stay = is_never(said.compress_after)
    return ChunkRules(
        interval=None if said.interval is None else parse_duration(said.interval),
        compress_after=None if said.compress_after is None or stay else parse_duration(said.compress_after),
        stay_rows=stay,
        order_by=said.order_by,
        views=said.views,
    )


def cutting(rules: ChunkRules, usual: Cutting) -> Cutting:
    """Return what counts for a pipeline: what it says itself, else what is usual in the installation."""
    age = usual.compress_after if rules.compress_after is None else rules.compress_after
    return Cutting(
        interval=rules.interval or usual.interval,
        compress_after=None if rules.stay_rows else age,
        views=usual.views if rules.views is None else rules.views,
        order_by=rules.order_by,
    )


def is_never(text: str | None) -> bool:
    return text is not None and text.strip().lower() == NEVER
