"""Puts computed values in an order in which each finds what it needs."""

from collections.abc import Mapping, Sequence


class CycleError(ValueError):
    """Something needs itself. ``cycle``: the way round, beginning and ending with the same name."""

    def __init__(self, cycle: list[str]) -> None:
        self.cycle = cycle
        super().__init__(" → ".join(cycle))


def in_levels(needs: Mapping[str, Sequence[str]]) -> list[list[str]]:
    """Return the names of ``needs`` in levels: each name needs only names of earlier levels.

    Raises:
        CycleError: there is no such order.
    """
    levels: list[list[str]] = []
    placed: set[str] = set()
    while len(placed) < len(needs):
        level = [name for name, needed in needs.items() if name not in placed and placed.issuperset(needed)]
        if not level:
            raise CycleError(_cycle({name: needed for name, needed in needs.items() if name not in placed}))
        levels.append(level)
        placed.update(level)
    return levels


def _cycle(stuck: Mapping[str, Sequence[str]]) -> list[str]:
    # Every stuck name needs another stuck one, so walking on always comes back to where it has been.
    way = [next(iter(stuck))]
    while True:
        following = next(name for name in stuck[way[-1]] if name in stuck)
        if following in way:
            return [*way[way.index(following) :], following]
        way.append(following)
