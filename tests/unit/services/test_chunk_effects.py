"""What another way of cutting rows would change, in words; and what is missing where nothing can be."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from appliance.components.chunks import Chunk, Edition, RowsCut
from appliance.domain.chunks import ChunkRules, Cutting, cutting
from appliance.services.chunk_effects import Circumstances, effects, missing, notes, share_left, waiting
from appliance.services.chunk_rules import apache_problems

DAY, HOUR, MIB = timedelta(days=1), timedelta(hours=1), 1 << 20
NOW = datetime(2026, 6, 20, tzinfo=UTC)
USUAL = Cutting(interval=DAY, compress_after=7 * DAY)


def chunk(age_days: int, **more: Any) -> Chunk:
    """Return a chunk of a day that ended so many days ago, with 120 MiB in rows or 12 MiB in columns."""
    end = NOW - age_days * DAY
    columnar = more.get("columnar", False)
    known = {"bytes": 12 * MIB, "as_rows_bytes": 120 * MIB} if columnar else {"bytes": 120 * MIB}
    return Chunk(start=end - DAY, end=end, **known, **more)


def cut(*chunks: Chunk, **more: Any) -> RowsCut:
    known = {"edition": Edition.COMMUNITY, "version": "2.28.3", "in_use": True, "width_secs": 86_400}
    return RowsCut(usual=USUAL, chunks=chunks, **(known | more))


# today's, of the last eight days in rows, and two in columns
ROWS = cut(chunk(-1), *(chunk(age) for age in range(8)), chunk(8, columnar=True), chunk(9, columnar=True))


def told(found: RowsCut = ROWS, kept: timedelta | None = None, rollups: int = 0, **rules: Any) -> list[str]:
    after = cutting(ChunkRules(**rules), USUAL)
    return effects(USUAL, after, found, Circumstances(NOW, kept, rollups))


def test_what_is_not_said_is_as_usual() -> None:
    assert cutting(ChunkRules(), USUAL) == USUAL
    assert cutting(ChunkRules(stay_rows=True), USUAL).compress_after is None
    assert told() == ["Nothing changes."]
    assert told(interval=DAY) == ["Nothing changes."]


def test_another_interval_counts_for_new_chunks() -> None:
    assert told(interval=6 * HOUR) == [
        "New chunks are for 6h each, not 1d, from the next round of retention on; the 11 chunks that are there stay as "
        "they are.",
        "At the pace of the last chunks one holds about 30 MiB as rows.",  # 120 MiB a day / 4
    ]


def test_an_interval_is_held_against_how_long_rows_are_kept() -> None:
    many = told(interval=6 * HOUR, kept=365 * DAY)[-1]  # 1,460 chunks
    assert many == (
        "Rows are kept for 365d, which would be more than 400 chunks: beyond, new ones become wider by themselves."
    )
    few = told(interval=30 * DAY, kept=7 * DAY)[-1]
    assert few == "Rows are kept for 7d: a longer chunk is emptied row by row, which costs more than dropping it."


def test_an_earlier_age_converts_what_is_due_then() -> None:
    assert told(compress_after=3 * DAY) == [
        "A chunk goes into columns 3d after its end, not 7d.",
        # those that ended 3 to 7 days ago: five of 120 MiB; 24 of 240 MiB are left of the two before
        "The next rounds of retention convert 5 chunks, 600 MiB by now; those before were left with 10% of what they "
        "occupied.",
    ]
    nothing_yet = cut(chunk(-1), chunk(4))
    assert (
        told(nothing_yet, compress_after=3 * DAY)[-1] == "The next rounds of retention convert 1 chunk, 120 MiB by now."
    )


def test_a_later_age_and_none_leave_what_is_in_columns() -> None:
    assert told(compress_after=30 * DAY) == [
        "A chunk goes into columns 30d after its end, not 7d.",
        "The 2 chunks that are in columns stay there.",
    ]
    assert told(stay_rows=True) == [
        "Chunks stay rows from now on. The 2 chunks that are in columns stay there.",
    ]
    assert told(compress_after=30 * DAY, kept=20 * DAY)[-1] == (
        "Rows are removed at the age of 20d: hardly any gets into columns before."
    )


def test_a_chunk_that_changed_since_is_due_again() -> None:
    grown = chunk(9, columnar=True, grown=True)
    assert waiting(cut(chunk(6), chunk(7), grown, chunk(10, columnar=True)), 7 * DAY, NOW) == [chunk(7), grown]
    assert waiting(cut(chunk(7), edition=Edition.APACHE), 7 * DAY, NOW) == []
    assert waiting(cut(chunk(7)), None, NOW) == []
    assert share_left([grown]) is None


def test_what_rows_are_put_together_by_and_views() -> None:
    assert told(order_by="device")[0].startswith(
        "Rows of chunks that are converted from now on are put together by 'device'"
    )
    assert told(views=True, rollups=2) == [
        "With the next round of retention 2 rollups are kept as a view for other tools too, refreshed by every round."
    ]
    assert told(views=True) == [
        "There are no rollups, of which views could be kept: declare one in the pipeline's document."
    ]


def test_rows_that_are_not_cut_yet_wait_for_a_replay() -> None:
    native = cut(width_secs=None)
    assert told(native, interval=6 * HOUR)[0] == (
        "The rows that are there are not cut into chunks yet: what is said here counts from the next replay on."
    )
    assert notes(native) == [told(native, interval=6 * HOUR)[0]]
    assert missing(native) is None


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (None, "Rows are kept in the embedded DuckDB"),
        (cut(edition=Edition.NONE, version=None, in_use=False), "The database has no TimescaleDB"),
        (cut(edition=Edition.TOO_OLD, version="2.14.2"), "The database has TimescaleDB 2.14.2, which is too old"),
        (cut(in_use=False), "The setting silver.timescale is off"),
        (cut(keyed=True), "Rows of this pipeline have a key"),
    ],
)
def test_what_is_missing_is_said(found: RowsCut | None, told: str) -> None:
    assert (missing(found) or "").startswith(told)
    assert notes(found) == []


def test_the_apache_edition_is_told_as_what_it_lacks() -> None:
    apache = cut(edition=Edition.APACHE)
    assert missing(apache) is None
    assert "neither the columnstore nor continuous aggregates" in notes(apache)[0]


def test_what_the_apache_edition_cannot_do_is_refused_whole() -> None:
    asked = {"interval": "6h", "compress_after": "3d", "order_by": "device", "views": True}
    assert [one.pointer for one in apache_problems(asked)] == ["/compress_after", "/order_by", "/views"]
    assert apache_problems({"interval": "6h", "compress_after": "never", "views": False}) == []
