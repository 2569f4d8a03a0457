"""What asking the licence costs before something new is saved, beside making the answer anew and proving a document.

In this process, on a control plane in a file that has as many pipelines as a customer has.
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from appliance.services.allowance import Allowance, proved
from appliance.storage.control.installation import Installation
from appliance.storage.control.plane import ControlPlane
from benchmarks.report import Figure, median, spread
from license.document import Limits
from license.entitlements import Thing
from tests.licensed import RING, issued, today

ROUNDS, CALLS = 9, 5_000
MANY = Limits(organisations=1, users=500, pipelines=500, events_per_day=10_000_000, nodes=4)


def figures() -> Iterator[Figure]:
    with TemporaryDirectory(prefix="dash-bench-") as folder:
        plane = ControlPlane.open(Path(folder) / "control.sqlite3")
        allowance = Allowance(plane, RING)
        allowance.learn(Installation(code="", license=issued(limits=MANY)))
        took = _micros(lambda: allowance.now().entitlements.refusal(Thing.PIPELINES, 499), CALLS)
        yield Figure("licence: may there be one more", median(took), "µs", 20, at_least=False, remark=spread(took))
        day = today()
        took = _micros(lambda: allowance.on(day).entitlements, CALLS)
        yield Figure("  made anew, as once a day", median(took), "µs", remark=spread(took))
        took = _micros(lambda: proved(allowance.held.installation, RING, day), 200)
        yield Figure("  the document proved anew, as at a start", median(took), "µs", remark=spread(took))
        took = _micros(lambda: plane.read_now(lambda tx: allowance.refusal(tx, Thing.PIPELINES)), 200)
        yield Figure("  with what there is counted in a transaction", median(took), "µs", remark=spread(took))
        plane.close()


def _micros(ask: Callable[[], object], calls: int) -> list[float]:
    """Return the microseconds of one call, by round."""
    took = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        for _ in range(calls):
            ask()
        took.append((time.perf_counter() - began) / calls * 1e6)
    return took
