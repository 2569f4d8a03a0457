"""Sets of sequence numbers as sorted runs that neither touch nor overlap."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence

Run = tuple[int, int]  # first and last sequence number


def add_run(runs: list[Run], run: Run) -> None:
    """Add ``run`` to ``runs``, in place."""
    first, last = run
    at = bisect_left(runs, first - 1, key=lambda known: known[1])
    end = at
    while end < len(runs) and runs[end][0] <= last + 1:
        first, last = min(first, runs[end][0]), max(last, runs[end][1])
        end += 1
    runs[at:end] = [(first, last)]


def take_run(runs: list[Run], run: Run) -> bool:
    """Remove ``run`` from ``runs``, in place; return whether any of it was there."""
    at = bisect_left(runs, run[0], key=lambda known: known[1])
    end, rest = at, []
    while end < len(runs) and runs[end][0] <= run[1]:
        first, last = runs[end]
        rest += [left for left in ((first, run[0] - 1), (run[1] + 1, last)) if left[0] <= left[1]]
        end += 1
    runs[at:end] = rest
    return end > at


def cut(runs: Sequence[Run], first: int, last: int) -> list[Run]:
    """Return what of ``runs`` lies within the two."""
    at = bisect_left(runs, first, key=lambda run: run[1])
    found = []
    while at < len(runs) and runs[at][0] <= last:
        found.append((max(runs[at][0], first), min(runs[at][1], last)))
        at += 1
    return found


def members(runs: Iterable[Run]) -> Iterator[int]:
    """Yield each sequence number in ``runs``."""
    for first, last in runs:
        yield from range(first, last + 1)


def runs_of(seqs: Iterable[int]) -> list[Run]:
    """Return ``seqs``, in any order, as runs."""
    runs: list[Run] = []
    for seq in sorted(set(seqs)):
        if runs and runs[-1][1] == seq - 1:
            runs[-1] = (runs[-1][0], seq)
        else:
            runs.append((seq, seq))
    return runs
