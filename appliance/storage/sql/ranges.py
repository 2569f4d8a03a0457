"""Numbers as a few ranges, so that a scan can pass over what lies between."""

from collections.abc import Sequence
from typing import Final

_MOST_RANGES: Final = 32  # each costs about a millisecond, and saves the scan of what lies between


def ranges_of(numbers: Sequence[int]) -> list[tuple[int, int]]:
    """Return at most ``_MOST_RANGES`` ranges, both ends inclusive, that have all ``numbers`` (ascending) in them."""
    gaps = [place for place in range(1, len(numbers)) if numbers[place] > numbers[place - 1] + 1]
    widest = sorted(gaps, key=lambda place: numbers[place - 1] - numbers[place])[: _MOST_RANGES - 1]
    starts = [0, *sorted(widest)]
    return [(numbers[start], numbers[end - 1]) for start, end in zip(starts, [*starts[1:], len(numbers)], strict=True)]
