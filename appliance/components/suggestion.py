"""The contract of suggesting: a first mapping for events that nobody has mapped yet, each part with its reason."""

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from appliance.domain.mapping import FieldType, Mapping


class SuggestedField(msgspec.Struct, frozen=True, kw_only=True):
    """A field of the mapping, and why it is as it is. ``confidence``: 0 to 1."""

    name: str
    path: str
    type: FieldType
    required: bool
    unit: str | None
    confidence: float
    reason: str


class SuggestedTime(msgspec.Struct, frozen=True, kw_only=True):
    path: str
    format: str
    confidence: float
    reason: str


class SuggestedExplode(msgspec.Struct, frozen=True, kw_only=True):
    path: str
    confidence: float
    reason: str


class Suggestion(msgspec.Struct, frozen=True, kw_only=True):
    """``mapping`` can be saved as it is. ``samples``: how many it was made from; ``notes``: what is worth a look."""

    mapping: Mapping
    samples: int
    fields: list[SuggestedField]
    time: SuggestedTime | None
    explode: SuggestedExplode | None
    notes: list[str]


class Suggest(Protocol):
    """Pure; takes milliseconds for a thousand events."""

    def __call__(self, samples: Sequence[Any], /) -> Suggestion:
        """Return a mapping for events such as ``samples`` (decoded JSON)."""
        ...
