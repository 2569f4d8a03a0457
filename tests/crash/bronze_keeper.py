"""The process that the fault tests of Bronze's upkeep end in the middle, or whose calls of the system they let fail.

Arguments: directory of a pipeline's log, operation. Prints ``begin`` when the log is open, and then ``done``, or
``refused`` where the disk did not do what was asked. No threads: every call of the system comes in the same order.
"""

import contextlib
import sys
from datetime import timedelta
from pathlib import Path

from appliance.components.bronze import Correction
from appliance.storage.bronze.blockstore import Blockstore
from appliance.storage.bronze.keeper import Keeper
from appliance.storage.bronze.pipeline_log import PipelineLog
from tests.fakes.segments import NOON, Hand, compact_all, open_log, options, packed

SECRET = b"agent-orange-4711"  # what must not be found any more once it was erased
OPERATIONS = ("expire", "erase", "correct", "compact")


def fill(directory: Path) -> None:
    """Make a log of events 1 to 10, two a segment and an hour: three segments compressed, one closed, one open."""
    hand = Hand()
    log = open_log(directory, hand, segment_bytes=1)
    for hour in range(5):
        texts = [b'{"n":%d,"who":"%b"}' % (2 * hour + at, SECRET if hour != 1 else b"nobody") for at in (1, 2)]
        log.commit([packed(*texts, received_at=NOON + timedelta(hours=hour), delivery_id=f"d{hour}")])
        if hour == 3:
            compact_all(log)
    keeper_of(log).correct([Correction(2, b'{"n":2,"who":"%b"}' % SECRET, "a test", "ada", NOON)])
    log.close()


def keeper_of(log: PipelineLog) -> Keeper:
    hand = Hand()
    hand.move(hours=9)
    return Keeper(log, options(hand), Blockstore())


def perform(log: PipelineLog, operation: str) -> None:
    """Do one piece of upkeep; ``erase`` takes events of a compressed and of the open segment."""
    keeper = keeper_of(log)
    match operation:
        case "expire":
            keeper.expire(NOON + timedelta(hours=2), None, 10)
        case "erase":
            keeper.erase([2, 9], "asked for", "ada")
        case "correct":
            keeper.correct(
                [Correction(3, b'{"n":3}', "a test", "ada", NOON), Correction(4, None, "a test", "ada", NOON)]
            )
        case "compact":
            compact_all(log)
        case "careless expire":  # for the control: the files first, then the manifest
            for path in log.directory.glob("0000000000000000000[13].jsonl.zst"):
                path.unlink()
            keeper.expire(NOON + timedelta(hours=2), None, 10)
        case "careless correct":  # for the control: acknowledged whatever the disk says
            with contextlib.suppress(OSError):
                perform(log, "correct")


if __name__ == "__main__":
    opened = open_log(Path(sys.argv[1]), segment_bytes=1)
    print("begin", flush=True)
    try:
        perform(opened, sys.argv[2])
    except OSError as error:
        print("refused", error, flush=True)
    else:
        print("done", flush=True)
