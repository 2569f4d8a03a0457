"""A tenure: for how long what one node polls of a pipeline is stored, where several nodes take turns (decision 0027).

The row store knows whose turn it is, and where polling goes on behind the last event stored. Both move in the
transaction that stores events, and only during the tenure in which they were read: no lease has to be trusted. What was
polled in a tenure that has ended, and is not stored, is polled again by the next holder; so it is withdrawn here.
"""

from collections.abc import Callable, Iterator
from threading import Lock
from typing import Final, NamedTuple

import msgspec
import structlog

from appliance.components.bronze import BronzeLog, Correction
from appliance.components.nodes import Lease
from appliance.components.polls import ENDED, Claim, PageLog, PollBook, Polled, Standing
from appliance.domain.clock import Clock, utc_now
from appliance.domain.event import Frame
from appliance.domain.ids import PipelineId
from appliance.domain.partition import partition_of
from appliance.errors import Conflict, TransientError

WITHDRAWN: Final = "another node took over polling before this was stored, and has polled it again"
BY: Final = "takeover"
AT_ONCE: Final = (10_000, 8 << 20)  # events and bytes that are withdrawn together
AGAIN_SECS: Final = 0.2

log = structlog.get_logger("poll")


class Right(NamedTuple):
    """What may be stored of what is read from now on. ``tenure`` ENDED: nothing above ``accepted``."""

    tenure: int
    accepted: int

    def most(self, after_seq: int, wanted: int) -> int:
        """Return how many events may be read after ``after_seq``, of those wanted."""
        return wanted if self.tenure != ENDED else max(1, min(wanted, self.accepted - after_seq))


class Tenure:
    """Of one pipeline on one node; shared by its poller and its refiner. Every method blocks, and any may raise
    TransientError.

    ``bronze`` is a ``PageLog`` too, whose last event is of this node. ``lease``: the one to poll under, if it is held.
    """

    def __init__(
        self,
        pipeline_id: PipelineId,
        bronze: BronzeLog,
        book: PollBook,
        lease: Callable[[], Lease | None],
        clock: Clock = utc_now,
    ) -> None:
        if not isinstance(bronze, PageLog):
            raise TypeError(f"{type(bronze).__name__} knows nothing of pages")
        self._pipeline_id, self._bronze, self._book = pipeline_id, bronze, book
        self._pages: PageLog = bronze
        self._lease, self._clock = lease, clock
        self._standing: Standing | None = None  # as it was known last: ``accepted`` only grows, the rest is checked
        self._noted: str | None = None  # the checkpoint that the store has, as far as this node has told it
        self._lock = Lock()

    @property
    def partition(self) -> int:
        """Return the partition of this node's events."""
        return partition_of(self._bronze.last_seq(self._pipeline_id))

    @property
    def running(self) -> int | None:
        """Return the number of the tenure under way, if it is this node's as far as it knows; costs no I/O."""
        standing = self._standing
        return standing.tenure if standing is not None and standing.holder == self.partition else None

    def look(self) -> Standing:
        """Return how it stands, after withdrawing what this node must not store any more."""
        with self._lock:
            return self._look()

    def claim(self, before: Standing) -> None:
        """Begin a tenure here. The log's checkpoint is ``before.checkpoint`` already, or nobody has begun yet.

        Raises:
            TransientError: the lease is another's, or something moved meanwhile: ``look`` again.
        """
        lease = self._lease()
        if lease is None:
            raise TransientError("the lease to poll is another node's", AGAIN_SECS)
        with self._lock:
            page = self._pages.page(self._pipeline_id, before.accepted) if before.holder is None else None
            claim = Claim(lease, page.checkpoint if page is not None else None)
            try:
                self._standing = self._book.claim(self._pipeline_id, before, claim)
            except Conflict as error:
                self._standing = None
                raise TransientError(str(error), AGAIN_SECS) from error
            self._noted = self._standing.checkpoint
            log.info("poll.begun", pipeline=self._pipeline_id, tenure=self._standing.tenure, after=before.holder)

    def right(self, after_seq: int) -> Right:
        """Return what may be stored of what is read after ``after_seq``; asked before it is read."""
        with self._lock:
            standing = self._standing
            if standing is None or (standing.holder != self.partition and after_seq >= standing.accepted):
                standing = self._look()
            mine = standing.holder in (self.partition, None)
            return Right(standing.tenure if mine else ENDED, standing.accepted)

    def polled(self, right: Right, last_seq: int) -> Polled | None:
        """Return what is to be stored with a batch up to ``last_seq``; None: its events are accepted already."""
        if last_seq <= right.accepted:
            return None
        page = self._pages.page(self._pipeline_id, last_seq)
        if page is None:  # unreadable: who comes next polls it again, and may get what is lost here
            return Polled(right.tenure, last_seq, None)
        return Polled(right.tenure, page.last_seq, page.checkpoint)

    def stored(self, polled: Polled) -> None:
        """Take down that a batch was stored with it."""
        with self._lock:
            standing = self._standing
            if standing is not None:
                self._standing = msgspec.structs.replace(standing, accepted=max(standing.accepted, polled.through))
            self._noted = polled.checkpoint or self._noted

    def doubt(self) -> None:
        """Ask the store how it stands before anything is read again."""
        self._standing = None

    def note(self, seq: int) -> None:
        """Tell the store the checkpoint behind ``seq``, up to which all is refined, where it knows an older one."""
        with self._lock:
            standing = self._standing
            if standing is None or standing.holder != self.partition or seq < standing.accepted:
                return
            page = self._pages.page(self._pipeline_id, seq)
            if page is None or page.checkpoint in (None, self._noted):
                return
            try:
                self._book.note(self._pipeline_id, standing.tenure, page.checkpoint)
            except Conflict:
                self._standing = None
            else:
                self._noted = page.checkpoint

    def _look(self) -> Standing:
        last = self._bronze.last_seq(self._pipeline_id)  # before asking: what a later tenure of ours polls lies behind
        standing = self._book.standing(self._pipeline_id)
        if standing.holder not in (self.partition, None) and last > standing.accepted:
            self._withdraw(standing.accepted, last)
            self._book.accept(self._pipeline_id, last)
            standing = msgspec.structs.replace(standing, accepted=last)
        self._standing, self._noted = standing, standing.checkpoint
        return standing

    def _withdraw(self, after: int, last: int) -> None:
        """Correct to nothing what was polled above ``after`` up to ``last``."""
        upkeep, count = self._bronze.upkeep, 0
        while after < last:
            frames = self._bronze.read(self._pipeline_id, after, min(AT_ONCE[0], last - after), AT_ONCE[1])
            wrong = [seq for frame in frames for seq in self._polled(frame)]
            count += len(wrong)
            now = self._clock()
            try:
                upkeep.correct(self._pipeline_id, [Correction(seq, None, WITHDRAWN, BY, now) for seq in wrong])
            except Conflict:  # more than may be corrected
                upkeep.erase(self._pipeline_id, wrong, WITHDRAWN, BY)
            after = frames[-1].last_seq if frames else last
        if count:
            log.warning("poll.withdrawn", pipeline=self._pipeline_id, events=count)

    def _polled(self, frame: Frame) -> Iterator[int]:
        """Yield the events of ``frame`` that are to be withdrawn; none of what came otherwise than by a checkpoint."""
        page = self._pages.page(self._pipeline_id, frame.first_seq)
        if page is None or page.polled:
            yield from sorted({*range(frame.first_seq, frame.last_seq + 1)} - {*frame.withdrawn})
