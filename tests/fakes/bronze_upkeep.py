"""The upkeep of the BronzeLog in memory, and what it holds."""

from collections.abc import Sequence
from datetime import datetime
from itertools import groupby

import msgspec

from appliance.components.bronze import Correction, Expired, LogUpkeep, Quarantine
from appliance.domain.event import Envelope
from appliance.domain.ids import PipelineId
from appliance.errors import NotFound


class Entry(msgspec.Struct):
    """One delivery."""

    first_seq: int
    envelope: Envelope
    payloads: list[bytes]

    @property
    def last_seq(self) -> int:
        return self.first_seq + len(self.payloads) - 1

    @property
    def size(self) -> int:
        return sum(map(len, self.payloads))


class MemoryUpkeep:
    """Keeps expired deliveries without their payloads' bytes, so that numbers go on."""

    def __init__(self) -> None:
        self.entries: dict[PipelineId, list[Entry]] = {}
        self._expired: dict[PipelineId, int] = {}  # how many entries
        self._erased: set[tuple[PipelineId, int]] = set()
        self._damaged: dict[tuple[PipelineId, int], str] = {}
        self._noted: set[tuple[PipelineId, int]] = set()
        self._corrections: dict[tuple[PipelineId, int], Correction] = {}

    def damage(self, pipeline_id: PipelineId, seqs: Sequence[int], reason: str = "the checksum is wrong") -> None:
        """Make these events unreadable."""
        self._damaged |= {(pipeline_id, seq): reason for seq in seqs}

    def mend(self, pipeline_id: PipelineId) -> None:
        """Put back a copy: all events can be read again."""
        self._damaged = {key: reason for key, reason in self._damaged.items() if key[0] != pipeline_id}

    def held(self, pipeline_id: PipelineId) -> list[Entry]:
        """Return the deliveries that have not expired."""
        return self.entries.get(pipeline_id, [])[self._expired.get(pipeline_id, 0) :]

    def last_seq(self, pipeline_id: PipelineId) -> int:
        entries = self.entries.get(pipeline_id)
        return entries[-1].last_seq if entries else 0

    def answer(self, pipeline_id: PipelineId, seq: int, payload: bytes) -> tuple[str | None, bytes | None]:
        """Return why the event is damaged, and what is refined instead of ``payload``; None: nothing."""
        key = (pipeline_id, seq)
        if key in self._erased:
            return None, None
        if key in self._corrections:
            return None, self._corrections[key].payload
        if key in self._damaged:
            self._noted.add(key)
            return self._damaged[key], b"null"
        return None, payload

    def check(self, pipeline_id: PipelineId, seq: int) -> None:
        """Raise NotFound if the event cannot be shown."""
        key = (pipeline_id, seq)
        if key in self._erased:
            raise NotFound(f"looking for event {seq} of {pipeline_id}: it was erased")
        if key in self._damaged:
            self._noted.add(key)
            raise NotFound(f"looking for event {seq} of {pipeline_id}: it is damaged: {self._damaged[key]}")

    def forget(self, pipeline_id: PipelineId) -> None:
        self.entries.pop(pipeline_id, None)
        self._expired.pop(pipeline_id, None)
        self._erased = {key for key in self._erased if key[0] != pipeline_id}
        self._corrections = {key: one for key, one in self._corrections.items() if key[0] != pipeline_id}
        self.mend(pipeline_id)

    def first_seq(self, pipeline_id: PipelineId) -> int:
        held = self.held(pipeline_id)
        return held[0].first_seq if held else self.last_seq(pipeline_id) + 1

    def seq_at(self, pipeline_id: PipelineId, moment: datetime) -> int:
        for entry in self.held(pipeline_id):
            if entry.payloads and entry.envelope.received_at >= moment:
                return entry.first_seq
        return self.last_seq(pipeline_id) + 1

    def expire(
        self, pipeline_id: PipelineId, *, before: datetime | None, keep_bytes: int | None, up_to: int
    ) -> Expired:
        gone = events = freed = 0
        for entry in self.held(pipeline_id)[:-1]:
            old = before is not None and entry.envelope.received_at < before
            large = keep_bytes is not None and self.size(pipeline_id) - freed > keep_bytes
            if entry.last_seq > up_to or not (old or large):
                break
            gone, events, freed = gone + 1, events + len(entry.payloads), freed + entry.size
        self._expired[pipeline_id] = self._expired.get(pipeline_id, 0) + gone
        return Expired(gone, events, freed)

    def erase(self, pipeline_id: PipelineId, seqs: Sequence[int], reason: str, by: str) -> int:
        last = self.last_seq(pipeline_id)
        if wrong := [seq for seq in seqs if not 1 <= seq <= last]:
            raise NotFound(f"erasing event {wrong[0]} of {pipeline_id}: there are events 1 to {last}")
        held = range(self.first_seq(pipeline_id), self.last_seq(pipeline_id) + 1)
        keys = {(pipeline_id, seq) for seq in seqs if seq in held} - self._erased
        self._erased |= keys
        for key in keys:
            self._corrections.pop(key, None)
        return len(keys)

    def correct(self, pipeline_id: PipelineId, corrections: Sequence[Correction]) -> None:
        last = self.last_seq(pipeline_id)
        if wrong := [one.seq for one in corrections if not 1 <= one.seq <= last]:
            raise NotFound(f"correcting event {wrong[0]} of {pipeline_id}: there are events 1 to {last}")
        for one in corrections:
            if (pipeline_id, one.seq) not in self._erased and one.seq >= self.first_seq(pipeline_id):
                self._corrections[pipeline_id, one.seq] = one

    def correction(self, pipeline_id: PipelineId, seq: int) -> Correction | None:
        return self._corrections.get((pipeline_id, seq))

    def corrected(self, pipeline_id: PipelineId, first_seq: int, last_seq: int) -> list[int]:
        return sorted(seq for owner, seq in self._corrections if owner == pipeline_id and first_seq <= seq <= last_seq)

    def quarantined(self, pipeline_id: PipelineId) -> list[Quarantine]:
        self._noted &= self._damaged.keys()
        seqs = sorted(seq for owner, seq in self._noted if owner == pipeline_id)
        runs = [list(run) for _, run in groupby(enumerate(seqs), lambda pair: pair[1] - pair[0])]
        return [
            Quarantine("memory", run[0][1], run[-1][1], self._damaged[pipeline_id, run[0][1]])
            for run in runs
        ]  # fmt: skip

    def size(self, pipeline_id: PipelineId) -> int:
        return sum(entry.size for entry in self.held(pipeline_id))


_: type[LogUpkeep] = MemoryUpkeep
