"""Who should hold what: each node decides for itself, and what all decide adds up to a fair spread.

Every node gets the same number, or one more. What a node has it keeps as long as that is fair, so that nothing moves
that need not, and once the spread is fair nothing moves at all.
"""

import hashlib
from collections import Counter
from collections.abc import Collection, Mapping, Sequence

import msgspec


class Move(msgspec.Struct, frozen=True):
    """What one node does now: let go of some, and take some that are free."""

    release: tuple[str, ...] = ()
    acquire: tuple[str, ...] = ()


def share(things: Collection[str], holders: Mapping[str, str | None], nodes: Sequence[str], me: str) -> Move:
    """Return what ``me`` does so that ``things`` come to be spread over ``nodes``.

    ``holders``: who holds each thing; absent or None: it is free. Who holds something and is not among ``nodes`` (it is
    gone, or draining) lets go of it in its own time. ``me`` not among ``nodes``: it lets go of all it has.
    """
    mine = sorted(thing for thing in things if holders.get(thing) == me)
    if me not in nodes:
        return Move(release=tuple(mine))
    quota = quotas(Counter(holders.get(thing) for thing in things), len(things), nodes)[me]
    if len(mine) > quota:
        ranked = sorted(mine, key=lambda thing: liking(me, thing))
        return Move(release=tuple(ranked[: len(mine) - quota]))
    free = [thing for thing in things if holders.get(thing) is None]
    ranked = sorted(free, key=lambda thing: liking(me, thing), reverse=True)
    return Move(acquire=tuple(ranked[: quota - len(mine)]))


def quotas(held: Mapping[str | None, int], things: int, nodes: Sequence[str]) -> dict[str, int]:
    """Return how many each node should hold: an equal part, and one more for those that have most already."""
    each, more = divmod(things, len(nodes))
    by_load = sorted(nodes, key=lambda node: (-held.get(node, 0), node))
    return {node: each + (place < more) for place, node in enumerate(by_load)}


def liking(node: str, thing: str) -> bytes:
    """Return how much a node wants a thing, so that two seldom reach for the same one at once."""
    return hashlib.blake2b(f"{node}\0{thing}".encode(), digest_size=8).digest()
