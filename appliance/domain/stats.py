"""How a running pipeline is doing, as screens, feed and API show it."""

from collections.abc import Iterable
from datetime import datetime

import msgspec

from appliance.domain.ledger import Ledger


class LiveStats(msgspec.Struct, frozen=True, kw_only=True):
    """``rate_per_sec``: events received, averaged over the last ten seconds. ``lag_*``: durable but not yet refined."""

    rate_per_sec: float
    lag_events: int
    lag_secs: float  # age of the oldest event not yet refined; 0 when there is none
    last_received_at: datetime | None
    last_error: str | None  # why the source or the refining stands still; None when all is well
    ledger: Ledger

    def beside(self, others: Iterable[Ledger]) -> "LiveStats":
        """Return them together with what other nodes have of the pipeline."""
        more = list(others)
        ledger = sum(more, self.ledger)
        return msgspec.structs.replace(
            self, ledger=ledger, lag_events=self.lag_events + sum(one.pending for one in more)
        )
