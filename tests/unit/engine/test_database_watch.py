"""A database that goes and comes back is noticed once each time, and the state is told."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from structlog.testing import capture_logs

from appliance.engine.database_watch import DatabaseWatch
from appliance.engine.workers import Workers
from appliance.errors import TransientError

pytestmark = pytest.mark.usefixtures("all_is_logged")

AT = datetime(2026, 11, 28, 13, 0, tzinfo=UTC)


class Database:
    answers = True

    def __call__(self) -> None:
        if not self.answers:
            raise TransientError("connection refused")


@pytest.fixture
def workers() -> Iterator[Workers]:
    workers = Workers()
    yield workers
    workers.close()


async def test_told_once_when_it_goes_and_once_when_it_is_back(workers: Workers) -> None:
    database = Database()
    watch = DatabaseWatch(database, workers, lambda: AT)
    with capture_logs() as logs:
        await watch.look()
        assert watch.told() == (True, "the database answers")
        database.answers = False
        await watch.look()
        await watch.look()
        ready, told = watch.told()
        assert not ready
        assert told.startswith("the database has not answered since 2026-11-28 13:00:00 UTC: events are received")
        database.answers = True
        await watch.look()
        await watch.look()
    assert [entry["event"] for entry in logs] == ["database.lost", "database.back"]
    assert logs[0]["reason"] == "connection refused"
    assert (watch.told()[0], watch.since) == (True, None)
