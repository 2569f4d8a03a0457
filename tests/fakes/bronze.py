"""A BronzeLog in memory, for tests of whatever stands around Bronze. Held to the contract suite like the real one."""

import json
from asyncio import sleep
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import groupby, pairwise
from typing import Any

from msgspec.structs import replace

from appliance.components.bronze import BronzeLog, Finding, SegmentInfo
from appliance.components.polls import PageEnd, PageLog
from appliance.domain.event import Delivery, Envelope, Frame, Receipt, StoredEvent
from appliance.domain.ids import PipelineId
from appliance.errors import NotFound, TransientError
from tests.fakes.bronze_upkeep import Entry, MemoryUpkeep

_State = tuple[int, Envelope, str | None, bytes | None]  # seq, envelope, why it is damaged, line; None: withdrawn


class MemoryBronzeLog:
    """Keeps every delivery as it came. Set ``refusing`` to a reason and appends raise TransientError.

    ``upkeep.damage`` makes events unreadable and ``upkeep.mend`` readable again. Each delivery is a segment of its
    own as far as expiry goes; the newest counts as open.
    """

    def __init__(self) -> None:
        self.refusing: str | None = None
        self.upkeep = MemoryUpkeep()
        self._receipts: dict[tuple[PipelineId, str], Receipt] = {}

    async def append(self, pipeline_id: PipelineId, delivery: Delivery) -> Receipt:
        await sleep(0)
        if self.refusing:
            raise TransientError(self.refusing)
        delivery_id = delivery.envelope.delivery_id
        if delivery_id is not None and (seen := self._receipts.get((pipeline_id, delivery_id))):
            return Receipt(seen.first_seq, seen.last_seq, duplicate=True)
        first = self.last_seq(pipeline_id) + 1
        payloads = [bytes(payload) for payload in delivery.payloads]
        self.upkeep.entries.setdefault(pipeline_id, []).append(Entry(first, delivery.envelope, payloads))
        receipt = Receipt(first, first + len(payloads) - 1)
        if delivery_id is not None:
            self._receipts[pipeline_id, delivery_id] = receipt
        return receipt

    def last_seq(self, pipeline_id: PipelineId) -> int:
        return self.upkeep.last_seq(pipeline_id)

    def checkpoint(self, pipeline_id: PipelineId) -> dict[str, Any] | None:
        known = [entry.envelope.checkpoint for entry in self.upkeep.entries.get(pipeline_id, [])]
        return next((checkpoint for checkpoint in reversed(known) if checkpoint is not None), None)

    def read(self, pipeline_id: PipelineId, after_seq: int, max_events: int, max_bytes: int) -> list[Frame]:
        frames: list[Frame] = []
        for entry in self.upkeep.held(pipeline_id):
            states = [state for state in self._states(pipeline_id, entry) if state[0] > after_seq]
            for damaged, group in groupby(states, lambda state: state[2]):
                taken: list[_State] = []
                for state in group:
                    max_events -= 1
                    max_bytes -= len(state[3] or b"null") + (1 if taken else 0)
                    if max_events < 0 or (max_bytes < 0 and (frames or taken)):
                        return frames + _frame(taken, damaged, entry.first_seq)
                    taken.append(state)
                frames += _frame(taken, damaged, entry.first_seq)
        return frames

    def event(self, pipeline_id: PipelineId, seq: int) -> StoredEvent:
        line = 1
        for entry in self.upkeep.held(pipeline_id):
            if entry.first_seq <= seq <= entry.last_seq:
                self.upkeep.check(pipeline_id, seq)
                nth = seq - entry.first_seq
                return StoredEvent(pipeline_id, seq, entry.envelope, entry.payloads[nth], "memory", line + 1 + nth)
            line += 1 + len(entry.payloads)
        why = "it has expired" if 0 < seq <= self.last_seq(pipeline_id) else "there is no such event"
        raise NotFound(f"looking for event {seq} of {pipeline_id}: {why}")

    def page(self, pipeline_id: PipelineId, seq: int) -> PageEnd | None:
        found, checkpoint = PageEnd(0, None, polled=False) if seq == 0 else None, None
        for entry in self.upkeep.held(pipeline_id):
            if found is not None and entry.payloads and entry.first_seq > found.last_seq:
                break
            checkpoint = checkpoint if entry.envelope.checkpoint is None else entry.envelope.checkpoint
            if entry.first_seq <= seq <= entry.last_seq:
                found = PageEnd(entry.last_seq, None, entry.envelope.checkpoint is not None)
        return found and replace(found, checkpoint=json.dumps(checkpoint) if checkpoint is not None else None)

    def segments(self, pipeline_id: PipelineId) -> list[SegmentInfo]:
        entries = self.upkeep.held(pipeline_id)
        size = sum(len(payload) for entry in entries for payload in entry.payloads)
        first = self.upkeep.first_seq(pipeline_id)
        return [SegmentInfo("memory", first, self.last_seq(pipeline_id), size, closed=False)] if entries else []

    def verify(self, pipeline_id: PipelineId) -> Iterator[Finding]:
        for one, following in pairwise(self.upkeep.held(pipeline_id)):
            if one.last_seq + 1 != following.first_seq:
                yield Finding(pipeline_id, "memory", f"a gap before {following.first_seq}", "mend the fake")
        for place in self.upkeep.quarantined(pipeline_id):
            yield Finding(pipeline_id, "memory", place.reason, "put a copy back")

    def reach(self, pipeline_id: PipelineId, seq: int) -> None:
        first = self.last_seq(pipeline_id) + 1
        if seq >= first:
            envelope = Envelope(received_at=datetime.fromtimestamp(0, UTC), source="lost")
            lost = Entry(first, envelope, [b"null"] * (seq - first + 1))
            self.upkeep.entries.setdefault(pipeline_id, []).append(lost)
            self.upkeep.damage(pipeline_id, range(first, seq + 1), "they are not there any more")

    def pipelines(self) -> list[PipelineId]:
        return sorted(self.upkeep.entries)

    def delete(self, pipeline_id: PipelineId) -> None:
        self.upkeep.forget(pipeline_id)
        for key in [key for key in self._receipts if key[0] == pipeline_id]:
            del self._receipts[key]

    async def close(self) -> None:
        self.refusing = "the log is closed"

    def _states(self, pipeline_id: PipelineId, entry: Entry) -> Iterator[_State]:
        for seq, payload in enumerate(entry.payloads, entry.first_seq):
            damaged, answered = self.upkeep.answer(pipeline_id, seq, payload)
            line = None if answered is None else answered.replace(b"\r", b" ").replace(b"\n", b" ")
            yield seq, entry.envelope, damaged, line


def _frame(states: list[_State], damaged: str | None, first_seq: int) -> list[Frame]:
    """Return the frame of ``states``, of the delivery that begins at ``first_seq``; nothing where there are none."""
    if not states:
        return []
    microseconds = round(states[0][1].received_at.timestamp() * 1_000_000)
    lines = b"\n".join(b"null" if line is None else line for *_, line in states)
    withdrawn = () if damaged else tuple(seq for seq, *_, line in states if line is None)
    name = None if damaged else states[0][1].delivery_id
    of = (name, first_seq if name is not None else 0)
    return [Frame(states[0][0], len(states), microseconds, lines, withdrawn, damaged, *of)]


def payload(number: int) -> bytes:
    """Return a small event that carries ``number``."""
    return json.dumps({"number": number}).encode()


_: type[BronzeLog] = MemoryBronzeLog
_pages: type[PageLog] = MemoryBronzeLog
