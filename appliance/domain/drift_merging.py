"""What several nodes know of one pipeline's events, as one: each watches those that it refines."""

from collections.abc import Iterable, Mapping, Sequence

from msgspec.structs import replace

from appliance.domain.drift import Drift, DriftKind, Finding, Known, fits


def merged(parts: Sequence[Drift]) -> Drift:
    """Return the sum of ``parts``; it is to be looked at, no event is held against it.

    What one of them has found to be new or otherwise, and another one has in its baseline, is no finding.
    """
    known = _united(part.known for part in parts if part.learned) or _united(part.known for part in parts)
    found: dict[str, Finding] = {}
    for one in (finding for part in parts for finding in part.findings.values()):
        if not _expected(one, parts):
            found[one.id] = _together(found[one.id], one) if one.id in found else one
    return Drift(
        events=sum(part.events for part in parts),
        taught=sum(part.taught for part in parts if part.learned) or sum(part.taught for part in parts),
        known=known,
        wide=set().union(*(part.wide for part in parts)),
        findings=found,
    )


def baseline_of(parts: Sequence[Drift]) -> Drift:
    """Return what a node begins with that has seen nothing yet: what the others have learned."""
    learned = [part for part in parts if part.learned]
    together = merged(learned)
    return Drift(taught=together.taught, known=together.known, wide=together.wide)


def _united(baselines: Iterable[Mapping[str, Known]]) -> dict[str, Known]:
    known: dict[str, Known] = {}
    for baseline in baselines:
        for path, one in baseline.items():
            before = known.get(path, Known([]))
            known[path] = Known(sorted({*before.types, *one.types}), before.seen + one.seen)
    return known


def _expected(finding: Finding, parts: Iterable[Drift]) -> bool:
    if finding.kind is DriftKind.VANISHED:
        return False
    baselines = (part.known.get(finding.path) for part in parts if part.learned)
    return any(one is not None and all(fits(kind, one.types) for kind in finding.after) for one in baselines)


def _together(one: Finding, other: Finding) -> Finding:
    first, last = (pick((one, other)) for pick in (_earlier, _later))
    below = {
        path: sorted({*one.below.get(path, ()), *other.below.get(path, ())}) for path in {**one.below, **other.below}
    }
    return replace(
        first,
        after=sorted({*one.after, *other.after}),
        last=last.last,
        count=one.count + other.count,
        since=one.since + other.since,
        below=below,
    )


def _earlier(both: Sequence[Finding]) -> Finding:
    return min(both, key=lambda one: one.first.at_us)


def _later(both: Sequence[Finding]) -> Finding:
    return max(both, key=lambda one: one.last.at_us)
