"""A process that does a recurring job and writes down each time that it did: several run beside one another."""

import asyncio
import sys
from datetime import timedelta

from sqlalchemy import text
from sqlalchemy.orm import Session

from appliance.domain.clock import utc_now
from appliance.domain.ids import NodeId
from appliance.domain.schedule import Every
from appliance.engine.attempt import Attempt
from appliance.engine.jobs import JobRunner, Recurring, Station
from appliance.engine.workers import Workers
from appliance.storage.control.jobs import Jobs
from appliance.storage.control.plane import ControlPlane

PACE = timedelta(seconds=1)


async def live(url: str, who: str) -> None:
    plane, workers, station = ControlPlane.open(url), Workers({"control": 2, "job": 1}), Station(node_id=NodeId(who))

    def fire(_: Attempt) -> None:
        def work(tx: Session) -> None:
            tx.execute(text("INSERT INTO public.fired (who) VALUES (:who)"), {"who": who})

        plane.write_now(work, alone=False)

    runner = JobRunner(Jobs(plane), [Recurring("test.tick", Every(PACE), fire)], workers, utc_now, station)
    task = asyncio.create_task(runner.run())
    while not task.done():
        await asyncio.sleep(0.1)
        station.bell.set()
    await task


if __name__ == "__main__":
    asyncio.run(live(sys.argv[1], sys.argv[2]))
