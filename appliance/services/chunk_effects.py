"""What another way of cutting rows would change, in words, before it is saved; and why nothing can be changed."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from appliance.components.chunks import MOST_CHUNKS, Chunk, Edition, RowsCut
from appliance.domain.chunks import Cutting
from appliance.domain.quantity import format_duration, shown_size

_LOOKED_AT: Final = 10  # of the newest chunks that have ended, to tell what one holds
_EMBEDDED: Final = (
    "Rows are kept in the embedded DuckDB, which needs no chunks. They are TimescaleDB's: move to a PostgreSQL of your "
    "own that has the extension, by 'dash-appliance database move'."
)
_NO_EXTENSION: Final = (
    "The database has no TimescaleDB, so rows are kept in native partitions. Have an administrator of the database run "
    "CREATE EXTENSION timescaledb in it, restart Dash, and rebuild the pipeline's history."
)
_TOO_OLD: Final = (
    "The database has TimescaleDB {version}, which is too old to be used: 2.20 or later is. Have an administrator of "
    "the database update it, and restart Dash."
)
_OFF: Final = "The setting silver.timescale is off, so rows are kept in native partitions: set it to 'auto'."
_KEYED: Final = (
    "Rows of this pipeline have a key, which is unique over all times: they are kept in one plain table and not cut."
)
_APACHE: Final = (
    "The server runs the Apache-licensed edition of TimescaleDB: it has chunks, but neither the columnstore nor "
    "continuous aggregates, so rows stay rows. The Community edition has them (timescaledb.license = 'timescale')."
)
_NOT_CUT: Final = (
    "The rows that are there are not cut into chunks yet: what is said here counts from the next replay on."
)


class Circumstances(NamedTuple):
    """What counts beside the rows. ``kept``: the age at which rows go, None: never; ``rollups``: how many there are."""

    now: datetime
    kept: timedelta | None = None
    rollups: int = 0


def missing(found: RowsCut | None) -> str | None:
    """Return what has to be there for chunks of this pipeline to be adjusted; None: nothing is missing."""
    if found is None:
        return _EMBEDDED
    if found.edition is Edition.NONE:
        return _NO_EXTENSION
    if found.edition is Edition.TOO_OLD:
        return _TOO_OLD.format(version=found.version)
    if not found.in_use:
        return _OFF
    return _KEYED if found.keyed else None


def notes(found: RowsCut | None) -> list[str]:
    """Return what does not go as somebody may expect, though chunks can be adjusted."""
    if found is None or missing(found) is not None:
        return []
    told = [_APACHE] if found.edition is Edition.APACHE else []
    return [*told, _NOT_CUT] if found.width_secs is None else told


def waiting(found: RowsCut, age: timedelta | None, now: datetime) -> list[Chunk]:
    """Return the chunks that are old enough for the columnstore and are not in it, or have changed since."""
    if age is None or found.edition is not Edition.COMMUNITY:
        return []
    return [one for one in found.chunks if one.end <= now - age and (one.grown or not one.columnar)]


def effects(before: Cutting, after: Cutting, found: RowsCut, around: Circumstances) -> list[str]:
    """Return in sentences what it means to go from ``before`` to ``after``."""
    told = [_NOT_CUT] if found.width_secs is None and before != after else []
    if after.interval != before.interval:
        told += _of_interval(before.interval, after.interval, found, around)
    if after.compress_after != before.compress_after:
        told += _of_age(before.compress_after, after.compress_after, found, around)
    if after.order_by != before.order_by:
        told.append(_of_order(after.order_by, found))
    if after.views != before.views:
        told.append(_of_views(around.rollups, wanted=after.views))
    return told or ["Nothing changes."]


def _of_interval(before: timedelta, after: timedelta, found: RowsCut, around: Circumstances) -> Iterator[str]:
    there = _counted(len(found.chunks), "chunk that is there stays as it is", "chunks that are there stay as they are")
    yield (
        f"New chunks are for {format_duration(after)} each, not {format_duration(before)}, from the next round of "
        f"retention on; the {there}."
    )
    pace = _pace(found.chunks, around.now)
    if pace:
        yield f"At the pace of the last chunks one holds about {shown_size(pace * after.total_seconds())} as rows."
    if around.kept is None:
        return
    kept = format_duration(around.kept)
    if around.kept > MOST_CHUNKS * after:
        yield (
            f"Rows are kept for {kept}, which would be more than {MOST_CHUNKS} chunks: beyond, new ones become wider "
            f"by themselves."
        )
    if around.kept < after:
        yield f"Rows are kept for {kept}: a longer chunk is emptied row by row, which costs more than dropping it."


def _of_age(before: timedelta | None, after: timedelta | None, found: RowsCut, around: Circumstances) -> Iterator[str]:
    columnar = [one for one in found.chunks if one.columnar]
    stay = _counted(len(columnar), "chunk that is in columns stays there", "chunks that are in columns stay there")
    if after is None:
        yield "Chunks stay rows from now on." + (f" The {stay}." if columnar else "")
        return
    was = "" if before is None else f", not {format_duration(before)}"
    yield f"A chunk goes into columns {format_duration(after)} after its end{was}."
    due = waiting(found, after, around.now)
    if due:
        chunks = _counted(len(due), "chunk", "chunks")
        told = f"The next rounds of retention convert {chunks}, {shown_size(sum(one.bytes for one in due))} by now"
        share = share_left(found.chunks)
        yield f"{told}; those before were left with {share:.0%} of what they occupied." if share else f"{told}."
    elif columnar and (before is None or after > before):
        yield f"The {stay}."
    if around.kept is not None and around.kept <= after:
        yield f"Rows are removed at the age of {format_duration(around.kept)}: hardly any gets into columns before."


def _of_order(name: str | None, found: RowsCut) -> str:
    if name is None:
        now = f": it stays {found.ordered_by}" if found.ordered_by else ""
        return f"By what rows are put together in columns is guessed anew with the next replay{now} until then."
    return (
        f"Rows of chunks that are converted from now on are put together by {name!r}; those that are in columns keep "
        f"their order until they change."
    )


def _of_views(rollups: int, *, wanted: bool) -> str:
    if not wanted:
        return "The views for other tools are dropped with the next round of retention; Dash never reads them."
    if not rollups:
        return "There are no rollups, of which views could be kept: declare one in the pipeline's document."
    made = _counted(rollups, "rollup is", "rollups are")
    return f"With the next round of retention {made} kept as a view for other tools too, refreshed by every round."


def share_left(chunks: Sequence[Chunk]) -> float | None:
    """Return what part of their bytes as rows is left of chunks in columns; None: there are none to tell by."""
    measured = [one for one in chunks if one.columnar and not one.grown and one.as_rows_bytes]
    before = sum(one.as_rows_bytes for one in measured)
    return sum(one.bytes for one in measured) / before if before else None


def _pace(chunks: Sequence[Chunk], now: datetime) -> float | None:
    """Return the bytes, as rows, that a second of the newest whole chunks has; None: there are none."""
    whole = [one for one in chunks if one.end <= now][:_LOOKED_AT]
    secs = sum((one.end - one.start).total_seconds() for one in whole)
    return sum(one.as_rows_bytes or one.bytes for one in whole) / secs if secs else None


def _counted(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}"
