"""A row store on which one piece of upkeep is done, in a process of its own, for test_silver_upkeep_disturbed."""

import os
import sys
from datetime import timedelta
from pathlib import Path

from appliance.components.feed import FeedPlace
from appliance.components.letters import LetterFilter
from appliance.components.silver import RecordQuery
from appliance.domain.rollup import Rollup, RollupMeasure
from appliance.errors import DashError
from appliance.storage.silver_duckdb import set_aside
from appliance.storage.silver_duckdb.store import DuckDbSilver
from tests.silver_batches import FILTERED, START, Event, amendment, batch, dead, row, table

EVENTS = 3000
MARK = "/nonexistent/begin"  # removing it fails, and stands in the trace where the operation begins
OF = table("pl_kept", keyed=True)
OF = type(OF)(
    OF.pipeline_id,
    OF.columns,
    keyed=True,
    rollups=(Rollup(name="m", bucket="10m", measures=[RollupMeasure("count"), RollupMeasure("sum", "n")]),),
)
ELSE = table("pl_removed")


def opened(folder: Path) -> DuckDbSilver:
    return DuckDbSilver(folder / "org_1.duckdb", threads=1)  # one thread: the same calls in every run


def fill(folder: Path) -> None:
    """Make a store with stored, filtered, duplicate, dead, amended, erased and trimmed events, and free blocks."""
    folder.mkdir()
    store = opened(folder)
    for first in (1, EVENTS + 1):
        store.commit(batch(OF, first, [_event(seq) for seq in range(first, first + EVENTS)]))
    store.commit(batch(ELSE, 1, [row(device=os.urandom(64).hex(), n=n) for n in range(20_000)]))
    store.letters.amend(amendment(OF, {seq: row(_key=f"again {seq}", n=seq) for seq in range(10, 500, 10)}))
    store.upkeep.erase(OF, [31, 41, 50, 60])
    store.upkeep.trim(OF, START + timedelta(seconds=200))
    store.close()
    store = opened(folder)  # its blocks are in the file now; dropping them leaves holes
    store.commit(batch(OF, 2 * EVENTS + 1, [row(_key="last", n=1)]))
    store.drop(ELSE.pipeline_id)
    store.close()


def _event(seq: int) -> Event:
    return dead() if seq % 10 == 0 else FILTERED if seq % 7 == 0 else row(_key=str(seq % 4000), n=seq, device="x" * 40)


def perform(store: DuckDbSilver, operation: str) -> None:
    match operation:
        case "compact" | "careless compact":
            store.upkeep.compact()
        case "amend":
            chosen = range(1000, 2000, 10)
            store.letters.amend(amendment(OF, {seq: _amended(seq) for seq in chosen}))
        case "erase":
            store.upkeep.erase(OF, [*range(900, 1100), 5000])
        case "trim":
            store.upkeep.trim(OF, START + timedelta(seconds=2500))


def _amended(seq: int) -> Event:
    return row(_key=str(seq + 1), n=-seq) if seq % 20 else dead("range")


def state(folder: Path) -> dict[str, object]:
    """Return everything the store answers about its rows, its ledger and its readers."""
    store = opened(folder)
    rows, place = store.feed.read(OF, FeedPlace(EVENTS), 1_000_000)
    answered: dict[str, object] = {
        "rows": store.generations.checksum(OF),
        "count": store.records(OF, RecordQuery(limit=1_000_000)).num_rows,
        "progress": store.progress(OF.pipeline_id),
        "recount": store.recount(OF),
        "spans": store.generations.spans(OF.pipeline_id),
        "dead": store.letters.seqs(OF.pipeline_id, LetterFilter(), 0, 10_000),
        "feed": (sorted(rows.column("n").to_pylist()), place.seq),
        "else": store.progress(ELSE.pipeline_id),
    }
    assert store.recount(OF) == store.progress(OF.pipeline_id).outcome
    store.close()
    return answered


def _careless(path: Path) -> None:
    """Remove the old file first: between the two calls there is none."""
    path.unlink()
    os.rename(set_aside.rewritten(path), path)


def main() -> None:
    folder, operation = Path(sys.argv[1]), sys.argv[2]
    if operation == "careless compact":
        set_aside.put_in_place = _careless
    store = opened(folder)
    try:
        os.unlink(MARK)
    except FileNotFoundError:
        print("begin", flush=True)
    try:
        perform(store, operation)
    except DashError as error:
        print(f"refused: {error}", flush=True)
        print(f"alive: {store.records(OF, RecordQuery(limit=10)).num_rows}", flush=True)
    else:
        print("done", flush=True)
    os._exit(0)  # whatever closing would write is another story


if __name__ == "__main__":
    main()
