"""Figures as every benchmark gives them, and how they are printed and kept."""

import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

ARTEFACTS = Path("artefacts/benchmarks.json")


@dataclass(frozen=True)
class Figure:
    """One measured claim. ``target``: what it is held against, with ``at_least`` saying in which direction."""

    name: str
    value: float
    unit: str
    target: float | None = None
    at_least: bool = True
    remark: str = ""

    @property
    def met(self) -> bool | None:
        if self.target is None:
            return None
        return self.value >= self.target if self.at_least else self.value <= self.target

    def __str__(self) -> str:
        sign = {True: "ok  ", False: "MISS", None: "    "}[self.met]
        wanted = f"  ({'≥' if self.at_least else '≤'} {self.target:g})" if self.target is not None else ""
        return f"{sign} {self.name:<58} {self.value:>12,.4g} {self.unit}{wanted}  {self.remark}"


def spread(values: Sequence[float]) -> str:
    """Return the range of several rounds, beside which the median is given."""
    return f"{min(values):,.4g} … {max(values):,.4g} in {len(values)} rounds"


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def p95(values: Sequence[float]) -> float:
    return sorted(values)[max(0, round(len(values) * 0.95) - 1)]


def keep(figures: list[Figure], machine: dict[str, str]) -> None:
    """Write all figures for whoever compares runs."""
    ARTEFACTS.parent.mkdir(exist_ok=True)
    ARTEFACTS.write_text(json.dumps({"machine": machine, "figures": [asdict(one) for one in figures]}, indent=1))
