"""A BronzeLog in memory, for tests of whatever stands around Bronze. Held to the contract suite like the real one."""

import json
from asyncio import sleep
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from appliance.components.bronze import BronzeLog, Finding, SegmentInfo
from appliance.domain.event import Delivery, Envelope, Frame, Receipt, StoredEvent
from appliance.domain.ids import PipelineId
from appliance.errors import NotFound, TransientError

_Entry = tuple[int, Envelope, list[bytes]]  # first sequence number, envelope, payloads


class MemoryBronzeLog:
    """Keeps every delivery as it came. Set ``refusing`` to a reason and appends raise TransientError."""

    def __init__(self) -> None:
        self.refusing: str | None = None
        self._entries: dict[PipelineId, list[_Entry]] = {}
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
        self._entries.setdefault(pipeline_id, []).append((first, delivery.envelope, payloads))
        receipt = Receipt(first, first + len(payloads) - 1)
        if delivery_id is not None:
            self._receipts[pipeline_id, delivery_id] = receipt
        return receipt

    def last_seq(self, pipeline_id: PipelineId) -> int:
        return sum(len(payloads) for _, _, payloads in self._entries.get(pipeline_id, []))

    def checkpoint(self, pipeline_id: PipelineId) -> dict[str, Any] | None:
        known = [envelope.checkpoint for _, envelope, _ in self._entries.get(pipeline_id, [])]
        return next((checkpoint for checkpoint in reversed(known) if checkpoint is not None), None)

    def read(self, pipeline_id: PipelineId, after_seq: int, max_events: int, max_bytes: int) -> list[Frame]:
        frames: list[Frame] = []
        for first, envelope, payloads in self._entries.get(pipeline_id, []):
            lines: list[bytes] = []
            for seq, payload in enumerate(payloads, first):
                if seq <= after_seq:
                    continue
                max_events -= 1
                max_bytes -= len(payload) + (1 if lines else 0)
                if max_events < 0 or (max_bytes < 0 and (frames or lines)):
                    return frames + _frame(seq, envelope, lines)
                lines.append(payload.replace(b"\r", b" ").replace(b"\n", b" "))
            frames += _frame(first + len(payloads), envelope, lines)
        return frames

    def event(self, pipeline_id: PipelineId, seq: int) -> StoredEvent:
        line = 1
        for first, envelope, payloads in self._entries.get(pipeline_id, []):
            if first <= seq < first + len(payloads):
                nth = seq - first
                return StoredEvent(pipeline_id, seq, envelope, payloads[nth], "memory", line + 1 + nth)
            line += 1 + len(payloads)
        raise NotFound(f"looking for event {seq} of {pipeline_id}: there is no such event")

    def segments(self, pipeline_id: PipelineId) -> list[SegmentInfo]:
        entries = self._entries.get(pipeline_id, [])
        size = sum(len(payload) for _, _, payloads in entries for payload in payloads)
        return [SegmentInfo("memory", 1, self.last_seq(pipeline_id), size, closed=False)] if entries else []

    def verify(self, pipeline_id: PipelineId) -> Iterator[Finding]:
        for (first, _, payloads), (following, _, _) in pairwise(self._entries.get(pipeline_id, [])):
            if first + len(payloads) != following:
                yield Finding(pipeline_id, "memory", f"a gap before {following}", "mend the fake")

    def pipelines(self) -> list[PipelineId]:
        return sorted(self._entries)

    def delete(self, pipeline_id: PipelineId) -> None:
        self._entries.pop(pipeline_id, None)
        for key in [key for key in self._receipts if key[0] == pipeline_id]:
            del self._receipts[key]

    async def close(self) -> None:
        self.refusing = "the log is closed"


def _frame(end: int, envelope: Envelope, lines: list[bytes]) -> list[Frame]:
    """Return the frame of ``lines``, which end before the sequence number ``end``; nothing where there are none."""
    microseconds = round(envelope.received_at.timestamp() * 1_000_000)
    return [Frame(end - len(lines), len(lines), microseconds, b"\n".join(lines))] if lines else []


def payload(number: int) -> bytes:
    """Return a small event that carries ``number``."""
    return json.dumps({"number": number}).encode()


_: type[BronzeLog] = MemoryBronzeLog
