"""Numbers of one partition: outward ones from local ones and back, in answers and in what errors say."""

from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from appliance.components.bronze import Correction, Finding, Quarantine, SegmentInfo
from appliance.domain.event import Frame, Receipt, StoredEvent
from appliance.domain.ids import PipelineId
from appliance.domain.partition import Partition, base_of, bounds_of, partition, shifted, spoken
from appliance.errors import DashError, NotFound


class Numbers:
    """What a log of partition ``number`` says to the outside, and what it is told from there."""

    def __init__(self, number: int) -> None:
        self.partition: Partition = partition(number)
        self._base = base_of(self.partition)
        self._last = bounds_of(self.partition)[1]

    def out(self, local: int) -> int:
        return shifted(self.partition, local)

    def within(self, pipeline_id: PipelineId, seq: int, doing: str) -> int:
        """Return the local number of ``seq``. Raises NotFound: it belongs to another partition, or to none."""
        if not self._base <= seq <= self._last:
            raise NotFound(f"{doing} event {spoken(seq)} of {pipeline_id}: it is not in partition {self.partition}")
        return seq - self._base

    def clamped(self, seq: int) -> int:
        """Return the local number of the last event of this partition that is not above ``seq``; 0: none is."""
        return max(0, min(seq, self._last) - self._base)

    def noted(self, text: str) -> str:
        """Return what the log says, which names local numbers, with how they are known outside."""
        if not self._base or not any(one.isdigit() for one in text):
            return text
        return f"{text} (numbers within partition {self.partition}: write {self.partition}: before them)"

    @contextmanager
    def telling(self) -> Iterator[None]:
        """Have errors of the log say of which numbers they speak; what they are stays the same."""
        try:
            yield
        except DashError as error:
            error.args = (self.noted(str(error)), *error.args[1:])
            raise

    def receipt(self, one: Receipt) -> Receipt:
        return Receipt(one.first_seq + self._base, one.last_seq + self._base, one.duplicate)

    def frame(self, one: Frame) -> Frame:
        base = self._base
        withdrawn = tuple(seq + base for seq in one.withdrawn)
        damaged = None if one.damaged is None else self.noted(one.damaged)
        of = (one.delivery_id, one.delivery_seq + base if one.delivery_id is not None else 0)
        return Frame(one.first_seq + base, one.count, one.received_us, one.lines, withdrawn, damaged, *of)

    def event(self, one: StoredEvent) -> StoredEvent:
        return msgspec.structs.replace(one, seq=self.out(one.seq))

    def segment(self, one: SegmentInfo) -> SegmentInfo:
        first, last = one.first_seq + self._base, one.last_seq + self._base
        return msgspec.structs.replace(one, first_seq=first, last_seq=last)

    def place(self, one: Quarantine) -> Quarantine:
        first, last = self.out(one.first_seq), self.out(one.last_seq)
        return Quarantine(one.segment, first, last, self.noted(one.reason))

    def finding(self, one: Finding) -> Finding:
        return msgspec.structs.replace(one, message=self.noted(one.message))

    def correction(self, one: Correction) -> Correction:
        return msgspec.structs.replace(one, seq=self.out(one.seq))
