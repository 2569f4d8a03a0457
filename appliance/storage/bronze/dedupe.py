"""The delivery ids seen lately, so that a sender's second try has no second effect."""

from pathlib import Path

from appliance.storage.bronze.frame import FULL, Damaged, microseconds
from appliance.storage.bronze.recovery import Recovered
from appliance.storage.bronze.segment import frames_in
from appliance.storage.bronze.sidecar import Delivered, read_deliveries, sidecar_path
from appliance.storage.bronze.unpack import unpack_all

WINDOW_IDS = 100_000
WINDOW_US = 24 * 60 * 60 * 1_000_000


class DeliveryWindow:
    """The newest 100,000 delivery ids of one pipeline, none older than 24 hours. About 0.3 KB each."""

    def __init__(self, size: int = WINDOW_IDS, age_us: int = WINDOW_US) -> None:
        self._size = size
        self._age_us = age_us
        self._seen: dict[str, tuple[int, int, int]] = {}  # first, last, received: in order of arrival

    def __len__(self) -> int:
        return len(self._seen)

    def add(self, delivered: Delivered) -> None:
        """Remember a delivery that is newer than all before; the oldest makes room."""
        self._seen.pop(delivered.id, None)
        self._seen[delivered.id] = (delivered.first_seq, delivered.last_seq, delivered.received_us)
        if len(self._seen) > self._size:
            del self._seen[next(iter(self._seen))]

    def find(self, delivery_id: str, now_us: int) -> tuple[int, int] | None:
        """Return first and last sequence number of the delivery; None: not seen within the window."""
        found = self._seen.get(delivery_id)
        if found is None or found[2] < now_us - self._age_us:
            return None
        return found[0], found[1]

    def since(self, seq: int) -> list[Delivered]:
        """Return the deliveries at or after ``seq``, oldest first."""
        return [Delivered(name, *places) for name, places in self._seen.items() if places[0] >= seq]

    def restore(self, recovered: Recovered, now_us: int) -> None:
        """Fill the window after a restart: the frames just scanned, then indexes of older segments."""
        groups = [recovered.deliveries]
        missing = self._size - len(recovered.deliveries)
        for entry in recovered.manifest.newest_first():
            if missing <= 0 or microseconds(entry.newest_at) < now_us - self._age_us:
                break
            groups.append(_deliveries_of(recovered.manifest.path.with_name(entry.name)))
            missing -= len(groups[-1])
        for group in reversed(groups):
            for delivered in group:
                self.add(delivered)


def _deliveries_of(segment: Path) -> list[Delivered]:
    """Return the deliveries of a compressed segment; from the segment itself where its index is missing."""
    known = read_deliveries(sidecar_path(segment))
    return deliveries_in(segment) if known is None else known


def deliveries_in(segment: Path) -> list[Delivered]:
    """Return the deliveries of a compressed segment by reading it; none where it does not read."""
    try:
        return [
            Delivered(header.delivery, header.seq, header.seq + header.n - 1, header.received_us)
            for block in unpack_all(segment)
            for header in (found.header for found in frames_in(block.plain, block.offset, FULL))
            if header.delivery is not None
        ]
    except (Damaged, FileNotFoundError):
        return []  # reading and verify tell of it; receiving goes on without these ids
