"""Rollups: what a pipeline keeps counted in Gold. Types only; ``appliance.services.definitions`` checks them."""

from typing import Annotated

import msgspec
from msgspec import Meta

from appliance.domain.mapping import FieldType
from appliance.domain.quantity import parse_duration

_NUMBERS = frozenset({FieldType.INTEGER, FieldType.FLOAT, FieldType.DECIMAL})
_ORDERED = frozenset(FieldType) - {FieldType.JSON}

MEASURES = {
    "count": frozenset(FieldType), "sum": _NUMBERS, "min": _ORDERED, "max": _ORDERED, "avg": _NUMBERS,
    "last": frozenset(FieldType), "percentiles": _NUMBERS,
}  # fmt: skip
"""What a rollup can keep of a field, and of which types."""

GROUPS = _ORDERED
"""Types of fields to group by."""

MOST_ROLLUPS, MOST_GROUPS = 10, 8


class RollupMeasure(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """``percentiles`` keeps a sketch that answers p50, p95 and p99 to within 1 % of the value."""

    op: Annotated[str, Meta(description="count, sum, min, max, avg, last or percentiles", examples=["avg"])]
    field: Annotated[str, Meta(description="The field measured; left out only for count of rows")] | None = None


class Rollup(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """One table of Gold: measures by time bucket and group, kept right with every commit."""

    name: Annotated[str, Meta(min_length=1, max_length=40, pattern="^[a-z][a-z0-9_]*$", examples=["per_minute"])]
    bucket: Annotated[str, Meta(description="A duration of whole seconds that divides a day", examples=["1m", "1h"])]
    group_by: list[str] = []
    measures: Annotated[list[RollupMeasure], Meta(min_length=1, max_length=50)]

    @property
    def bucket_us(self) -> int:
        return int(parse_duration(self.bucket).total_seconds() * 1_000_000)
