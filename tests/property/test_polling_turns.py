"""Nodes that take turns at polling, model-checked: each step alone, deaths and lost answers between any two of them.

Promises. An item of the source is never stored twice, whoever fetched it how often. When everybody is back and at rest,
every item is stored once, what each node received is stored or withdrawn, and refining it all again gives the same.
"""

import json
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from appliance.components.nodes import Lease
from appliance.components.polls import Claim, PollBook, Polled, Standing
from appliance.components.source import Page
from appliance.domain.event import Delivery, Envelope, Frame
from appliance.domain.ids import PipelineId
from appliance.domain.partition import Partition, base_of, local_of
from appliance.engine.tenure import Right, Tenure
from appliance.engine.turns import Turn
from appliance.errors import Conflict, TransientError
from appliance.storage.bronze_cluster import PartitionLog
from tests.fakes.bronze import MemoryBronzeLog
from tests.fakes.polls import MemoryPolls

PIPE = PipelineId("pl_news")
NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
PAGE = 3  # items
WHO = st.sampled_from([0, 1, 0, 1, 0, 1, 2])  # two are enough to be in each other's way
MOST = st.sampled_from([1, 2, 4, 100])  # events in a batch
STEPS = st.sampled_from([1, 2, 3, 5, 8, 30])  # of a poll: up to its end, mostly


class Pause:
    """Where somebody else may come between."""

    def __await__(self) -> Iterator[None]:
        yield


class Threads:
    async def run(self, _kind: str, work: Callable[..., Any], *args: object) -> Any:
        await Pause()
        return work(*args)


class Shaky:
    """A book whose next answer gets lost, before it is done or after. Everything else is the book's."""

    def __init__(self, book: PollBook) -> None:
        self._book = book
        self.trouble: str | None = None

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def asked(*args: object) -> Any:
            trouble, self.trouble = self.trouble, None
            if trouble == "before":
                raise TransientError("not done")
            answer = getattr(self._book, name)(*args)
            if trouble == "after":
                raise TransientError("done, and nobody was told")
            return answer

        return asked


class Node:
    """One node: its log and rows outlive it; the rest is gone when it dies."""

    def __init__(self, world: "World", number: int) -> None:
        self.world, self.partition = world, Partition(number)
        self.log = PartitionLog(MemoryBronzeLog(), number)
        self.refined = base_of(self.partition)  # in the row store, as are the next two
        self.rows: list[int] = []
        self.filtered = 0
        self.born()

    def born(self) -> None:
        self.lease: Lease | None = None
        self.book = Shaky(self.world.polls.of(self.partition))
        self.tenure = Tenure(PIPE, self.log, self.book, lambda: self.lease)
        self.turn = Turn(self.tenure, Threads())  # type: ignore[arg-type]
        self.progress = self.refined
        self.read: tuple[Right, list[Frame]] | None = None
        self.polling: Coroutine[Any, Any, None] | None = None

    def dies(self) -> None:
        self.stops()
        self.born()

    def stops(self) -> None:
        """What was being appended may be on the disk or not."""
        if self.polling is not None:
            self.polling.close()
            self.polling = None

    def polls_on(self) -> bool:
        """Do one step of polling; return whether this was the last."""
        self.polling = self.polling or self._poll()
        try:
            self.polling.send(None)
        except (StopIteration, TransientError):
            self.polling = None
        return self.polling is None

    def polls(self) -> None:
        """Poll to the end of it, from the beginning if nothing is under way."""
        while not self.polls_on():
            pass

    async def _poll(self) -> None:
        await self.turn.begin(self._keep)
        before = self.log.checkpoint(PIPE) or {"at": 0}
        at, end = before["at"], min(before["at"] + PAGE, self.world.items)
        await Pause()
        if at < end:
            await self._keep(Page([b"%d" % one for one in range(at, end)], {"at": end}, f"{at}-{end}"))
        elif "ended" not in before:  # a page without items
            await self._keep(Page((), {"at": at, "ended": True}, f"{at}-ended"))

    def _keep(self, page: Page) -> Awaitable[None]:
        return self._append(self.turn.named(page))

    async def _append(self, page: Page) -> None:
        await Pause()
        envelope = Envelope(
            received_at=NOON, source="http_poll", checkpoint=page.checkpoint, delivery_id=page.delivery_id
        )  # fmt: skip
        await self.log.append(PIPE, Delivery(envelope, page.payloads))
        await Pause()

    def reads(self, most: int) -> None:
        """As ``Refiner`` does; what it read before is forgotten."""
        self.read = None
        with suppress(TransientError):
            right = self.tenure.right(self.progress)
            self.read = right, self.log.read(PIPE, self.progress, right.most(self.progress, most), 1 << 20)

    def commits(self, answered: bool) -> None:
        if self.read is None or not self.read[1]:
            return
        (right, frames), self.read = self.read, None
        last = frames[-1].last_seq
        polled = self.tenure.polled(right, last)
        try:
            self.world.store(self, frames, self.progress, polled)
        except Conflict:
            self.tenure.doubt()
            self.progress = self.refined
            return
        if answered:
            self.progress = last
            if polled is not None:
                self.tenure.stored(polled)

    def notes(self) -> None:
        if self.progress == self.log.last_seq(PIPE):
            with suppress(TransientError):
                self.tenure.note(self.progress)


class World:
    def __init__(self, polls: type[MemoryPolls] = MemoryPolls) -> None:
        self.items, self.epoch = 0, 0
        self.polls = polls(lambda lease: lease.epoch == self.epoch, lambda number: self.nodes[number].refined)
        self.nodes: list[Node] = []
        self.nodes += [Node(self, number) for number in range(3)]

    def leases(self, node: Node) -> None:
        """From now on nobody else holds it, though he may not know."""
        self.epoch += 1
        node.lease = Lease("poll:pl_news", self.epoch)

    def store(self, node: Node, frames: list[Frame], after: int, polled: Polled | None) -> None:
        """One transaction."""
        if after != node.refined:
            raise Conflict("somebody else wrote")
        if polled is not None:
            self.polls.advance(node.partition, polled)
        taken = items_in(frames)
        node.rows += taken
        node.filtered += sum(frame.count for frame in frames) - len(taken)
        node.refined = frames[-1].last_seq

    def check(self) -> None:
        stored = Counter(one for node in self.nodes for one in node.rows)
        assert [one for one, times in stored.items() if times > 1] == []
        for node in self.nodes:
            assert len(node.rows) + node.filtered == local_of(node.refined)

    def settle(self, heir: Node) -> None:
        """Let everybody come back, one poll to the end, and all refine."""
        for node in self.nodes:
            node.dies()
        self.leases(heir)
        for _ in range(self.items // PAGE + 6):
            heir.polls()
            for node in self.nodes:
                node.reads(1000)
                node.commits(answered=True)
                node.notes()
        self.check()
        assert sorted(one for node in self.nodes for one in node.rows) == list(range(self.items))
        for node in self.nodes:
            assert node.refined == node.log.last_seq(PIPE)
            assert items_in(node.log.read(PIPE, base_of(node.partition), 1000, 1 << 20)) == node.rows  # as a replay
        assert self.polls.line is not None
        assert self.polls.line[0] == heir.partition
        assert json.loads(self.polls.line[2] or "") == heir.log.checkpoint(PIPE) == {"at": self.items, "ended": True}


def items_in(frames: list[Frame]) -> list[int]:
    return [
        int(line)
        for frame in frames
        for seq, line in enumerate(frame.lines.split(b"\n"), frame.first_seq)
        if seq not in frame.withdrawn
    ]


class PollingTurns(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.world = World()
        self.world.items = 4

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.world.settle(self.world.nodes[0])
            self.world.items += 1
            self.world.settle(self.world.nodes[1])

    @rule(more=st.integers(1, 7))
    def the_source_has_more(self, more: int) -> None:
        self.world.items += more

    @rule(who=WHO, steps=STEPS)
    def somebody_takes_over(self, who: int, steps: int) -> None:
        """What was polled here before was ended, as when the lease has changed hands."""
        node = self.world.nodes[who]
        node.stops()
        node.tenure.doubt()
        self.world.leases(node)
        self.somebody_polls_on(who, steps)

    @rule(who=WHO, steps=STEPS)
    def somebody_polls_on(self, who: int, steps: int) -> None:
        for _ in range(steps):
            if self.world.nodes[who].polls_on():
                return

    @rule(who=WHO, most=MOST)
    def somebody_refines(self, who: int, most: int) -> None:
        node = self.world.nodes[who]
        node.reads(most)
        node.commits(answered=True)
        node.notes()

    @rule(who=WHO, most=MOST)
    def somebody_reads(self, who: int, most: int) -> None:
        self.world.nodes[who].reads(most)

    @rule(who=WHO, answered=st.booleans())
    def somebody_commits(self, who: int, answered: bool) -> None:
        """What he read some time ago."""
        self.world.nodes[who].commits(answered)

    @rule(who=WHO, what=st.sampled_from(["dies", "loses the lease", "gets the lease", "before", "after"]))
    def something_happens(self, who: int, what: str) -> None:
        """The lease is lost and noticed, or won and not; the next answer gets lost, before it is done or after."""
        node = self.world.nodes[who]
        match what:
            case "dies":
                node.dies()
            case "loses the lease":
                node.lease = None
                node.stops()
            case "gets the lease":
                self.world.leases(node)
            case _:
                node.book.trouble = what

    @invariant()
    def nothing_is_stored_twice(self) -> None:
        if hasattr(self, "world"):
            self.world.check()


TestPollingTurns = PollingTurns.TestCase
TestPollingTurns.settings = settings(max_examples=100, stateful_step_count=50, deadline=None)


class Unfenced(MemoryPolls):
    """Stores whatever it is given."""

    def advance(self, partition: int, polled: Polled) -> None:
        self.accept(partition, polled.through)


class ByHolder(MemoryPolls):
    """Looks who polls, and not in which turn."""

    def advance(self, partition: int, polled: Polled) -> None:
        if self.line is not None and self.line[0] == partition:
            polled = Polled(self.line[1], polled.through, polled.checkpoint)
        super().advance(partition, polled)


class Careless(MemoryPolls):
    """Lets somebody take over from where it stood when he looked."""

    def of(self, partition: Partition) -> Any:
        book = super().of(partition)
        claim = book.claim

        def anyhow(pipeline_id: PipelineId, before: Standing, asked: Claim) -> Standing:
            self.line = self.line and (*self.line[:2], before.checkpoint)
            return claim(pipeline_id, before, asked)

        book.claim = anyhow  # type: ignore[method-assign]
        return book


def taken_over(world: World, node: Node, polls: int) -> None:
    """Have ``node`` win the lease and poll so often."""
    world.leases(node)
    for _ in range(polls):
        node.polls()


def woken_up_late(polls: type[MemoryPolls]) -> World:
    """Have one read what it has polled, and store it when another has polled and stored the same."""
    world = World(polls)
    one, other, _ = world.nodes
    world.items = 3
    taken_over(world, one, 1)
    one.reads(10)
    taken_over(world, other, 1)
    other.reads(10)
    other.commits(answered=True)
    one.commits(answered=True)
    return world


def woken_up_in_a_later_turn(polls: type[MemoryPolls]) -> World:
    """The same, but by then the polling has come back to the first, and nobody else has stored anything."""
    world = World(polls)
    one, other, _ = world.nodes
    world.items = 3
    taken_over(world, one, 1)
    one.reads(10)
    late, one.read = one.read, None
    taken_over(world, other, 1)
    one.tenure.doubt()  # as a commit that was refused
    taken_over(world, one, 1)
    one.read = late
    one.commits(answered=True)
    one.reads(10)
    one.commits(answered=True)
    return world


def stored_between(polls: type[MemoryPolls]) -> World:
    """Have one store something after another has looked from where to take over."""
    world = World(polls)
    one, other, _ = world.nodes
    world.items = 6
    taken_over(world, one, 2)
    world.leases(other)
    for _ in range(3):
        other.polls_on()
    one.reads(10)
    one.commits(answered=True)
    for _ in range(3):
        other.polls()
    other.reads(10)
    other.commits(answered=True)
    return world


STORIES = [woken_up_late, woken_up_in_a_later_turn, stored_between]


@pytest.mark.parametrize("story", STORIES)
def test_what_was_read_in_an_earlier_turn_is_not_stored(story: Callable[..., World]) -> None:
    world = story(MemoryPolls)
    world.check()
    world.settle(world.nodes[2])


@pytest.mark.parametrize(
    ("story", "polls"),
    [
        (woken_up_late, Unfenced),
        (woken_up_in_a_later_turn, Unfenced),
        (woken_up_in_a_later_turn, ByHolder),
        (stored_between, Careless),
    ],
)
def test_the_control_without_the_fence_it_is_stored_twice(
    story: Callable[..., World], polls: type[MemoryPolls]
) -> None:
    world = story(polls)
    with pytest.raises(AssertionError):
        world.check()
