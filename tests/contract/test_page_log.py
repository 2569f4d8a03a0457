"""What a PageLog promises: of every event the delivery that it came in, and the place of the source behind it."""

import json
from pathlib import Path
from typing import Any

from appliance.components.bronze import BronzeLog, Correction
from appliance.components.polls import PageEnd, PageLog
from tests.contract.bronze_adapters import ADAPTERS, NOON, PIPE, delivery, innermost, settled
from tests.fakes.bronze import MemoryBronzeLog


def page(log: BronzeLog, seq: int) -> tuple[int, Any, bool] | None:
    """Return the last event, the checkpoint and whether the delivery had one."""
    assert isinstance(log, PageLog)
    found: PageEnd | None = log.page(PIPE, seq)
    return found and (found.last_seq, json.loads(found.checkpoint or "null"), found.polled)


async def test_an_event_is_of_a_page_and_the_checkpoint_counts_until_the_next_event(log: BronzeLog) -> None:
    assert page(log, 0) == (0, None, False)
    assert page(log, 1) is None
    await log.append(PIPE, delivery(b"1", b"2", b"3", checkpoint={"page": 1}))
    await log.append(PIPE, delivery(checkpoint={"page": 2}))  # a page without events
    await log.append(PIPE, delivery(b"4", checkpoint={"page": 3}))
    await log.append(PIPE, delivery(b"5"))  # as a webhook's
    await log.append(PIPE, delivery(checkpoint={"page": 4}))
    for _ in range(2):  # as it was written, and compressed
        assert [page(log, seq) for seq in (1, 2, 3)] == [(3, {"page": 2}, True)] * 3
        assert page(log, 4) == (4, {"page": 3}, True)
        assert page(log, 5) == (5, {"page": 4}, False)
        assert page(log, 6) is None
        await settled(log)


async def test_what_came_before_the_first_event_is_known(log: BronzeLog) -> None:
    await log.append(PIPE, delivery(checkpoint={"page": 1}))
    assert log.checkpoint(PIPE) == {"page": 1}
    assert page(log, 0) == (0, {"page": 1}, False)
    await log.append(PIPE, delivery(b"1", checkpoint={"page": 2}))
    assert (page(log, 0) or ())[1] == {"page": 1}


async def test_a_checkpoint_may_be_empty_and_an_event_withdrawn(log: BronzeLog) -> None:
    await log.append(PIPE, delivery(b"1", b"2", checkpoint={"page": 1}))
    log.upkeep.correct(PIPE, [Correction(log.last_seq(PIPE), None, "taken over", "test", NOON)])
    await log.append(PIPE, delivery(checkpoint={}))
    assert log.checkpoint(PIPE) == {}
    assert page(log, 2) == (2, {}, True)


async def test_of_a_lost_page_nothing_is_known_but_where_the_log_stands(tmp_path: Path) -> None:
    log = ADAPTERS["file with tiny segments"](tmp_path / "bronze")
    for number in range(1, 4):
        await log.append(PIPE, delivery(b"1" * 400, checkpoint={"page": number}))
    assert not isinstance(innermost(log), MemoryBronzeLog)
    folder = tmp_path / "bronze" / PIPE
    await settled(log)  # nobody writes a segment anew
    for path in [*folder.glob("0*.jsonl"), *folder.glob("*.zst")]:
        path.unlink()
    assert page(log, 2) is None
    assert page(log, 3) == (3, {"page": 3}, True)
    await log.close()
