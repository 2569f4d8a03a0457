"""What Dash was told to make of TimescaleDB."""

from dataclasses import dataclass
from datetime import timedelta

from appliance.components.silver import Table
from appliance.domain.chunks import Cutting, cutting


@dataclass(frozen=True)
class Wanted:
    """``interval``: how long a chunk is. ``compress_after``: how long after its end it goes into the columnstore.

    None: it does not. ``use``: whether new generations become hypertables; those that are there stay what they are.
    ``views``: whether rollups are kept as continuous aggregates too, for others.
    """

    use: bool = True
    interval: timedelta = timedelta(days=1)
    compress_after: timedelta | None = timedelta(days=7)
    views: bool = False

    @property
    def usual(self) -> Cutting:
        """How rows of a pipeline are cut that says nothing of its own."""
        return Cutting(interval=self.interval, compress_after=self.compress_after, views=self.views)

    def of(self, table: Table) -> Cutting:
        """Return how rows of ``table`` are cut."""
        return cutting(table.chunks, self.usual)
