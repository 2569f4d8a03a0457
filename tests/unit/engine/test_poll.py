import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from appliance.components.source import Page
from appliance.domain.ids import PipelineId
from appliance.domain.schedule import Every
from appliance.engine.poll import SLOW_RETRY_SECS, Poller
from appliance.engine.receive import Door, Receiver
from appliance.errors import ConfigError, Problem, TransientError
from tests.fakes.bronze import MemoryBronzeLog

NEWS = PipelineId("pl_news")


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 11, 22, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


class Pages:
    """Answers the pages it was given, one poll after the other; an exception among them is raised."""

    schedule = Every(timedelta(seconds=60))

    def __init__(self, *polls: list[Page | Exception]) -> None:
        self.polls = list(polls)
        self.asked_from: list[dict[str, Any] | None] = []

    async def poll(self, checkpoint: dict[str, Any] | None) -> AsyncIterator[Page]:
        self.asked_from.append(checkpoint)
        for page in self.polls.pop(0):
            if isinstance(page, Exception):
                raise page
            yield page


def poller(source: Pages) -> tuple[Poller, MemoryBronzeLog, Clock]:
    clock, bronze = Clock(), MemoryBronzeLog()
    receiver = Receiver(bronze, clock)
    receiver.open(NEWS, Door("http_poll", None))
    return Poller(NEWS, source, bronze=bronze, receiver=receiver, clock=clock), bronze, clock


async def test_each_page_is_durable_with_its_checkpoint_and_the_next_poll_starts_there() -> None:
    source = Pages([Page([b"1", b"2"], {"page": 1}), Page([b"3"], {"page": 2})], [])
    one, bronze, _ = poller(source)
    assert await one._poll_once() == 60
    assert bronze.last_seq(NEWS) == 3
    await one._poll_once()
    assert source.asked_from == [None, {"page": 2}]


async def test_a_poll_that_breaks_off_keeps_its_pages_and_waits_as_long_as_it_is_asked_to() -> None:
    source = Pages([Page([b"1"], {"page": 1}), TransientError("429", retry_after_secs=400)], [Page([b"2"])])
    one, bronze, _ = poller(source)
    assert await one._poll_once() == 400
    assert one.error == "429"
    assert bronze.last_seq(NEWS) == 1
    assert await one._poll_once() == 60
    assert (one.error, source.asked_from[1]) == (None, {"page": 1})


async def test_what_only_a_person_can_mend_is_told_and_tried_rarely() -> None:
    one, _, _ = poller(Pages([ConfigError([Problem("/source/url", "404 Not Found", "check the address")])]))
    assert await one._poll_once() == SLOW_RETRY_SECS
    assert one.error == "/source/url: 404 Not Found (check the address)"


async def test_polls_that_were_missed_are_not_made_up_for() -> None:
    one, _, clock = poller(Pages())

    class Slow(Pages):
        async def poll(self, checkpoint: dict[str, Any] | None) -> AsyncIterator[Page]:
            clock.now += timedelta(seconds=150)  # two and a half intervals
            yield Page([b"1"])

    one._source = Slow()
    assert await one._poll_once() == 30


async def test_it_goes_on_until_it_is_cancelled() -> None:
    source = Pages([], [])
    source.schedule = Every(timedelta(milliseconds=1))
    one, _, _ = poller(source)
    task = asyncio.create_task(one.run())
    async with asyncio.timeout(5):
        while source.polls:  # noqa: ASYNC110 - what is awaited has no event of its own
            await asyncio.sleep(0.001)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled()


async def polls_made(source: Pages, wanted: int) -> None:
    async with asyncio.timeout(5):
        while len(source.asked_from) < wanted:  # noqa: ASYNC110 - what is awaited has no event of its own
            await asyncio.sleep(0.001)


async def test_a_poke_ends_the_wait() -> None:
    source = Pages([], [])
    one, _, _ = poller(source)
    task = asyncio.create_task(one.run())
    await polls_made(source, 1)
    one.poke()
    await polls_made(source, 2)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_poke_ends_the_wait_for_a_person_and_not_that_of_a_backoff() -> None:
    source = Pages([ConfigError([Problem("/source", "it is paused")])], [TransientError("full", 400)])
    one, _, _ = poller(source)
    task = asyncio.create_task(one.run())
    await polls_made(source, 1)
    one.poke()
    await polls_made(source, 2)
    one.poke()
    for _ in range(100):
        await asyncio.sleep(0)
    assert len(source.asked_from) == 2
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_page_on_its_way_is_waited_for_when_polling_is_cancelled() -> None:
    """Else whoever polls next would not know its checkpoint, and take the same page again."""
    one, bronze, clock = poller(Pages([Page([b"1"], {"page": 1})]))
    arrived, let = asyncio.Event(), asyncio.Event()

    class Slow(Receiver):
        async def pull(self, pipeline_id: PipelineId, page: Page) -> Any:
            arrived.set()
            await let.wait()
            return await super().pull(pipeline_id, page)

    slow = Slow(bronze, clock)
    slow.open(NEWS, Door("pipeline", None))
    one._receiver = slow
    task = asyncio.create_task(one._poll_once())
    await arrived.wait()
    task.cancel()
    await asyncio.sleep(0)
    assert not task.done()
    let.set()
    await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled()
    assert bronze.checkpoint(NEWS) == {"page": 1}


class Together(Pages):
    """Goes on from the greatest number that any node has read."""

    def resumed(self, own: dict[str, Any] | None, elsewhere: Sequence[dict[str, Any] | None]) -> dict[str, Any] | None:
        return max((one for one in (own, *elsewhere) if one), key=lambda one: int(one["n"]), default=None)


async def test_who_begins_to_poll_goes_on_where_another_node_left_off() -> None:
    source = Together([Page([b"{}"], {"n": 6})], [], [])
    one, _, _ = poller(source)
    asked = []

    async def elsewhere(pipeline_id: PipelineId) -> list[dict[str, Any] | None]:
        asked.append(pipeline_id)
        if len(asked) == 1:
            raise TransientError("node bert does not answer")
        return [None, {"n": 5}]

    one.elsewhere = elsewhere
    assert await one._poll_once() > 0
    assert (one.error, source.asked_from) == ("node bert does not answer", [])  # rather than twice
    await one._poll_once()
    await one._poll_once()
    assert source.asked_from == [{"n": 5}, {"n": 6}]
    assert asked == [NEWS, NEWS]  # once it is known it is not asked for again


async def test_a_source_that_can_make_nothing_of_others_checkpoints_waits_for_nobody() -> None:
    source = Pages([])
    one, _, _ = poller(source)

    async def elsewhere(_: PipelineId) -> list[dict[str, Any] | None]:
        raise TransientError("node bert does not answer")

    one.elsewhere = elsewhere
    await one._poll_once()
    assert (one.error, source.asked_from) == (None, [None])
