"""The appliance that a benchmark measures: set up in an empty directory, thrown away afterwards."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from tests.running import CHECKOUT, RunningAppliance


@contextmanager
def appliance(
    *, sample: bool = False, program: tuple[str, ...] = CHECKOUT, environment: Mapping[str, str] | None = None
) -> Iterator[RunningAppliance]:
    """Yield a running appliance; stop it with SIGTERM at the end."""
    with TemporaryDirectory(prefix="dash-bench-") as folder:
        one = RunningAppliance(Path(folder), program=program, environment=environment)
        one.setup(sample=sample)
        one.start()
        try:
            yield one
        finally:
            one.stop()


def resident_mib(one: RunningAppliance) -> float:
    return psutil.Process(one.pid).memory_info().rss / (1 << 20)


def cpu_secs(one: RunningAppliance) -> float:
    times = psutil.Process(one.pid).cpu_times()
    return times.user + times.system
