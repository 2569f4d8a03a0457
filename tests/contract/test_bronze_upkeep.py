"""What every BronzeLog promises about expiry, erasure, corrections and time, asked of each adapter."""

from datetime import timedelta

import pytest

from appliance.components.bronze import BronzeLog, Correction, Expired
from appliance.domain.event import Receipt
from appliance.errors import NotFound
from tests.contract.bronze_adapters import ALL, NOON, OTHER, PIPE, content, delivery, settled

HOUR = timedelta(hours=1)
DAWN = NOON - 11 * HOUR  # the log's clock stands at noon


def correction(seq: int, payload: bytes | None) -> Correction:
    return Correction(seq, payload, "a typing error", "ada@example.org", NOON)


@pytest.fixture
async def day(log: BronzeLog) -> BronzeLog:
    """Twelve deliveries of two events, an hour apart: 1-2 at one in the morning, 3-4 at two, … 23-24 at noon."""
    for hour in range(12):
        payloads = (b'{"at":%d,"pad":"%0100d"}' % (hour, hour), b'{"also":%d}' % hour)
        at = DAWN + hour * HOUR
        await log.append(PIPE, delivery(*payloads, received_at=at, delivery_id=f"d{hour}", checkpoint={"page": hour}))
    await settled(log)
    return log


def test_nothing_is_known_of_a_pipeline_that_received_nothing(log: BronzeLog) -> None:
    keep = log.upkeep
    assert (keep.first_seq(PIPE), keep.seq_at(PIPE, NOON), keep.size(PIPE), keep.quarantined(PIPE)) == (1, 1, 0, [])
    assert keep.expire(PIPE, before=NOON, keep_bytes=0, up_to=9) == Expired(0, 0, 0)
    assert (keep.erase(PIPE, [], "asked for", "ada"), keep.correction(PIPE, 1)) == (0, None)
    with pytest.raises(NotFound):
        keep.correct(PIPE, [correction(1, b"1")])


@pytest.mark.parametrize(
    ("moment", "seq"),
    [(DAWN - HOUR, 1), (DAWN, 1), (DAWN + timedelta(microseconds=1), 3), (DAWN + 5 * HOUR, 11), (DAWN + 12 * HOUR, 25)],
)
def test_finds_the_first_event_at_or_after_a_moment(day: BronzeLog, moment: object, seq: int) -> None:
    assert day.upkeep.seq_at(PIPE, moment) == seq  # type: ignore[arg-type]


async def test_a_clock_that_was_set_back_does_not_hide_the_first(log: BronzeLog) -> None:
    for hour in (0, 1, 2, 0.5, 1.5, 2.5):  # set back by an hour and a half after the third
        await log.append(PIPE, delivery(b"%0200d" % 1, received_at=DAWN + hour * HOUR))
    await settled(log)
    found = [log.upkeep.seq_at(PIPE, DAWN + hour * HOUR) for hour in (0, 0.25, 1, 1.25, 2, 2.25, 3)]
    assert found == [1, 2, 2, 3, 3, 6, 7]


def test_what_has_expired_is_passed_over_and_told(day: BronzeLog) -> None:
    gone = day.upkeep.expire(PIPE, before=DAWN + 6 * HOUR, keep_bytes=None, up_to=24)
    first = day.upkeep.first_seq(PIPE)
    assert first == gone.events + 1
    assert first <= 13  # what was received six hours later is kept
    assert (gone.segments > 0) == (gone.events > 0) == (gone.bytes_freed > 0)
    assert day.read(PIPE, 0, *ALL)[0].first_seq == first
    assert [seq for seq, _ in content(day.read(PIPE, 0, *ALL))] == list(range(first, 25))
    assert (day.last_seq(PIPE), day.checkpoint(PIPE)) == (24, {"page": 11})
    if first > 1:
        with pytest.raises(NotFound, match="it has expired"):
            day.event(PIPE, first - 1)
    assert day.event(PIPE, first).payload == content(day.read(PIPE, first - 1, 1, 1 << 20))[0][1]
    assert day.upkeep.seq_at(PIPE, DAWN - HOUR) == first
    assert list(day.verify(PIPE)) == []
    assert day.segments(PIPE)[0].first_seq == first


def test_nothing_above_a_number_expires(day: BronzeLog) -> None:
    day.upkeep.expire(PIPE, before=NOON + 99 * HOUR, keep_bytes=0, up_to=5)
    assert day.upkeep.first_seq(PIPE) <= 5
    assert [seq for seq, _ in content(day.read(PIPE, 4, *ALL))] == list(range(5, 25))


def test_only_as_much_expires_as_is_too_large(day: BronzeLog) -> None:
    size = day.upkeep.size(PIPE)
    assert day.upkeep.expire(PIPE, before=None, keep_bytes=size, up_to=24).events == 0
    gone = day.upkeep.expire(PIPE, before=None, keep_bytes=0, up_to=24)
    assert day.upkeep.first_seq(PIPE) == gone.events + 1
    assert day.upkeep.size(PIPE) <= size - gone.bytes_freed + 4096  # the manifest may have grown by a block
    assert len(content(day.read(PIPE, 0, *ALL))) == 24 - gone.events


async def test_goes_on_after_expiry(day: BronzeLog) -> None:
    day.upkeep.expire(PIPE, before=NOON + 99 * HOUR, keep_bytes=0, up_to=24)
    assert await day.append(PIPE, delivery(b"25")) == Receipt(25, 25)
    assert await day.append(PIPE, delivery(b"1", delivery_id="d0")) == Receipt(1, 2, duplicate=True)
    assert content(day.read(PIPE, 24, *ALL)) == [(25, b"25")]


def test_erased_events_are_withdrawn(day: BronzeLog) -> None:
    assert day.upkeep.erase(PIPE, [3, 4, 24], "asked for", "ada") == 3
    assert day.upkeep.erase(PIPE, [4, 5], "asked for", "ada") == 1
    frames = day.read(PIPE, 0, *ALL)
    assert [seq for frame in frames for seq in frame.withdrawn] == [3, 4, 5, 24]
    lines = dict(content(frames))
    assert list(lines) == list(range(1, 25))
    assert [lines[seq] for seq in (3, 4, 5, 24)] == [b"null"] * 4
    assert lines[6] == b'{"also":2}'
    assert [frame.withdrawn for frame in day.read(PIPE, 3, 1, 1 << 20)] == [(4,)]
    with pytest.raises(NotFound, match="it was erased"):
        day.event(PIPE, 3)
    assert day.event(PIPE, 6).payload == b'{"also":2}'
    assert list(day.verify(PIPE)) == []


async def test_numbers_checkpoint_and_delivery_ids_outlive_erasure(day: BronzeLog) -> None:
    day.upkeep.erase(PIPE, list(range(1, 25)), "asked for", "ada")
    assert (day.last_seq(PIPE), day.checkpoint(PIPE)) == (24, {"page": 11})
    assert await day.append(PIPE, delivery(b"1", delivery_id="d11")) == Receipt(23, 24, duplicate=True)
    assert await day.append(PIPE, delivery(b"25")) == Receipt(25, 25)
    assert content(day.read(PIPE, 23, *ALL)) == [(24, b"null"), (25, b"25")]


def test_no_such_event_can_be_erased_or_corrected(day: BronzeLog) -> None:
    for seq in (0, 25):
        with pytest.raises(NotFound):
            day.upkeep.erase(PIPE, [seq], "asked for", "ada")
        with pytest.raises(NotFound):
            day.upkeep.correct(PIPE, [correction(seq, b"1")])


def test_corrected_events_are_answered_as_corrected(day: BronzeLog) -> None:
    day.upkeep.correct(PIPE, [correction(2, b'{"also":\n"mended"}'), correction(3, None)])
    day.upkeep.correct(PIPE, [correction(7, b"1"), correction(7, b"2")])
    frames = day.read(PIPE, 0, *ALL)
    lines = dict(content(frames))
    assert [lines[seq] for seq in (2, 3, 4, 7, 8)] == [
        b'{"also": "mended"}', b"null", b'{"also":1}', b"2", b'{"also":3}',
    ]  # fmt: skip
    assert [seq for frame in frames for seq in frame.withdrawn] == [3]
    assert content(day.read(PIPE, 6, 1, 1 << 20)) == [(7, b"2")]
    assert day.event(PIPE, 2).payload == b'{"also":0}'  # verbatim, as it was received
    assert day.upkeep.correction(PIPE, 7) == correction(7, b"2")
    assert day.upkeep.correction(PIPE, 3) == correction(3, None)
    assert day.upkeep.correction(PIPE, 8) is None
    assert list(day.verify(PIPE)) == []


def test_a_correction_goes_with_the_event_that_is_erased(day: BronzeLog) -> None:
    day.upkeep.correct(PIPE, [correction(5, b"5"), correction(6, b"6")])
    day.upkeep.erase(PIPE, [5], "asked for", "ada")
    day.upkeep.correct(PIPE, [correction(5, b"5")])
    assert (day.upkeep.correction(PIPE, 5), day.upkeep.correction(PIPE, 6)) == (None, correction(6, b"6"))
    assert content(day.read(PIPE, 4, 2, 1 << 20)) == [(5, b"null"), (6, b"6")]


def test_pipelines_do_not_meddle(day: BronzeLog) -> None:
    day.upkeep.erase(PIPE, [1], "asked for", "ada")
    assert (day.upkeep.first_seq(OTHER), day.upkeep.erase(OTHER, [], "asked for", "ada")) == (1, 0)
    day.delete(PIPE)
    assert (day.upkeep.first_seq(PIPE), day.upkeep.size(PIPE)) == (1, 0)


def test_tells_which_events_are_answered_otherwise_than_they_came(day: BronzeLog) -> None:
    day.upkeep.correct(PIPE, [correction(9, b"1"), correction(3, None), correction(4, b"2")])
    assert day.upkeep.corrected(PIPE, 1, 24) == [3, 4, 9]
    assert day.upkeep.corrected(PIPE, 4, 8) == [4]
    day.upkeep.erase(PIPE, [4], "asked for", "ada@example.org")
    assert day.upkeep.corrected(PIPE, 1, 24) == [3, 9]
    assert day.upkeep.corrected(OTHER, 1, 24) == []
