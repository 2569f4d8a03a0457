"""Posts what this node tells of itself to one address: never in anybody's way, told of once when it fails."""

import asyncio
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

import structlog

from appliance.components.resources import Outbound, OutboundRequest, OutboundResponse
from appliance.domain.retry import Backoff, RetryPolicy, retry_after_secs
from appliance.errors import DashError

TIMEOUT_SECS: Final = 10.0
MOST_ANSWER: Final = 1 << 20
PATIENCE: Final = RetryPolicy(first_secs=10.0, most_secs=600.0, heed_secs=3_600.0)
MALFORMED: Final = (400, 413, 422)  # of this one post; the next may be taken

log = structlog.get_logger("telemetry")


class Courier:
    """``to``: what it is called in the log and the metrics. ``counts``: posts by how they ended since the start."""

    def __init__(self, outbound: Outbound, to: str, url: str, headers: Mapping[str, str]) -> None:
        self.to, self.counts = to, {"taken": 0, "failed": 0}
        self._outbound, self._url, self._headers = outbound, url, dict(headers)
        self._backoff = Backoff(PATIENCE)
        self._again_at = 0.0  # of the monotonic clock
        self._failing = False

    @property
    def waits(self) -> bool:
        """Return whether the other side is better left alone for a while."""
        return time.monotonic() < self._again_at

    async def post(self, body: bytes, headers: Mapping[str, str] | None = None) -> OutboundResponse | None:
        """Return the answer of whoever took it; None: nobody did, and it may be worth another try when it no longer
        ``waits``. What is refused as malformed counts as answered: it would be refused again."""
        request = OutboundRequest(
            url=self._url, method="POST", headers={**self._headers, **(headers or {})}, body=body,
            timeout_secs=TIMEOUT_SECS, max_bytes=MOST_ANSWER,
        )  # fmt: skip
        try:
            async with asyncio.timeout(TIMEOUT_SECS + 5):
                response = await self._outbound.send(request)
        except (DashError, TimeoutError) as error:
            self._failed(str(error) or "it took too long", None)
            return None
        if 200 <= response.status < 300:
            self._worked()
            return response
        told = f"POST {self._url.partition('?')[0]} was answered {response.status}"
        self._failed(told, retry_after_secs(response.headers.get("retry-after"), datetime.now(UTC)))
        return response if response.status in MALFORMED else None

    def _worked(self) -> None:
        self.counts["taken"] += 1
        self._backoff.worked()
        if self._failing:
            log.info("telemetry.sent_again", to=self.to)
        self._failing = False

    def _failed(self, reason: str, asked_secs: float | None) -> None:
        """A warning, no error: a failure to report failures is not to be reported."""
        self.counts["failed"] += 1
        self._again_at = time.monotonic() + self._backoff.failed(asked_secs)
        if not self._failing:
            log.warning("telemetry.not_sent", to=self.to, reason=reason, remedy="look at telemetry and egress.allow")
        self._failing = True
