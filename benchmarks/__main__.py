"""Runs benchmarks by name, or all of them, prints every figure and keeps them in ``artefacts/benchmarks.json``."""

import importlib
import sys

from benchmarks import machine
from benchmarks.report import Figure, keep

ALL = (
    "receive",
    "many",
    "beside",
    "sustained",
    "latency",
    "browser",
    "under_load",
    "preview",
    "replay",
    "gold",
    "postgres_queries",
    "postgresql",
    "postgres_ingest",
    "two_ingestors",
    "deliveries",
    "timescale",
    "moving",
    "idle",
    "chain",
    "lineage",
    "license_check",
    "startup",
    "archive",
    "backup",
)


def main(names: list[str]) -> int:
    unknown = [name for name in names if name not in ALL]
    if unknown:
        print(f"no benchmark {', '.join(unknown)}: choose from {', '.join(ALL)}", file=sys.stderr)
        return 2
    described = machine.describe()
    print("; ".join(f"{name} {value}" for name, value in described.items()), flush=True)
    figures: list[Figure] = []
    for name in names or ALL:
        for figure in importlib.import_module(f"benchmarks.{name}").figures():
            figures.append(figure)
            print(figure, flush=True)
    keep(figures, described)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
