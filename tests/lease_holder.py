"""A process that wants one lease and writes, under its fence, as fast as it can: killed and paused by tests."""

import asyncio
import sys
from datetime import timedelta

from sqlalchemy import text

from appliance.domain.ids import NodeId
from appliance.domain.node import Card, Load
from appliance.engine.bells import Bell
from appliance.engine.heart import Heart
from appliance.engine.leases import LeaseKeeper
from appliance.engine.workers import Workers
from appliance.errors import TransientError
from appliance.storage.control.leases import Leases, fence
from appliance.storage.control.nodes import Nodes
from appliance.storage.control.plane import ControlPlane

NAME = "poll:1"


async def live(url: str, who: str) -> None:
    plane, workers = ControlPlane.open(url), Workers({"control": 4})
    card = Card(
        id=NodeId(f"node_{who}"), life=who, name=who, role="ingestor", address="http://x", version="1",
        offers=("poll",), every_secs=3.0,
    )  # fmt: skip

    async def changed(_name: str, _held: bool) -> None:
        return

    store = Leases(plane, card.id, who, settled_after=timedelta(0))
    keeper = LeaseKeeper(store, who, workers, lambda: [NAME], changed)
    heart = Heart(Nodes(plane), card, Load, workers, Bell())
    tasks = {asyncio.create_task(heart.run()), asyncio.create_task(keeper.run())}
    while True:
        await asyncio.sleep(0.02)
        lease = keeper.lease(NAME)
        if lease is not None:
            try:
                await workers.run("control", write, plane, who, lease)
            except TransientError:
                continue
        assert not any(task.done() for task in tasks)


def write(plane: ControlPlane, who: str, lease: object) -> None:
    def work(tx: object) -> None:
        fence(tx, lease, who)  # type: ignore[arg-type]
        tx.execute(
            text("INSERT INTO public.work (who, epoch) VALUES (:who, :epoch)"), {"who": who, "epoch": lease.epoch}
        )  # type: ignore[attr-defined]

    plane.write_now(work, alone=False)


if __name__ == "__main__":
    asyncio.run(live(sys.argv[1], sys.argv[2]))
