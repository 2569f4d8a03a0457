"""How a running pipeline is doing, as screens, feed and API show it."""

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
