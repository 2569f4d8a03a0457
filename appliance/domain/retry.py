"""How long to wait before trying again: exponential backoff with full jitter, never sooner than one is asked to."""

import random
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum

import msgspec


class Circuit(Enum):
    """Whether something outside is worth asking. Open: it failed so often that only rare trials are made."""

    CLOSED = "closed"
    OPEN = "open"


class RetryPolicy(msgspec.Struct, frozen=True):
    """The ceiling of the wait doubles with each failure in a row, from ``first_secs`` to ``most_secs``.

    ``open_after``: failures in a row that open the circuit. ``heed_secs``: the longest ``Retry-After`` to honour.
    """

    first_secs: float = 1.0
    most_secs: float = 300.0
    open_after: int = 5
    heed_secs: float = 86_400.0


def wait_secs(policy: RetryPolicy, failures: int, draw: float, asked_secs: float | None = None) -> float:
    """Return the seconds to wait after ``failures`` (≥ 1) in a row.

    ``draw``: uniform in [0, 1), the jitter; full, so that many who failed together do not come back together.
    ``asked_secs``: what the other side asked for (``Retry-After``); the wait is never shorter.

    Source: Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog 2015 ("full jitter").
    """
    ceiling = min(policy.most_secs, policy.first_secs * 2.0 ** min(failures - 1, 60))
    return max(min(asked_secs or 0.0, policy.heed_secs), draw * ceiling)


def circuit(policy: RetryPolicy, failures: int) -> Circuit:
    """Return the state of the circuit after ``failures`` in a row."""
    return Circuit.OPEN if failures >= policy.open_after else Circuit.CLOSED


class Backoff:
    """Counts the failures in a row of one thing and says how long to wait after each."""

    def __init__(self, policy: RetryPolicy | None = None, draw: Callable[[], float] = random.random) -> None:
        self._policy = policy or RetryPolicy()
        self._draw = draw
        self._failures = 0

    @property
    def failures(self) -> int:
        return self._failures

    @property
    def circuit(self) -> Circuit:
        return circuit(self._policy, self._failures)

    def failed(self, asked_secs: float | None = None) -> float:
        """Count a failure and return the seconds to wait; ``asked_secs`` as in ``wait_secs``."""
        self._failures += 1
        return wait_secs(self._policy, self._failures, self._draw(), asked_secs)

    def worked(self) -> None:
        self._failures = 0


def retry_after_secs(header: str | None, now: datetime) -> float | None:
    """Return the seconds from ``now`` (aware) that a ``Retry-After`` header asks for; None: absent or unreadable.

    Source: RFC 9110, 10.2.3: whole seconds, or a date.
    """
    text = (header or "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:12])
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, IndexError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - now).total_seconds())
