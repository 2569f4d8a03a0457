"""Incremental polling: what the highest value seen so far is, and which items at that very value came already."""

import hashlib
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal

import msgspec
from msgspec import Raw

from appliance.sources.items import Path, text_at

_MAX_SEEN = 500
_MAX_CHARS = 256  # of a value: it is sent in a URL and kept in every checkpoint
_NUMBER = re.compile(r"-?[0-9]{1,40}(\.[0-9]{1,40})?")
_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}([T ].*)?")


class Mark(msgspec.Struct, frozen=True, omit_defaults=True):
    """The highest value, as it was written, and the items that had it (hashes; at most 500 are remembered)."""

    value: str | None = None
    seen: list[str] = []


def fresh(items: Sequence[Raw], path: Path, since: Mark, high: Mark) -> tuple[list[Raw], Mark]:
    """Return the items that did not come before, and the mark after them.

    ``since``: what was asked for, to which servers answer including or excluding that value; ``high``: the mark so far
    in this run. An item without a value at ``path`` is always fresh.
    """
    kept, value, seen = [], high.value, list(high.seen)
    for item in items:
        found = text_at(item, path)
        if found is None or len(found) > _MAX_CHARS:
            kept.append(item)
            continue
        name = hashlib.blake2b(bytes(item), digest_size=8).hexdigest()
        if since.value is not None and name in since.seen and _rank(found) == _rank(since.value):
            continue
        kept.append(item)
        if value is None or _rank(found) > _rank(value):
            value, seen = found, [name]
        elif _rank(found) == _rank(value) and len(seen) < _MAX_SEEN:
            seen.append(name)
    return kept, Mark(value, seen)


def _rank(written: str) -> tuple[int, Decimal | datetime | str]:
    """Return something to compare values by: numbers as such, then moments, then text."""
    if _NUMBER.fullmatch(written):
        return (0, Decimal(written))
    if _MOMENT.fullmatch(written):
        try:
            moment = datetime.fromisoformat(written)
        except ValueError:
            return (2, written)
        return (1, moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    return (2, written)
