"""Do one step to a row store and die before a statement of it: ``silver_steps FILE STEP NUMBER``; 0: after the last.

Prints how many statements there were, if it lives to.
"""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import msgspec

from appliance.components.silver import Table
from appliance.domain.mapping import FieldType
from appliance.storage.silver_duckdb.store import DuckDbSilver
from tests.silver_batches import FILTERED, batch, dead, row, table

LIVE = table("pl_crash")
WIDER = table("pl_crash", device=FieldType.STRING, n=FieldType.FLOAT)
SHADOW = msgspec.structs.replace(WIDER, generation=2)
STEPS: dict[str, Callable[[DuckDbSilver], object]] = {
    "begin": lambda store: store.generations.begin(WIDER, 6),
    "commit": lambda store: store.commit(batch(SHADOW, 21, [row(device="late", n=0.5), dead()])),
    "swap": lambda store: store.generations.swap(LIVE.pipeline_id, 2),
    "splice": lambda store: store.generations.splice(LIVE, 2, 4, 12),
    "discard": lambda store: store.generations.discard(LIVE.pipeline_id, 2),
    "widen": lambda store: store.prepare(WIDER),
}
TWO_STEPS = "two steps"  # for the control: between them the store is neither as before nor as after


def prepare(path: Path) -> None:
    """Make what every step begins with: 20 events, live and in generation 2, and close it."""
    store = DuckDbSilver(path)
    events = [FILTERED if n % 5 == 0 else dead() if n % 7 == 0 else row(device="live", n=n) for n in range(1, 21)]
    store.commit(batch(LIVE, 1, events))
    shadow: Table = store.generations.begin(LIVE)
    store.commit(batch(shadow, 1, [row(device="shadow", n=n) for n in range(1, 21)], version=2))
    store.close()


class Mortal:
    """A connection whose process dies before a statement; cursors of it count together."""

    done = 0
    fatal = 0

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def cursor(self) -> "Mortal":
        return Mortal(self._connection.cursor())

    def execute(self, *args: Any) -> Any:
        Mortal.done += 1
        if Mortal.done == Mortal.fatal:
            os.kill(os.getpid(), signal.SIGKILL)
        return self._connection.execute(*args)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


def main() -> None:
    path, step, fatal = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    connect = duckdb.connect
    duckdb.connect = lambda *args, **kwargs: Mortal(connect(*args, **kwargs))  # type: ignore[assignment]
    store = DuckDbSilver(path)
    Mortal.done, Mortal.fatal = 0, fatal
    if step == TWO_STEPS:
        STEPS["widen"](store)
        STEPS["swap"](store)
    else:
        STEPS[step](store)
    print(Mortal.done, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()
