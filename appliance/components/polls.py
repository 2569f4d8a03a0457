"""The contracts by which nodes take turns at polling: whose events count, and where the next one goes on."""

from typing import Final, Protocol, runtime_checkable

import msgspec

from appliance.components.nodes import Lease
from appliance.domain.ids import PipelineId

UNCLAIMED: Final = 0  # the tenure before the first
ENDED: Final = -1  # no tenure: what is stored with it is refused


class Polled(msgspec.Struct, frozen=True):
    """What is stored with a batch that ends in a polled page: who polls next goes on behind that page.

    ``tenure``: during which its events were read from the log. ``through``: the last event of the page, which counts
    from now on even if it is refined later. ``checkpoint``: JSON, as it was after the page; None: as it is known.
    """

    tenure: int
    through: int
    checkpoint: str | None


class Standing(msgspec.Struct, frozen=True):
    """How the polling of a pipeline stands, as one partition is told.

    ``holder``: the partition whose events may be stored; None: nobody has begun. ``tenure`` rises with each change of
    it. ``checkpoint``: as of the last event stored. ``accepted``: the last event of the partition that asks which
    counts, or is withdrawn already, whoever polls.
    """

    holder: int | None
    tenure: int
    checkpoint: str | None
    accepted: int


class Claim(msgspec.Struct, frozen=True):
    """What a node takes over with. ``checkpoint``: JSON; where its own log stands, counts where nobody has begun."""

    lease: Lease
    checkpoint: str | None


class PollBook(Protocol):
    """Who polls what, beside the rows and in their database; for one partition. Blocking; may raise TransientError."""

    def standing(self, pipeline_id: PipelineId) -> Standing:
        """Return how it stands; what is refined of the partition is accepted."""
        ...

    def claim(self, pipeline_id: PipelineId, before: Standing, claim: Claim) -> Standing:
        """Be the holder from now on: from ``before.checkpoint``, with the events above ``before.accepted``.

        Raises:
            Conflict: it does not stand as ``before`` any more; ask again.
            TransientError: the lease is not held at this moment, by the clock of the database.
        """
        ...

    def accept(self, pipeline_id: PipelineId, seq: int) -> None:
        """Let events up to ``seq`` be refined, whoever polls: those that must not be stored are withdrawn by now."""
        ...

    def note(self, pipeline_id: PipelineId, tenure: int, checkpoint: str) -> None:
        """Move the checkpoint where no event does. Raises Conflict: this tenure has ended."""
        ...


@runtime_checkable
class TakesTurns(Protocol):
    """A row store whose commits take note of ``Batch.polled``, in the same transaction.

    Such a commit raises Conflict where ``polled.tenure`` is not the one under way, and writes nothing.
    """

    @property
    def polls(self) -> PollBook: ...


class PageEnd(msgspec.Struct, frozen=True):
    """The delivery that an event came in. ``checkpoint``: JSON, as it was when the next event came. ``polled``: it
    came with a checkpoint of its own."""

    last_seq: int
    checkpoint: str | None
    polled: bool


@runtime_checkable
class PageLog(Protocol):
    """A log that knows the deliveries of its events."""

    def page(self, pipeline_id: PipelineId, seq: int) -> PageEnd | None:
        """Return the delivery of event ``seq``; None: it cannot be read any more. Blocking.

        Of the number before the first event: what came before all events. Raises TransientError as ``read``.
        """
        ...
