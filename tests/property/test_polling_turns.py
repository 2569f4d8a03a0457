"""Nodes that take turns at polling, model-checked: each step alone, deaths and lost answers between any two of them.

Promises. An item of the source is never stored twice, whoever fetched it how often. When everybody is back and at rest,
every item is stored once, what each node received is stored or withdrawn, and refining it all again gives the same.
"""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from appliance.components.polls import Claim, Polled, Standing
from appliance.domain.ids import PipelineId
from appliance.domain.partition import Partition
from tests.fakes.polls import MemoryPolls
from tests.polling_world import Node, World

WHO = st.sampled_from([0, 1, 0, 1, 0, 1, 2])  # two are enough to be in each other's way
MOST = st.sampled_from([1, 2, 4, 100])  # events in a batch
STEPS = st.sampled_from([1, 2, 3, 5, 8, 30])  # of a poll: up to its end, mostly


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
