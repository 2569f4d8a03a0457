"""Posts new kinds of failures of this node to where the operator wants them, each at most once an hour."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Final

import msgspec

from appliance.domain.clock import Clock, utc_now
from appliance.engine.courier import Courier
from appliance.observe.error_report import envelope
from appliance.observe.log_book import FAILURES, Failure, LogBook

LOOK_SECS: Final = 5.0
AGAIN: Final = timedelta(hours=1)


class Sent(msgspec.Struct, frozen=True):
    """What was posted of one kind: how often it had come by then, and when."""

    count: int
    at: datetime


def due(failures: Iterable[Failure], sent: Mapping[str, Sent], since: datetime, now: datetime) -> Iterator[Failure]:
    """Yield what is to be posted. ``since``: when this process began; what an earlier one saw was its to tell."""
    for one in failures:
        if datetime.fromisoformat(one.last_at) < since:
            continue
        before = sent.get(one.key)
        if before is None or (one.count != before.count and now - before.at >= AGAIN):
            yield one


class ErrorReports:
    """``about``: release, environment and the like. Looks at the book now and then: logging waits for nobody."""

    def __init__(
        self, book: LogBook, courier: Courier, about: Mapping[str, str], since: datetime, clock: Clock = utc_now
    ) -> None:
        self._book, self._courier, self._about, self._since, self._clock = book, courier, dict(about), since, clock
        self._sent: dict[str, Sent] = {}

    async def run(self) -> None:
        """Look on; returns only by cancellation."""
        while True:
            await self.once()
            await asyncio.sleep(LOOK_SECS)

    async def once(self) -> None:
        """Post what is due; what nobody takes stays due."""
        if self._courier.waits:
            return
        for one in list(due(self._book.failures(), self._sent, self._since, self._clock())):
            if await self._courier.post(envelope(one, self._about, self._clock())) is None:
                return
            self._sent.pop(one.key, None)
            self._sent[one.key] = Sent(one.count, self._clock())
            while len(self._sent) > 2 * FAILURES:
                del self._sent[next(iter(self._sent))]
