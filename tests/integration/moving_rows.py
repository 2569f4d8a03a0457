"""An appliance with rows, for tests that move it; run as a program it moves one and dies on the way."""

import os
import signal
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from appliance import compose, moving
from appliance.components.silver import SilverStore, Table
from appliance.compose import opened
from appliance.domain.database.dsn import Dsn
from appliance.domain.event import Delivery, Envelope
from appliance.domain.ids import PipelineId
from appliance.domain.mapping import FieldType
from appliance.moving import Order, Step
from appliance.placing import CONTROL_FILE, access_to
from appliance.services.views import SetupRequest
from appliance.settings import Bronze, Database, Server, Settings
from tests.silver_batches import FILTERED, batch, dead, row, table

REQUEST = SetupRequest(admin_email="ada@example.org", admin_password="correct horse battery", organisation="Example")
NAMES = ("one", "two", "three")


def settings(data_dir: Path, url: str | None = None) -> Settings:
    return Settings(
        server=Server(data_dir=data_dir),
        database=Database(url=None if url is None else Dsn.parse(url)),
        bronze=Bronze(segment_size=4096, segment_age=timedelta(hours=1)),
    )


def hook(name: str) -> dict[str, Any]:
    fields = [{"name": "n", "path": "$.n", "type": "integer"}, {"name": "device", "path": "$.d", "type": "string"}]
    return {"name": name, "source": {"type": "webhook"}, "mapping": {"fields": fields}}


def rows_of(name: str) -> Table:
    return table(name, n=FieldType.INTEGER, device=FieldType.STRING)


async def filled(where: Settings, events: int = 40) -> list[PipelineId]:
    """Set up an appliance whose pipelines have events in Bronze and rows of all of them in Silver."""
    async with opened(where) as it:
        who = (await it.services.setup.run(REQUEST)).principal
        ids = [(await it.services.pipelines.create(who, hook(name))).pipeline.id for name in NAMES]
        silver = it.silvers.of(who.organisation_id)
        for pipeline_id in ids:
            await it.engine.stop_pipeline(pipeline_id)  # what it refines is said here
            for first in range(1, events + 1, 4):
                body = [b'{"n":%d,"pad":"%s"}' % (seq, b"x" * 500) for seq in range(first, first + 4)]
                envelope = Envelope(
                    received_at=datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=first),
                    delivery_id=f"d{first}",
                    source="webhook",
                )
                await it.bronze.append(pipeline_id, Delivery(envelope, body))
                became = [row(n=first, device="a"), row(n=first + 1), dead(), FILTERED]
                silver.commit(batch(rows_of(pipeline_id), first, became))
        return ids


async def store_of(it: compose.Appliance) -> SilverStore:
    (pipeline, *_) = await it.services.pipelines.stored()
    return it.silvers.of(pipeline.organisation_id)


def order(where: Settings, to: str, **more: Any) -> Order:
    """Return the order to move; ``to``: a DSN, or ``embedded``."""
    file = where.server.data_dir / CONTROL_FILE
    if to == "embedded":
        assert where.database.url is not None
        return compose.order(where, access_to(where.database.url, where), file, **more)
    return compose.order(where, file, access_to(Dsn.parse(to), where), **more)


def silent(*_: Any) -> None:
    """Nobody watches."""


def dying(at: int, how: Any) -> Any:
    """Return what is told of steps, and calls ``how`` at one of them."""
    steps: list[Step] = []

    def told(step: Step) -> None:
        steps.append(step)
        if len(steps) == at:
            how()

    return told


def main() -> None:
    """Move the appliance in the directory of the first argument, and die by SIGKILL at the step of the last."""
    data_dir, url, to, at = sys.argv[1:]
    where = settings(Path(data_dir), url or None)
    moving.carry_out(order(where, to), dying(int(at), lambda: os.kill(os.getpid(), signal.SIGKILL)), silent)


if __name__ == "__main__":
    main()
