"""Slows down whoever guesses passwords, without locking out the one who owns the account."""

import time
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Final

from appliance.errors import RateLimited

WINDOW_SECS: Final = 900.0
PER_ACCOUNT_AND_REMOTE: Final = 5
PER_REMOTE: Final = 50
PER_ACCOUNT: Final = 100
_MOST_KEYS: Final = 20_000


class SignInLimit:
    """Counts failures over fifteen minutes: of an account from one address, of an address, and of an account."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._failures: OrderedDict[tuple[str, ...], deque[float]] = OrderedDict()

    def check(self, account: str | None, remote: str | None) -> None:
        """Return if another try is allowed; ``account`` None: nobody knows yet whose it would be.

        Raises:
            RateLimited: too many failures; says when the oldest of them is forgotten.
        """
        now = self._now()
        for key, most in _limits(account, remote):
            failures = self._failures.get(key)
            while failures and failures[0] <= now - WINDOW_SECS:
                failures.popleft()
            if failures and len(failures) >= most:
                wait = failures[-most] + WINDOW_SECS - now
                raise RateLimited(
                    f"signing in failed too often: wait {max(1, round(wait / 60))} min, then try again",
                    retry_after_secs=wait,
                )

    def failed(self, account: str | None, remote: str | None) -> None:
        """Note a failure."""
        for key, most in _limits(account, remote):
            failures = self._failures.setdefault(key, deque(maxlen=most))
            failures.append(self._now())
            self._failures.move_to_end(key)
        while len(self._failures) > _MOST_KEYS:
            self._failures.popitem(last=False)

    def worked(self, account: str, remote: str | None) -> None:
        """Forget the failures of this account from this address: its owner is there."""
        self._failures.pop(("both", account, remote or ""), None)


def _limits(account: str | None, remote: str | None) -> list[tuple[tuple[str, ...], int]]:
    address = remote or ""
    if account is None:
        return [(("remote", address), PER_REMOTE)]
    return [
        (("both", account, address), PER_ACCOUNT_AND_REMOTE),
        (("remote", address), PER_REMOTE),
        (("account", account), PER_ACCOUNT),
    ]
