"""The protocol of leases, model-checked: nodes that pause, answers that get lost, clocks that jump.

Two promises. While the database's clock jumps ahead by less than the margin, no two nodes ever think they hold the same
lease. Whatever it does, the fence lets through the writes of one owner after another, never of two in turn.
"""

import shutil
import tempfile
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from appliance.components.nodes import Lease
from appliance.domain.ids import NodeId
from appliance.engine.holding import LEASE_SECS, Holding
from appliance.errors import TransientError
from appliance.storage.control.leases import Leases, fence
from appliance.storage.control.plane import ControlPlane

NAME = "poll:1"
WHO = st.integers(0, 1)  # two are enough to be in each other's way
SECS = st.sampled_from([0.5, 2.5, 4.0, 6.5, 9.0])  # less than a round, a round, and longer than a lease lasts
SAFE_JUMP_SECS = 2.0  # of the database's clock, within the time of a lease


class Question:
    """A question to the database that is under way: asked, perhaps carried out, not answered yet."""

    def __init__(self, began: float, name: str | None) -> None:
        self.began, self.name = began, name
        self.answer: Collection[Lease] | None = None


class Member:
    def __init__(self, plane: ControlPlane, number: int, world: "LeaseProtocol") -> None:
        self.life = f"n{number}"
        self.store = Leases(plane, NodeId(self.life), self.life, world.database_clock)
        self.holding = Holding(lambda: world.elapsed)
        self.question: Question | None = None


class LeaseProtocol(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="dash-leases-"))
        shutil.copy(_template(), self.folder / "control.sqlite3")
        self.plane = ControlPlane.open(self.folder / "control.sqlite3")
        self.elapsed, self.ahead = 0.0, 0.0
        self.jumped: list[tuple[float, float]] = []  # when the database's clock jumped ahead, and by how much
        self.members = [Member(self.plane, number, self) for number in range(2)]
        self.written: list[tuple[int, str]] = []

    def teardown(self) -> None:
        if hasattr(self, "plane"):
            self.plane.close()
            shutil.rmtree(self.folder)

    def database_clock(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.elapsed + self.ahead)

    @rule(secs=SECS)
    def time_passes(self, secs: float) -> None:
        """For everybody: also for a node that is paused, which then does nothing."""
        self.elapsed += secs

    @rule(by=st.sampled_from([-20.0, -1.0, 0.5, 1.0, 20.0]))
    def the_clock_of_the_database_is_set(self, by: float) -> None:
        self.ahead += by
        if by > 0:
            self.jumped.append((self.elapsed, by))

    @rule(who=WHO, name=st.sampled_from([None, NAME]))
    def somebody_asks(self, who: int, name: str | None) -> None:
        """To renew (None), or for the lease; a question that is under way is given up, as by a time-out."""
        member = self.members[who]
        member.question = Question(member.holding.begin(), name)

    @rule(who=WHO, name=st.sampled_from([None, NAME]))
    def somebody_asks_and_is_answered_at_once(self, who: int, name: str | None) -> None:
        self.somebody_asks(who, name)
        self.the_database_does_it(who)
        self.the_answer_arrives(who)

    @precondition(lambda self: any(one.question and one.question.answer is None for one in self.members))
    @rule(who=WHO)
    def the_database_does_it(self, who: int) -> None:
        member, question = self.members[who], self.members[who].question
        if question is None or question.answer is not None:
            return
        if question.name is None:
            question.answer = member.store.renew(LEASE_SECS)
        else:
            question.answer = member.store.acquire([question.name], LEASE_SECS)

    @rule(who=WHO)
    def the_answer_arrives(self, who: int) -> None:
        """Or never, where this rule is not drawn before the next question."""
        member, question = self.members[who], self.members[who].question
        if question is None or question.answer is None:
            return
        member.question = None
        if question.name is None:
            member.holding.keep(question.began, question.answer)
        else:
            member.holding.add(question.began, question.answer)

    @rule(who=WHO)
    def somebody_stops_what_is_overdue(self, who: int) -> None:
        member = self.members[who]
        member.holding.drop(member.holding.overdue())

    @rule(who=WHO)
    def somebody_lets_go(self, who: int) -> None:
        member = self.members[who]
        member.holding.drop([NAME])
        member.store.release([NAME])

    @rule(who=WHO)
    def somebody_writes(self, who: int) -> None:
        """Under the fence, with whatever lease it was told of last, overdue or not: as if it had just woken up."""
        member = self.members[who]
        held = member.holding._held.get(NAME)
        if held is None:
            return
        lease = held[0]
        try:
            self.plane.write_now(lambda tx: fence(tx, lease, member.life, self.database_clock))
        except TransientError:
            return
        self.written.append((lease.epoch, member.life))

    @invariant()
    def the_fence_holds(self) -> None:
        if not hasattr(self, "written"):
            return
        epochs = [epoch for epoch, _ in self.written]
        assert epochs == sorted(epochs)
        assert len(set(epochs)) == len(set(self.written))  # an epoch is one node's

    @invariant()
    def two_never_think_they_hold_the_same(self) -> None:
        if not hasattr(self, "members"):
            return
        recent = sum(by for at, by in self.jumped if at > self.elapsed - LEASE_SECS)
        if recent < SAFE_JUMP_SECS:
            assert sum(one.holding.lease(NAME) is not None for one in self.members) <= 1


_MADE: list[Path] = []


def _template() -> Path:
    """Return an empty control plane, migrated once."""
    if not _MADE:
        path = Path(tempfile.mkdtemp(prefix="dash-leases-template-")) / "control.sqlite3"
        ControlPlane.open(path).close()
        _MADE.append(path)
    return _MADE[0]


TestLeaseProtocol = LeaseProtocol.TestCase
TestLeaseProtocol.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_the_control_without_a_margin_two_hold_the_same() -> None:
    """The checker can find it: a clock set ahead by one second, and a holder that trusts its lease to the end."""

    world = LeaseProtocol()
    world.begin()
    first, second = world.members
    began = first.holding.begin()
    first.holding._held = {one.name: (one, began + LEASE_SECS) for one in first.store.acquire(["poll:1"], LEASE_SECS)}
    world.the_clock_of_the_database_is_set(1.0)
    world.time_passes(8.5)
    second.holding.add(second.holding.begin(), second.store.acquire(["poll:1"], LEASE_SECS))
    held = [one.holding.lease("poll:1") is not None for one in world.members]
    world.teardown()
    assert held == [True, True]
