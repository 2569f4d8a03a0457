"""What every BronzeLog promises, asked of each adapter."""

from asyncio import gather
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from appliance.components.bronze import BronzeLog
from appliance.domain.event import Delivery, Envelope, Frame, Receipt
from appliance.errors import NotFound, TransientError
from appliance.storage.bronze import FileBronzeLog
from tests.contract.bronze_adapters import ALL, NOON, NOON_US, OTHER, PIPE, content, delivery


async def test_numbers_from_1_without_gaps_for_each_pipeline(log: BronzeLog) -> None:
    assert await log.append(PIPE, delivery(b"1", b"2")) == Receipt(1, 2)
    assert await log.append(OTHER, delivery(b"9")) == Receipt(1, 1)
    assert await log.append(PIPE, delivery(b"3")) == Receipt(3, 3)
    assert log.last_seq(PIPE) == 3
    assert log.pipelines() == [PIPE, OTHER]


async def test_knows_nothing_of_a_pipeline_that_received_nothing(log: BronzeLog) -> None:
    assert log.last_seq(PIPE) == 0
    assert log.checkpoint(PIPE) is None
    assert log.read(PIPE, 0, *ALL) == []
    assert log.segments(PIPE) == []
    assert list(log.verify(PIPE)) == []
    assert log.pipelines() == []
    with pytest.raises(NotFound):
        log.event(PIPE, 1)
    log.delete(PIPE)


async def test_reads_frames_with_their_time(log: BronzeLog) -> None:
    await log.append(PIPE, delivery(b'{"a":1}', msgspec.Raw(b'{"b":2}')))
    assert log.read(PIPE, 0, *ALL) == [Frame(1, 2, NOON_US, b'{"a":1}\n{"b":2}')]


async def test_frames_tell_of_which_delivery_they_are(log: BronzeLog) -> None:
    await log.append(PIPE, delivery(b"1"))
    await log.append(PIPE, delivery(b"2", b"3", b"4", delivery_id="dl_1"))
    told = [(one.first_seq, one.count, one.delivery_id, one.delivery_seq) for one in log.read(PIPE, 0, *ALL)]
    assert told == [(1, 1, None, 0), (2, 3, "dl_1", 2)]
    (tail,) = log.read(PIPE, 2, 1, 1 << 30)
    assert (tail.first_seq, tail.count, tail.delivery_id, tail.delivery_seq) == (3, 1, "dl_1", 2)


async def test_reads_on_after_a_number_in_the_middle_of_a_delivery(log: BronzeLog) -> None:
    await log.append(PIPE, delivery(b"1", b"2", b"3"))
    await log.append(PIPE, delivery(b"4", b"5"))
    assert content(log.read(PIPE, 1, *ALL)) == [(2, b"2"), (3, b"3"), (4, b"4"), (5, b"5")]
    assert content(log.read(PIPE, 4, *ALL)) == [(5, b"5")]
    assert log.read(PIPE, 5, *ALL) == []


async def test_read_keeps_to_the_number_of_events(log: BronzeLog) -> None:
    await log.append(PIPE, delivery(b"1", b"2", b"3"))
    await log.append(PIPE, delivery(b"4", b"5"))
    assert content(log.read(PIPE, 0, 2, 1 << 30)) == [(1, b"1"), (2, b"2")]
    assert content(log.read(PIPE, 0, 4, 1 << 30)) == [(1, b"1"), (2, b"2"), (3, b"3"), (4, b"4")]
    assert content(log.read(PIPE, 2, 1, 1 << 30)) == [(3, b"3")]


async def test_read_stops_before_the_number_of_bytes_but_answers_one_event(log: BronzeLog) -> None:
    await log.append(PIPE, delivery(b"10", b"20", b"30"))
    await log.append(PIPE, delivery(b"4000000000"))
    assert content(log.read(PIPE, 0, 99, 5)) == [(1, b"10"), (2, b"20")]  # 2 + line break + 2
    assert content(log.read(PIPE, 0, 99, 4)) == [(1, b"10")]
    assert content(log.read(PIPE, 0, 99, 1)) == [(1, b"10")]
    assert content(log.read(PIPE, 3, 99, 1)) == [(4, b"4000000000")]
    assert content(log.read(PIPE, 2, 99, 11)) == [(3, b"30")]


async def test_answers_an_event_verbatim_with_its_envelope(log: BronzeLog) -> None:
    headers = {"content-type": "application/json", "user-agent": "caf\u00e9"}
    await log.append(PIPE, delivery(b"1"))
    sent = delivery(b"2", b'{"a" : 1.50}', delivery_id="msg_1", remote="10.0.0.7", headers=headers)
    await log.append(PIPE, sent)
    event = log.event(PIPE, 3)
    assert (event.pipeline_id, event.seq, event.payload) == (PIPE, 3, b'{"a" : 1.50}')
    assert event.envelope == sent.envelope
    assert event.segment in [segment.name for segment in log.segments(PIPE)]


async def test_a_line_break_comes_back_from_event_and_is_a_space_in_read(log: BronzeLog) -> None:
    pretty = b'{\r\n  "a": "x\\n\xe2\x80\xa8"\n}'
    await log.append(PIPE, delivery(b"1", pretty))
    assert content(log.read(PIPE, 0, *ALL)) == [(1, b"1"), (2, b'{    "a": "x\\n\xe2\x80\xa8" }')]
    assert log.event(PIPE, 2).payload == pretty
    assert log.event(PIPE, 1).payload == b"1"


@pytest.mark.parametrize("seq", [-1, 0, 2])
async def test_no_such_event(log: BronzeLog, seq: int) -> None:
    await log.append(PIPE, delivery(b"1"))
    with pytest.raises(NotFound):
        log.event(PIPE, seq)


async def test_a_delivery_id_counts_once(log: BronzeLog) -> None:
    assert await log.append(PIPE, delivery(b"1", b"2", delivery_id="msg_1")) == Receipt(1, 2)
    assert await log.append(PIPE, delivery(b"1", b"2", delivery_id="msg_1")) == Receipt(1, 2, duplicate=True)
    assert await log.append(OTHER, delivery(b"1", delivery_id="msg_1")) == Receipt(1, 1)
    assert log.last_seq(PIPE) == 2


async def test_a_duplicate_waits_for_the_first(log: BronzeLog) -> None:
    receipts = await gather(*(log.append(PIPE, delivery(b"1", delivery_id="msg_1")) for _ in range(20)))
    assert sorted(receipt.duplicate for receipt in receipts) == [False] + [True] * 19
    assert {(receipt.first_seq, receipt.last_seq) for receipt in receipts} == {(1, 1)}


async def test_the_newest_checkpoint_is_kept(log: BronzeLog) -> None:
    await log.append(PIPE, delivery(b"1", checkpoint={"page": 1}))
    await log.append(PIPE, delivery(b"2"))
    assert log.checkpoint(PIPE) == {"page": 1}
    await log.append(PIPE, delivery(b"3", checkpoint={"page": 2, "cursor": ["x"]}))
    assert log.checkpoint(PIPE) == {"page": 2, "cursor": ["x"]}


async def test_a_delivery_without_payloads_moves_only_the_checkpoint(log: BronzeLog) -> None:
    for page in range(5):
        receipt = await log.append(PIPE, delivery(checkpoint={"page": page}))
        assert (receipt.count, log.last_seq(PIPE)) == (0, 0)
    await log.append(PIPE, delivery(b"1"))
    assert (await log.append(PIPE, delivery(checkpoint={"page": 5}))).count == 0
    await log.append(PIPE, delivery(b"2"))
    assert log.checkpoint(PIPE) == {"page": 5}
    assert content(log.read(PIPE, 0, *ALL)) == [(1, b"1"), (2, b"2")]
    assert log.event(PIPE, 2).payload == b"2"
    assert list(log.verify(PIPE)) == []


async def test_many_at_once_keep_every_delivery_together(log: BronzeLog) -> None:
    sent = [[b"%d" % (10 * at + place) for place in range(1 + at % 4)] for at in range(100)]
    receipts = await gather(*(log.append(PIPE, delivery(*payloads)) for payloads in sent))
    stored = dict(content(log.read(PIPE, 0, *ALL)))
    for payloads, receipt in zip(sent, receipts, strict=True):
        assert [stored[seq] for seq in range(receipt.first_seq, receipt.last_seq + 1)] == payloads
    assert sorted(stored) == list(range(1, 251))  # 100 deliveries of 1, 2, 3, 4, 1, … events: 25 · 10
    assert list(log.verify(PIPE)) == []


async def test_segments_cover_all_events(log: BronzeLog) -> None:
    for number in range(30):
        await log.append(PIPE, delivery(b"%d" % number))
    segments = log.segments(PIPE)
    assert segments[0].first_seq == 1
    assert segments[-1].last_seq == 30
    assert [s.first_seq for s in segments[1:]] == [s.last_seq + 1 for s in segments[:-1]]
    assert all(s.closed for s in segments[:-1])  # the last one too, once upkeep has come by


async def test_delete_removes_one_pipeline(log: BronzeLog) -> None:
    await log.append(PIPE, delivery(b"1", delivery_id="msg_1", checkpoint={"page": 1}))
    await log.append(OTHER, delivery(b"1"))
    log.delete(PIPE)
    assert log.pipelines() == [OTHER]
    assert log.last_seq(PIPE) == 0
    assert log.read(PIPE, 0, *ALL) == []
    assert log.checkpoint(PIPE) is None
    assert await log.append(PIPE, delivery(b"2", delivery_id="msg_1")) == Receipt(1, 1)


async def test_refuses_after_close(log: BronzeLog) -> None:
    await log.append(PIPE, delivery(b"1"))
    await log.close()
    await log.close()
    with pytest.raises(TransientError):
        await log.append(PIPE, delivery(b"2"))


async def test_times_before_1970_and_whole_seconds_come_back(log: BronzeLog) -> None:
    whole = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    await log.append(PIPE, Delivery(Envelope(received_at=whole, source="webhook"), [b"1"]))
    early = datetime(1970, 1, 1, tzinfo=UTC) - timedelta(microseconds=1)
    await log.append(PIPE, Delivery(Envelope(received_at=early, source="webhook"), [b"2"]))
    assert [frame.received_us for frame in log.read(PIPE, 0, *ALL)] == [1767323045000000, -1]
    assert log.event(PIPE, 1).envelope.received_at == whole


async def test_numbers_that_a_reader_has_had_are_not_given_out_again(log: BronzeLog) -> None:
    await log.append(PIPE, delivery(b"1", b"2", delivery_id="first"))
    log.reach(PIPE, 2)
    assert log.upkeep.quarantined(PIPE) == []
    log.reach(PIPE, 5)  # the log has lost 3 to 5
    log.reach(OTHER, 4)  # and everything of another
    assert (log.last_seq(PIPE), log.last_seq(OTHER)) == (5, 4)
    assert await log.append(PIPE, delivery(b"6")) == Receipt(6, 6)
    assert await log.append(OTHER, delivery(b"5")) == Receipt(5, 5)
    assert await log.append(PIPE, delivery(b"1", b"2", delivery_id="first")) == Receipt(1, 2, duplicate=True)
    for pipeline_id, lost in ((PIPE, {3, 4, 5}), (OTHER, {1, 2, 3, 4})):
        frames = log.read(pipeline_id, 0, *ALL)
        seqs = [(seq, bool(one.damaged)) for one in frames for seq in range(one.first_seq, one.last_seq + 1)]
        assert seqs == [(seq, seq in lost) for seq in range(1, log.last_seq(pipeline_id) + 1)]
        places = log.upkeep.quarantined(pipeline_id)
        assert {seq for one in places for seq in range(one.first_seq, one.last_seq + 1)} == lost
        assert list(log.verify(pipeline_id)) != []


async def test_lost_numbers_stay_lost_when_a_log_is_closed_and_opened_again(tmp_path: Path) -> None:
    for late in (False, True):  # with and without an event behind them
        root = tmp_path / str(late)
        log = FileBronzeLog(root, clock=lambda: NOON)
        await log.append(PIPE, delivery(b"1", b"2"))
        log.reach(PIPE, 5)
        if late:
            assert await log.append(PIPE, delivery(b"6")) == Receipt(6, 6)
        await log.close()
        again = FileBronzeLog(root, clock=lambda: NOON)
        again.reach(PIPE, 5)
        assert await again.append(PIPE, delivery(b"next")) == Receipt(6 + late, 6 + late)
        frames = again.read(PIPE, 0, *ALL)
        lost = [seq for one in frames if one.damaged for seq in range(one.first_seq, one.last_seq + 1)]
        assert lost == [3, 4, 5]
        await again.close()
