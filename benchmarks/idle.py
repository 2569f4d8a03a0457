"""What the appliance costs while nothing happens: time to ready, memory, CPU."""

import time
from collections.abc import Iterator

from benchmarks.report import Figure, median
from benchmarks.running import appliance, cpu_secs, resident_mib

STARTS, LOOK_SECS = 3, 20


def figures() -> Iterator[Figure]:
    with appliance(sample=True) as one:
        starts = []
        for _ in range(STARTS):
            one.stop()
            one.start()
            starts.append(one.start_secs)
        time.sleep(5)  # what start-up leaves behind is not idling
        before = cpu_secs(one)
        time.sleep(LOOK_SECS)
        share = (cpu_secs(one) - before) / LOOK_SECS * 100
        memory = resident_mib(one)
    yield Figure("start to ready from the checkout, warm", median(starts), "s", 2.5, at_least=False)
    yield Figure("idle memory, with this host's metrics each second", memory, "MiB", 180, at_least=False)
    yield Figure("idle CPU, with this host's metrics each second", share, "% of a core", 2, at_least=False)
