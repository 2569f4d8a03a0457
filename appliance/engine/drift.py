"""Drift watched while events are refined: a few of them are looked at, whatever the traffic."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

import msgspec

from appliance.domain.drift import Drift, Finding, Sighting
from appliance.domain.event import Frame
from appliance.domain.ids import PipelineId
from appliance.domain.partition import ALONE

EVENTS_PER_SEC: Final = 100.0
_MOST_BYTES: Final = 1 << 20  # of an event: a longer one is passed over


class Watcher:
    """What one pipeline's events look like. ``offer`` is called where they are refined, the rest from anywhere."""

    def __init__(self, drift: Drift | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._drift = drift or Drift()
        self._clock = clock
        self._lock = threading.Lock()
        self._allowance, self._asked_at = EVENTS_PER_SEC, clock()
        self.changed = False  # since ``state`` was asked for to be kept

    def offer(self, frames: Sequence[Frame]) -> None:
        """Look at some of the events of ``frames``, as many as the time since the last look allows."""
        now = self._clock()
        self._allowance = min(EVENTS_PER_SEC, self._allowance + (now - self._asked_at) * EVENTS_PER_SEC)
        self._asked_at = now
        if self._allowance < 1 or not frames:
            return
        with self._lock:
            before = self._drift.looked_up_to(frames[0].first_seq)
            for sighting, line in _sampled(frames, int(self._allowance), before):
                self._allowance -= 1
                self._look(sighting, line)

    def _look(self, sighting: Sighting, line: bytes) -> None:
        try:
            event = msgspec.json.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return  # a dead letter says so
        self._drift.observe(event, sighting)
        self.changed = True

    def state(self) -> Drift:
        """Return a copy of what is known at this moment."""
        with self._lock:
            return msgspec.convert(msgspec.to_builtins(self._drift), Drift)

    def take(self) -> Drift:
        """Return ``state``, to be kept: until the next event nothing has changed."""
        self.changed = False
        return self.state()

    def note(self, findings: Iterable[Finding]) -> None:
        """Make findings part of the baseline, which perhaps only other nodes have."""
        with self._lock:
            for finding in findings:
                self._drift.note(finding)
        self.changed = True

    @property
    def findings(self) -> int:
        return len(self._drift.findings)


class Drifts:
    """The watchers of all pipelines of this process; they outlive a pipeline's versions.

    ``partition``: of the events that are watched here; None: none are, other nodes watch.
    """

    def __init__(self) -> None:
        self.partition: int | None = ALONE
        self._watchers: dict[PipelineId, Watcher] = {}

    def offer(self, pipeline_id: PipelineId, frames: Sequence[Frame]) -> None:
        """See ``Watcher.offer``."""
        self.of(pipeline_id).offer(frames)

    def of(self, pipeline_id: PipelineId) -> Watcher:
        """Return the pipeline's watcher; one that was not known begins to learn."""
        return self._watchers.setdefault(pipeline_id, Watcher())

    def restore(self, pipeline_id: PipelineId, drift: Drift) -> None:
        """Go on from what was kept."""
        self._watchers[pipeline_id] = Watcher(drift)

    def forget(self, pipeline_id: PipelineId) -> None:
        self._watchers.pop(pipeline_id, None)

    def findings(self) -> dict[PipelineId, int]:
        """Return how many findings each pipeline has."""
        return {pipeline_id: watcher.findings for pipeline_id, watcher in self.all().items()}

    def all(self) -> dict[PipelineId, Watcher]:
        return dict(self._watchers)


def _sampled(frames: Sequence[Frame], most: int, after_seq: int) -> Iterator[tuple[Sighting, bytes]]:
    """Yield up to ``most`` events above ``after_seq``, from frames spread over ``frames``; costs no copy of them."""
    picked = frames[:: max(1, len(frames) // most)][:most]
    for frame in picked:
        if frame.damaged is None and frame.last_seq > after_seq:
            yield from _first_lines(frame, most // len(picked))


def _first_lines(frame: Frame, most: int) -> Iterator[tuple[Sighting, bytes]]:
    begin = 0
    for seq in range(frame.first_seq, min(frame.last_seq, frame.first_seq + most - 1) + 1):
        end = frame.lines.find(b"\n", begin)
        end = len(frame.lines) if end < 0 else end
        if seq not in frame.withdrawn and end - begin <= _MOST_BYTES:
            yield Sighting(seq, frame.received_us), frame.lines[begin:end]
        begin = end + 1
