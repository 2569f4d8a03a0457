"""Fair shares of bytes, whatever owners ask for and give back, in any order."""

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from appliance.domain.shares import Refusal, Shares

TOTAL = 1000
LARGEST = 60
owners = st.integers(0, 7)
sizes = st.integers(1, LARGEST)


class Asking(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.shares: Shares[int] = Shares(TOTAL)
        self.taken: list[tuple[int, int]] = []

    @rule(owner=owners, size=sizes)
    def take(self, owner: int, size: int) -> None:
        held, used = self.shares.held(owner), self.shares.used
        refused = self.shares.take(owner, size)
        if refused is None:
            self.taken.append((owner, size))
            return
        assert (self.shares.held(owner), self.shares.used) == (held, used)
        if held == 0:
            assert refused is Refusal.SATURATED
            assert used >= TOTAL
        else:
            assert used + size > TOTAL * 0.75  # nobody is refused while others leave a quarter

    @rule(which=st.integers(0, 1000))
    def give(self, which: int) -> None:
        if self.taken:
            self.shares.give(*self.taken.pop(which % len(self.taken)))

    @invariant()
    def all_is_accounted(self) -> None:
        assert self.shares.used == sum(size for _, size in self.taken)
        for owner in range(8):
            assert self.shares.held(owner) == sum(size for one, size in self.taken if one == owner)

    @invariant()
    def the_total_is_kept_but_for_one_delivery(self) -> None:
        assert self.shares.used < TOTAL + LARGEST


TestAsking = Asking.TestCase


@given(st.lists(st.tuples(owners, sizes), max_size=200), st.integers(1, 125))
def test_however_greedy_others_are_a_first_delivery_fits(asked: list[tuple[int, int]], size: int) -> None:
    """Nobody gets more than seven eighths by second deliveries: one eighth of 1,000 is left for a newcomer."""
    shares: Shares[int] = Shares(TOTAL)
    firsts = 0
    for owner, wanted in asked:
        first = shares.held(owner) == 0
        if shares.take(owner, wanted) is None and first:
            firsts += wanted
    if firsts <= TOTAL / 8:
        assert shares.take(99, size) is None


@given(st.integers(1, 10_000))
def test_a_single_delivery_alone_always_fits(size: int) -> None:
    shares: Shares[str] = Shares(TOTAL)
    assert shares.take("one", size) is None
    shares.give("one", size)
    assert shares.used == 0


@given(st.lists(sizes, min_size=50, max_size=100), sizes)
def test_one_beside_a_hog_gets_a_second_and_a_third_delivery(hog: list[int], size: int) -> None:
    shares: Shares[str] = Shares(TOTAL)
    for wanted in hog:
        shares.take("hog", wanted)
    assert [shares.take("modest", size) for _ in range(2)] == [None, None]  # 750 + 2 × 60 ≤ 875
