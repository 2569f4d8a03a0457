"""Events whose outcome nothing tells any more, shared out among the kinds that they may be of."""

from collections.abc import Sequence


def shared_out(events: int, kinds: Sequence[int]) -> list[int]:
    """Return ``events`` parted like ``kinds``, none of which is exceeded; their sum is at least ``events``."""
    parts, left, whole = [], events, sum(kinds)
    for kind in kinds:
        part = min(kind, left, -(-left * kind // whole)) if whole else 0
        part = max(part, left - (whole - kind))  # what the kinds to come cannot take
        parts.append(part)
        left, whole = left - part, whole - kind
    return parts
