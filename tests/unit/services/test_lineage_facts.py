"""What Bronze and Silver know of one event, in every state it can be in."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from appliance.components.bronze import Correction
from appliance.components.silver import Table
from appliance.domain.event import Delivery, Envelope
from appliance.domain.ids import PipelineId
from appliance.errors import NotFound
from appliance.services.lineage_facts import Facts, Origin, Place, look_up, mapped_outcome
from appliance.services.lineage_views import Fate
from appliance.storage.silver_duckdb.store import DuckDbSilver
from tests.fakes.bronze import MemoryBronzeLog
from tests.silver_batches import FILTERED, KEYED, PLAIN, START, Event, amendment, batch, dead, row

AT = datetime(2026, 3, 1, tzinfo=UTC)


class Stores:
    def __init__(self, folder: Path) -> None:
        self.bronze = MemoryBronzeLog()
        self.silver = DuckDbSilver(folder / "org_1.duckdb")

    async def receive(self, *payloads: bytes, of: Table = PLAIN, source: str = "webhook") -> None:
        """Append one delivery for each payload."""
        for payload in payloads:
            envelope = Envelope(received_at=AT, source=source)
            await self.bronze.append(of.pipeline_id, Delivery(envelope, [payload]))

    def facts(self, seq: int, item: int | None = None, of: Table = PLAIN) -> Facts:
        return look_up(self.bronze, self.silver, of, Place(of.pipeline_id, seq, item))


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[Stores]:
    made = Stores(tmp_path)
    yield made
    made.silver.close()


async def test_each_outcome_that_silver_can_tell(stores: Stores) -> None:
    await stores.receive(b"1", b"2", b"3", b"4")
    stores.silver.commit(batch(PLAIN, 1, [row(n=1), dead(), FILTERED], version=7))
    found = [stores.facts(seq) for seq in (1, 2, 3, 4)]
    assert [one.outcomes for one in found] == [("stored",), ("dead",), ("filtered",), ("pending",)]
    assert [one.span.version if one.span else None for one in found] == [7, 7, 7, None]
    assert [one["n"] for one in found[0].rows] == [1]
    assert [letter.reason for letter in found[1].letters] == ["type"]


async def test_what_left_nothing_behind_may_have_to_be_mapped_again(stores: Stores) -> None:
    await stores.receive(b"1", b"2", b"3", of=KEYED)
    same = {"_key": "a"}
    stores.silver.commit(batch(KEYED, 1, [row(n=1, **same), FILTERED, row(n=3, **same)]))
    one = stores.facts(1, of=KEYED)
    assert one.outcomes == ("filtered", "duplicate")
    assert [frame.lines for frame in one.frames] == [b"1"]
    assert [mapped_outcome(one, rows, dead) for rows, dead in ((1, 0), (0, 0), (1, 1))] == [
        "duplicate",
        "filtered",
        "dead",
    ]
    assert stores.facts(3, of=KEYED).outcomes == ("stored",)


class Repeated:
    """A store that has event 1 as another one."""

    def repeated(self, pipeline_id: PipelineId, first_seq: int, last_seq: int) -> list[tuple[int, int]]:
        return [(1, 1)] if first_seq == 1 else []


async def test_what_is_stored_as_another_event_is_a_duplicate_whatever_else_there_is(stores: Stores) -> None:
    await stores.receive(b"1", b"2", b"3", of=KEYED)
    stores.silver.commit(batch(KEYED, 1, [row(n=1, _key="a"), FILTERED, row(n=3, _key="a")]))
    stores.silver.deliveries = Repeated()  # type: ignore[assignment]
    assert [stores.facts(seq, of=KEYED).outcomes for seq in (1, 2)] == [("duplicate",), ("filtered", "duplicate")]


async def test_rows_that_retention_has_removed_were_stored(stores: Stores) -> None:
    await stores.receive(b"1", b"2")
    stores.silver.commit(batch(PLAIN, 1, [row(n=1), row(n=2)]))
    stores.silver.upkeep.trim(PLAIN, START + timedelta(seconds=2))
    one = stores.facts(1)
    assert (one.outcomes, one.rows) == (("stored",), [])


async def test_an_event_that_was_mended_is_what_it_became(stores: Stores) -> None:
    await stores.receive(b"1")
    stores.silver.commit(batch(PLAIN, 1, [dead()]))
    stores.silver.letters.amend(amendment(PLAIN, {1: row(n=5)}))
    one = stores.facts(1)
    assert (one.outcomes, [found["n"] for found in one.rows], one.letters) == (("stored",), [5], [])


async def test_one_item_of_an_event(stores: Stores) -> None:
    await stores.receive(b"1")
    stores.silver.commit(batch(PLAIN, 1, [Event(tuple({"n": n} for n in range(150)), ("type",))]))
    whole = stores.facts(1)
    assert (len(whole.rows), whole.more_rows, len(whole.letters)) == (100, True, 1)
    one = stores.facts(1, item=120)
    assert ([found["n"] for found in one.rows], one.more_rows, one.letters) == ([120], False, [])
    assert [letter.item for letter in stores.facts(1, item=150).letters] == [150]


async def test_what_can_be_shown_no_more_is_said(stores: Stores) -> None:
    await stores.receive(b"1", b"2", b"3", b"4")
    stores.silver.commit(batch(PLAIN, 1, [row(n=n) for n in (1, 2, 3, 4)]))
    pipeline_id, upkeep = PLAIN.pipeline_id, stores.bronze.upkeep
    upkeep.expire(pipeline_id, before=None, keep_bytes=3, up_to=1)
    upkeep.erase(pipeline_id, [2], "asked to", "ada")
    upkeep.damage(pipeline_id, [3])
    found = [stores.facts(seq) for seq in (1, 2, 3, 4)]
    assert [one.fate for one in found] == [Fate.EXPIRED, Fate.ERASED, Fate.QUARANTINED, Fate.HELD]
    assert [one.event is None for one in found] == [True, True, True, False]
    assert [(one.told or "").rpartition(": ")[2] for one in found] == [
        "it has expired",
        "it was erased",
        "the checksum is wrong",
        "",
    ]
    assert [[kept["n"] for kept in one.rows] for one in found] == [[1], [2], [3], [4]]  # what is known is there


async def test_erased_and_dropped_events_are_filtered(stores: Stores) -> None:
    await stores.receive(b"1", b"2", of=KEYED)
    same = {"_key": "a"}
    stores.silver.commit(batch(KEYED, 1, [FILTERED, row(n=2, **same)]))
    stores.bronze.upkeep.correct(KEYED.pipeline_id, [Correction(1, None, "a test", "ada", AT)])
    one = stores.facts(1, of=KEYED)
    assert (one.outcomes, one.correction.reason if one.correction else None) == (("filtered",), "a test")


async def test_a_pipeline_that_does_not_run(stores: Stores) -> None:
    await stores.receive(b"1")
    one = look_up(stores.bronze, stores.silver, None, Place(PLAIN.pipeline_id, 1))
    assert (one.rows, one.told) == ([], "the pipeline does not run: its rows are not shown")


@pytest.mark.parametrize("seq", [0, 2, -1])
async def test_what_there_never_was(stores: Stores, seq: int) -> None:
    await stores.receive(b"1")
    with pytest.raises(NotFound, match="has received 1"):
        stores.facts(seq)


async def test_where_an_event_of_another_pipeline_came_from(stores: Stores) -> None:
    payload = b'{"_pipeline": "pl_a", "_seq": 5, "_item": 2, "n": 1}'
    await stores.receive(payload, b'{"n": 1}', source="pipeline")
    await stores.receive(payload)  # anybody can post such names: only the source's own word counts
    assert [stores.facts(seq).origin for seq in (1, 2, 3)] == [Origin(PipelineId("pl_a"), 5, 2), None, None]
