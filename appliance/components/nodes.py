"""The contracts by which nodes know of each other: who there is, and who alone may do what."""

from collections.abc import Collection, Sequence
from typing import Protocol

import msgspec

from appliance.domain.ids import PipelineId
from appliance.domain.node import Card, Doing, Load, Node, NodeState


class NodeStore(Protocol):
    """All nodes of the installation. Blocking: call from a thread. Any method may raise TransientError."""

    def enter(self, card: Card) -> None:
        """Say that this life of the node has begun. What an earlier life of it held is not let go of: it runs out."""
        ...

    def beat(self, card: Card, load: Load) -> NodeState:
        """Say that it lives; return whether it is to run or to drain. ``load`` may be a ``Report``.

        Raises:
            FatalError: another process has entered as this node since: the data directory was copied.
        """
        ...

    def leave(self, card: Card) -> None:
        """Say that this life ends, and let go of what it holds."""
        ...

    def nodes(self) -> list[Node]:
        """Return every node there ever was and nobody has forgotten, by name."""
        ...

    def doings(self) -> list[tuple[Node, dict[PipelineId, Doing]]]:
        """Return the nodes that keep events, also those that are gone, with what each said of its pipelines last."""
        ...


class Lease(msgspec.Struct, frozen=True):
    """The right to do ``name`` alone. ``epoch`` is higher than that of every owner before: the fence."""

    name: str
    epoch: int


class Sharer(msgspec.Struct, frozen=True):
    """A node that takes part in sharing. ``settled``: it has been up for long enough that others make room for it."""

    life: str
    offers: frozenset[str]
    settled: bool


class Survey(msgspec.Struct, frozen=True):
    """Who there is at one moment, and who holds what. ``holders``: by name; None: it is free."""

    sharers: tuple[Sharer, ...]
    holders: dict[str, str | None]


class LeaseStore(Protocol):
    """All leases of the installation, for one holder. Blocking; any method may raise TransientError.

    Leases run out by the clock of the database. What raised may have happened or not: the next ``renew`` tells.
    """

    def renew(self, secs: float) -> Collection[Lease]:
        """Keep all that this holder has, for ``secs`` from now; return it. What ran out before is not among it."""
        ...

    def survey(self) -> Survey:
        """Return who there is and who holds what."""
        ...

    def acquire(self, names: Sequence[str], secs: float) -> Collection[Lease]:
        """Take those that are free, for ``secs`` from now; return what was taken."""
        ...

    def release(self, names: Collection[str]) -> None:
        """Let go of those that this holder has."""
        ...
