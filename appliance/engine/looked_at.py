"""A pipeline on a node that only looks: other nodes run it, and nothing of it ever starts here."""

import time
from typing import Final

from appliance.domain.pipeline import Pipeline
from appliance.domain.stats import LiveStats
from appliance.engine.elsewhere import Elsewhere
from appliance.engine.hot_cache import HotCache
from appliance.engine.refine import Refiner
from appliance.engine.run import Run

TAKEN_SECS: Final = 15.0  # after a change, in which ingestors take it over and say so


class LookedAt(Run):
    """Its refiner knows the course, and how far the store is; the numbers are what others tell."""

    def __init__(self, pipeline: Pipeline, refiner: Refiner, elsewhere: Elsewhere, cache: HotCache) -> None:
        super().__init__(pipeline, refiner, None, cache=cache, bronze=refiner.bronze)
        self._elsewhere, self._since = elsewhere, time.monotonic()

    def start(self, *, polling: bool = True) -> None:
        """Nothing starts here."""

    @property
    def failed(self) -> bool:
        return self._elsewhere.failed(self.pipeline.id)

    @property
    def error(self) -> str | None:
        return self.stats().last_error

    def stats(self) -> LiveStats:
        new = time.monotonic() - self._since < TAKEN_SECS
        return self._elsewhere.stats(self.pipeline.id, new=new)
