"""What a preview of a change answers: plain frozen values, like ``views``."""

import msgspec

from appliance.components.comparison import Cause, Rows
from appliance.services.columns import ColumnChange


class DeadLetterChange(msgspec.Struct, frozen=True, kw_only=True):
    """Dead letters that only the new mapping gives, and those it heals; by cause, most frequent first."""

    new: int
    new_causes: list[Cause]
    healed: int
    healed_causes: list[Cause]


class Sums(msgspec.Struct, frozen=True, kw_only=True):
    """What a mapping makes of the events. ``duplicates``: rows that a later one with the same key replaces."""

    rows: int
    filtered: int
    dead: int
    duplicates: int


class ChangePreview(msgspec.Struct, frozen=True, kw_only=True):
    """What a new mapping would change. Nothing was stored.

    ``events`` were looked at, from ``first_seq`` to ``last_seq``; the range has ``matching``. ``stopped``: why one of
    the mappings (frozen, or giving very many rows) went no further. ``replay_secs``: an estimate for all
    ``stored_events``, made from this look.
    """

    events: int
    matching: int
    first_seq: int | None
    last_seq: int | None
    before: Sums
    after: Sums
    added: Rows
    removed: Rows
    changed: Rows
    unchanged: int
    columns: list[ColumnChange]
    dead: DeadLetterChange
    stopped: str | None
    took_secs: float
    stored_events: int
    replay_secs: float | None
