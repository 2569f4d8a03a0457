"""What the pipelines of one log share: clock, sizes, disk."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from time import monotonic

from appliance.domain.clock import Clock, utc_now
from appliance.storage.bronze.disk import Disk
from appliance.storage.bronze.writer import OpenFiles


@dataclass(frozen=True, kw_only=True)
class Options:
    """What all pipelines of a log share."""

    clock: Clock = utc_now
    segment_bytes: int = 64 << 20
    segment_age: timedelta = timedelta(hours=1)
    disk: Disk
    files: OpenFiles
    rotated: Callable[[], None] = lambda: None  # is told that there is something to compress
    monotonic: Callable[[], float] = monotonic
