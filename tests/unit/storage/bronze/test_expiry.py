"""Expiry gives space back, keeps the chain provable, and is not fooled by a clock that was wrong."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from appliance.components.bronze import Expired
from appliance.domain.ids import PipelineId
from appliance.storage.bronze.blockstore import Blockstore
from appliance.storage.bronze.dedupe import DeliveryWindow
from appliance.storage.bronze.expiry import occupied_by
from appliance.storage.bronze.frame import microseconds
from appliance.storage.bronze.keeper import Keeper
from appliance.storage.bronze.manifest import read_lines
from appliance.storage.bronze.pipeline_log import PipelineLog
from appliance.storage.bronze.recovery import recover
from appliance.storage.bronze.verify import Verification
from tests.fakes.segments import NOON, Hand, compact_all, events, names, open_log, options, packed

DAY = timedelta(days=1)


def log_of(directory: Path, times: list[datetime], size: int = 100_000) -> PipelineLog:
    """Return a log with a segment for each time, all but the last compressed; payloads that do not compress well."""
    log = open_log(directory, segment_bytes=1)
    for seq, at in enumerate(times, 1):
        noise = "".join(f"{(seq * 7919 + place) ** 7 % 999_983:06d}" for place in range(size // 6))
        log.commit([packed(b'"%b"' % noise.encode(), received_at=at, delivery_id=f"d{seq}")])
    compact_all(log)
    return log


def keeper_of(log: PipelineLog, now: datetime) -> Keeper:
    hand = Hand()
    hand.now = now
    return Keeper(log, options(hand), Blockstore())


def found(log: PipelineLog) -> list[str]:
    return [one.message for one in Verification(PipelineId("pl"), log).findings()]


def test_the_file_system_has_its_blocks_back(tmp_path: Path) -> None:
    log = log_of(tmp_path / "pl", [NOON + at * DAY for at in range(6)])
    before = occupied_by(tmp_path / "pl")
    blocks = {path.name: path.stat().st_blocks * 512 for path in (tmp_path / "pl").iterdir()}
    gone = keeper_of(log, NOON + 9 * DAY).expire(NOON + 3 * DAY, None, 6)
    assert gone == Expired(3, 3, sum(blocks[f"{seq:020d}.{end}"] for seq in (1, 2, 3) for end in ("jsonl.zst", "idx")))
    assert gone.bytes_freed > 100_000
    assert occupied_by(tmp_path / "pl") == before - gone.bytes_freed
    assert names(tmp_path / "pl") == [
        "4.idx", "4.jsonl.zst", "5.idx", "5.jsonl.zst", "6.jsonl", "manifest.jsonl",
    ]  # fmt: skip
    assert [seq for seq, _ in events(log)] == [4, 5, 6]
    assert found(log) == []
    log.close()
    again = open_log(tmp_path / "pl")
    assert (again.first_seq, again.last_seq, found(again)) == (4, 6, [])


def test_what_is_gone_without_a_line_in_the_manifest_is_found(tmp_path: Path) -> None:
    """The control of the test above: the same files gone, and nobody said so."""
    log = log_of(tmp_path / "pl", [NOON + at * DAY for at in range(6)], 100)
    for seq in (1, 2, 3):
        (tmp_path / "pl" / f"{seq:020d}.jsonl.zst").unlink()
    assert found(log) == ["the file is missing"] * 3


def test_a_line_that_says_so_falsely_breaks_the_chain(tmp_path: Path) -> None:
    log = log_of(tmp_path / "pl", [NOON + at * DAY for at in range(6)], 100)
    keeper_of(log, NOON + 9 * DAY).expire(NOON + 2 * DAY, None, 6)
    path = tmp_path / "pl" / "manifest.jsonl"
    last = read_lines(path)[-1]
    assert last.startswith(b'{"expired":"00000000000000000002.jsonl.zst","segments":2,"events":2,')
    path.write_bytes(
        path.read_bytes().replace(b'{"expired":"00000000000000000002', b'{"expired":"00000000000000000003')
    )
    assert found(log) == ["line 6 (00000000000000000003.jsonl.zst) was changed"]


def test_only_as_many_as_it_takes(tmp_path: Path) -> None:
    log = log_of(tmp_path / "pl", [NOON + at * DAY for at in range(6)])
    keeper = keeper_of(log, NOON + 9 * DAY)
    each = keeper._size_of(log.manifest.entries()[0])
    assert keeper.expire(None, keeper.size() - each - 1, 6).segments == 2
    assert keeper.expire(None, keeper.size(), 6) == Expired(0, 0, 0)
    assert keeper.expire(None, 0, 4).segments == 2
    assert keeper.expire(None, 0, 6).segments == 1
    assert keeper.expire(None, 0, 6).segments == 0  # the open one stays


@pytest.mark.parametrize(
    ("hours", "expired"),
    [
        ([0, 1, 2, 3, 4, 5], 3),  # before three o'clock
        ([0, 2, 1, 3, 4, 5], 3),  # set back by an hour and put right again
        ([0, 3.5, 1, 2, 4, 5], 1),  # what claims to be younger, and all behind it, stays
        ([0, 900, 1, 2, 4, 5], 4),  # but not what claims to be from the future
        ([-900, 0, 1, 2, 4, 5], 4),
        ([4, 0, 1, 2, 3, 5], 0),
    ],
)
def test_clocks_that_were_wrong(tmp_path: Path, hours: list[float], expired: int) -> None:
    log = log_of(tmp_path / "pl", [NOON + timedelta(hours=hour) for hour in hours], 100)
    keeper = keeper_of(log, NOON + timedelta(hours=6))
    assert keeper.expire(NOON + timedelta(hours=3), None, 6).segments == expired


def test_delivery_ids_of_the_day_outlive_their_segments(tmp_path: Path) -> None:
    log = log_of(tmp_path / "pl", [NOON + at * DAY for at in range(6)], 100)
    now = NOON + 5 * DAY + timedelta(hours=1)
    keeper_of(log, now).expire(None, 0, 6)
    log.park()
    window = DeliveryWindow()
    window.restore(recover(tmp_path / "pl"), microseconds(now))
    assert [window.find(f"d{seq}", microseconds(now)) for seq in range(1, 7)] == [None, None, None, None, None, (6, 6)]
    now = NOON + 4 * DAY + timedelta(hours=1)
    log = log_of(tmp_path / "other", [NOON + at * DAY for at in range(6)], 100)
    keeper_of(log, now).expire(None, 0, 6)
    log.park()
    window.restore(recover(tmp_path / "other"), microseconds(now))
    assert window.find("d5", microseconds(now)) == (5, 5)
    keeper_of(open_log(tmp_path / "other"), now + DAY).expire(None, 0, 6)
    assert names(tmp_path / "other") == ["6.jsonl", "manifest.jsonl"]


def test_all_closed_segments_may_go_and_numbers_go_on(tmp_path: Path) -> None:
    log = log_of(tmp_path / "pl", [NOON + at * DAY for at in range(3)], 100)
    log.rotate()
    keeper = keeper_of(log, NOON + 9 * DAY)
    assert keeper.expire(NOON + 9 * DAY, None, 3).events == 3
    assert (events(log), log.first_seq, keeper.seq_at(NOON), found(log)) == ([], 4, 4, [])
    log.close()
    again = open_log(tmp_path / "pl")
    assert again.commit([packed(b"4")]) == [4]
    assert events(again) == [(4, b"4")]
    again.rotate()
    compact_all(again)
    assert found(again) == []
    again.close()
    assert open_log(tmp_path / "pl").first_seq == 4
