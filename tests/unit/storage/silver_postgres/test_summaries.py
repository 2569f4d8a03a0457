"""Ranges of blocks are summed up beside the commits: when many rows are new, one at a time, and not after the end."""

import threading
from collections.abc import Callable
from typing import Any, cast

from appliance.components.silver import Table
from appliance.domain.ids import PipelineId
from appliance.errors import TransientError
from appliance.storage.silver_postgres.database import Database
from appliance.storage.silver_postgres.summaries import Summaries
from tests.running import until

TABLE = Table(PipelineId("pl_a"), ())


class Slow:
    """A database in which summing up takes until somebody says so, and then fails."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.go = threading.Event()

    def run(self, doing: str, work: Callable[[Any], None]) -> None:
        self.asked.append(doing)
        assert work is not None
        self.go.wait(10)
        raise TransientError("a vacuum is under way")


def test_who_commits_does_not_wait_and_what_is_due_meanwhile_is_due_again_afterwards() -> None:
    slow = Slow()
    summaries = Summaries(cast("Database", slow))
    for _ in range(5):
        summaries.stored(TABLE, 60_000)  # the second makes it due; the others come while it is under way
    until(lambda: slow.asked == ["summing up pl_a"])
    slow.go.set()
    until(lambda: summaries.stored(TABLE, 1) is None and len(slow.asked) == 2)
    summaries.close()
    summaries.stored(TABLE, 200_000)
    assert len(slow.asked) == 2
    summaries.close()
