"""What a pipeline's events look like, and how they differ from what they looked like: pure, over sampled events.

The first events teach a baseline: which paths there are, of which JSON types, in how many events. Later events are
held against it; what differs is a finding, until somebody acknowledges it and it becomes part of the baseline.
"""

import math
from collections.abc import Iterable
from enum import Enum
from typing import Any, Final

import msgspec

from appliance.domain.partition import partition_of
from appliance.domain.places import ancestors, is_below, parent_of, places

LEARNING: Final = 1_000  # events
MOST_FINDINGS: Final = 200
MOST_MEMBERS: Final = 64  # of one object: beyond it, if each is rare, its keys are data
_CROWDED: Final = 0.25
_RARE: Final = 0.02  # of the events: a path as rare as this is not missed
_SURE: Final = 14.0  # -ln of the chance (1 in a million) that a path is absent so often without having vanished
_LEAST_ABSENT: Final = 50  # events


class DriftKind(Enum):
    NEW_FIELD = "new_field"
    TYPE_CHANGED = "type_changed"
    VANISHED = "vanished"


class Known(msgspec.Struct):
    """A path of the baseline: its types, and in how many of the events that taught it it was (None: not counted)."""

    types: list[str]
    seen: int = 0


class Sighting(msgspec.Struct, frozen=True):
    """An event that was looked at."""

    seq: int
    at_us: int


class Finding(msgspec.Struct, kw_only=True):
    """One difference. ``count``: events looked at that have it; ``since``: events looked at from the first of them on.

    ``before`` and ``after``: JSON types. ``below``: what stands under a new path, so that it is not told separately.
    """

    kind: DriftKind
    path: str
    before: list[str]
    after: list[str]
    first: Sighting
    last: Sighting
    example_seq: int
    count: int = 1
    since: int = 1
    below: dict[str, list[str]] = {}

    @property
    def id(self) -> str:
        return f"{self.kind.value}:{self.path}"


class Absence(msgspec.Struct):
    """A path of the baseline that the latest events did not have."""

    first: Sighting
    count: int


class Drift(msgspec.Struct, kw_only=True):
    """All that is known of one pipeline's events. Not for two threads at once."""

    events: int = 0  # looked at
    last_seq: int = 0
    taught: int = 0  # events that taught the baseline
    known: dict[str, Known] = {}
    wide: set[str] = set()  # objects whose keys are data
    findings: dict[str, Finding] = {}
    absent: dict[str, Absence] = {}

    @property
    def learned(self) -> bool:
        return self.taught >= LEARNING

    def looked_up_to(self, seq: int) -> int:
        """Return the last event that was looked at in the partition of ``seq``; 0: none, or another one's was."""
        return self.last_seq if partition_of(self.last_seq) == partition_of(seq) else 0

    def observe(self, event: Any, sighting: Sighting) -> None:
        """Look at one decoded event; those up to ``last_seq`` were looked at before."""
        if sighting.seq <= self.looked_up_to(sighting.seq):
            return
        self.last_seq, self.events = sighting.seq, self.events + 1
        found = places(event, self.wide)
        if not self.learned:
            self._learn(found)
            return
        for finding in self.findings.values():
            finding.since += 1
        for path, types in found.items():
            self._hold(path, types, sighting)
        self._miss(found, sighting)

    def note(self, finding: Finding) -> None:
        """Make a finding part of the baseline; it may be another node's, of the same pipeline.

        What has vanished there and not here stays expected here.
        """
        own = self.findings.pop(finding.id, None)
        if finding.kind is DriftKind.VANISHED:
            if own is not None:
                self._give_up(finding.path)
            return
        for one in (finding, own or finding):
            share = one.count / max(1, one.since)
            for path, types in {one.path: one.after, **one.below}.items():
                known = self.known.setdefault(path, Known([], round(share * self.taught)))
                known.types = sorted({*known.types, *types})

    def _give_up(self, gone: str) -> None:
        for path in [path for path in self.known if path == gone or is_below(path, gone)]:
            del self.known[path]
            self.absent.pop(path, None)

    def _learn(self, found: dict[str, set[str]]) -> None:
        self.taught += 1
        for path, types in found.items():
            known = self.known.setdefault(path, Known([]))
            known.types = sorted({*known.types, *types})
            known.seen += 1
        self._widen(_crowded((path, known.seen, self.known[parent_of(path)].seen) for path, known in self._inner()))

    def _hold(self, path: str, types: set[str], sighting: Sighting) -> None:
        known = self.known.get(path)
        if known is None:
            self._note_new(path, types, sighting)
            return
        strange = {kind for kind in types if not fits(kind, known.types)}
        if strange:
            self._note(DriftKind.TYPE_CHANGED, path, known.types, strange, sighting)

    def _note_new(self, path: str, types: set[str], sighting: Sighting) -> None:
        for ancestor in ancestors(path):
            above = self.findings.get(f"{DriftKind.NEW_FIELD.value}:{ancestor}")
            if above is not None:
                above.below[path] = sorted({*above.below.get(path, ()), *types})
                return
        self._note(DriftKind.NEW_FIELD, path, [], types, sighting)
        new = [one for one in self.findings.values() if one.kind is DriftKind.NEW_FIELD]
        most = max(one.since for one in new)
        self._widen(_crowded((one.path, one.count, most) for one in new))

    def _inner(self) -> list[tuple[str, Known]]:
        return [(path, known) for path, known in self.known.items() if parent_of(path)]

    def _note(
        self, kind: DriftKind, path: str, before: list[str], after: set[str], sighting: Sighting
    ) -> Finding | None:
        finding = self.findings.get(f"{kind.value}:{path}")
        if finding is not None:
            finding.count, finding.last = finding.count + 1, sighting
            finding.after = sorted({*finding.after, *after})
        elif len(self.findings) < MOST_FINDINGS:
            finding = Finding(
                kind=kind,
                path=path,
                before=before,
                after=sorted(after),
                first=sighting,
                last=sighting,
                example_seq=sighting.seq,
            )
            self.findings[finding.id] = finding
        return finding

    def _miss(self, found: dict[str, set[str]], sighting: Sighting) -> None:
        for path, known in self.known.items():
            if path in found:
                self.absent.pop(path, None)
            elif known.seen > _RARE * self.taught and parent_of(path) in found:  # else its parent is told
                self._absent(path, known, sighting)

    def _absent(self, path: str, known: Known, sighting: Sighting) -> None:
        absence = self.absent.get(path)
        if absence is None:
            self.absent[path] = Absence(sighting, 1)
            return
        absence.count += 1
        if absence.count < max(_LEAST_ABSENT, math.ceil(_SURE * self.taught / known.seen)):
            return
        finding = self._note(DriftKind.VANISHED, path, known.types, set(), sighting)
        if finding is not None and finding.count == 1:
            finding.first, finding.example_seq = absence.first, absence.first.seq
            finding.count = finding.since = absence.count

    def _widen(self, crowded: list[str]) -> None:
        """Forget the members of these objects one by one: their keys are data."""
        for parent in crowded:
            self.wide.add(parent)
            for path in [path for path in self.known if is_below(path, parent)]:
                known, place = self.known.pop(path), _below_any(path, parent)
                same = self.known.setdefault(place, Known([]))
                same.types, same.seen = sorted({*same.types, *known.types}), max(same.seen, known.seen)
                self.absent.pop(path, None)
            for finding in [one for one in self.findings.values() if is_below(one.path, parent)]:
                del self.findings[finding.id]


def _crowded(members: Iterable[tuple[str, int, int]]) -> list[str]:
    """Return the objects with many members of which each is rare: path, events with it, events with its parent."""
    found: dict[str, list[float]] = {}
    for path, seen, of in members:
        if not path.endswith(("[*]", ".*")):
            found.setdefault(parent_of(path), []).append(seen / max(1, of))
    return [
        parent
        for parent, shares in found.items()
        if len(shares) > MOST_MEMBERS and sum(shares) < _CROWDED * len(shares)
    ]


def _below_any(path: str, parent: str) -> str:
    """Return ``path`` with the member of ``parent`` that it leads through written as any member."""
    member = next(one for one in (path, *ancestors(path)) if parent_of(one) == parent)
    return f"{parent}.*{path[len(member) :]}"


def fits(kind: str, known: list[str]) -> bool:
    """Return whether a value of this type is expected where values of ``known`` types are."""
    return kind in known or (kind == "integer" and "number" in known)
