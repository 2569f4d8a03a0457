"""Guessing is slowed down; whoever owns the account gets in from elsewhere."""

import pytest

from appliance.errors import RateLimited
from appliance.services.sign_in_limit import SignInLimit


class Ticks:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_five_failures_from_one_address_are_enough() -> None:
    ticks = Ticks()
    limit = SignInLimit(ticks)
    for _ in range(5):
        limit.check("ada", "192.0.2.1")
        limit.failed("ada", "192.0.2.1")
        ticks.now += 10
    with pytest.raises(RateLimited) as caught:
        limit.check("ada", "192.0.2.1")
    assert caught.value.retry_after_secs == 850  # the first failure is 50 s old, the window 900 s
    limit.check("ada", "192.0.2.2")
    limit.check("grace", "192.0.2.1")
    ticks.now += 850
    limit.check("ada", "192.0.2.1")


def test_success_forgets_the_failures_of_that_address() -> None:
    limit = SignInLimit(Ticks())
    for _ in range(4):
        limit.failed("ada", None)
    limit.worked("ada", None)
    limit.failed("ada", None)
    limit.check("ada", None)


def test_one_address_cannot_try_every_account() -> None:
    limit = SignInLimit(Ticks())
    for number in range(50):
        limit.failed(f"user{number}", "192.0.2.1")
    with pytest.raises(RateLimited):
        limit.check("somebody else", "192.0.2.1")


def test_one_account_cannot_be_tried_from_everywhere() -> None:
    limit = SignInLimit(Ticks())
    for number in range(100):
        limit.failed("ada", f"192.0.2.{number}")
    with pytest.raises(RateLimited):
        limit.check("ada", "198.51.100.1")


def test_memory_is_bounded() -> None:
    limit = SignInLimit(Ticks())
    for number in range(30_000):
        limit.failed(f"user{number}", None)
    assert len(limit._failures) <= 20_000
