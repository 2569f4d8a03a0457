"""What the API, Prometheus and /readyz say of an archive."""

import asyncio
import subprocess
from functools import partial
from pathlib import Path

import msgspec
import pytest

from appliance.components.source import InboundRequest
from appliance.compose import opened
from appliance.domain.access import Role
from appliance.domain.clock import utc_now
from appliance.domain.disk import DiskState
from appliance.domain.ids import PipelineId
from appliance.engine.letter_watch import LetterWatch
from appliance.observe.metrics import Metrics
from appliance.services.views import SetupRequest
from appliance.serving import start_archiving
from appliance.settings import Archive, Settings
from appliance.settings.sections import Bronze, Server
from appliance.vitals import EngineNumbers, Stores, Vitals
from tests.programs import promtool
from tests.scenarios.conftest import ADMIN, BOILERS, PASSWORD, until

BODY = b'{"device": "b1", "temp_c": 20}'


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "archive").mkdir()
    archive = Archive(url=f"file://{tmp_path / 'archive'}", name="here")
    return Settings(server=Server(data_dir=tmp_path / "data"), archive=archive, bronze=Bronze(segment_size=1 << 20))


async def test_what_is_archived_is_told_and_goes_when_the_disk_is_nearly_full(settings: Settings) -> None:
    async with opened(settings) as it:
        await it.engine.start([])
        request = SetupRequest(admin_email=ADMIN, admin_password=PASSWORD, organisation="Works", token=True)
        who = (await it.services.setup.run(request)).principal
        pipeline_id = PipelineId((await it.services.pipelines.create(who, BOILERS)).pipeline.id)
        metrics = Metrics("1.0", it.settings.server.data_dir, EngineNumbers(it.engine, LetterWatch(it.engine)))
        archive = it.bronze.archive
        assert archive is not None
        start_archiving(it, metrics)
        for _ in range(13):  # of 100 kB: eleven fill a segment
            body = BODY[:-1] + b', "pad": "%b"}' % (b"x" * 100_000)
            await it.engine.receiver.post(
                pipeline_id, InboundRequest({"content-type": "application/json"}, body, "192.0.2.7", utc_now())
            )
        await until(lambda: archive.latest.archived_segments == 1 and archive.latest.pending_events == 2)
        view = await it.services.storage.overview(who)
        assert view.archive is not None
        assert (view.archive.name, view.archive.archived_segments, view.archive.pending_events) == ("here", 1, 2)
        assert view.archive.local_bytes == view.archive.archived_bytes > 0
        viewer = msgspec.structs.replace(who, role=Role.VIEWER)
        assert (await it.services.storage.overview(viewer)).archive is None
        stores = Stores(it.bronze.health, it.bronze.damaged, it.silvers.incidents, lambda: archive.latest)
        ready, told = Vitals(it.engine, it.disk, stores).checks()["archive"]
        assert (ready, told.startswith("what has closed is archived; not yet archived: 2 events, the oldest")) == (
            True, True,
        )  # fmt: skip
        text = metrics.render()
        judge = partial(subprocess.run, [promtool(), "check", "metrics"], input=text, capture_output=True, check=False)
        judged = await asyncio.to_thread(judge)
        assert judged.returncode == 0, judged.stderr
        found = dict(line.rsplit(" ", 1) for line in text.decode().splitlines() if line.startswith("dash_archive"))
        assert (found["dash_archive_up"], found["dash_archive_pending_events"]) == ("1.0", "2.0")
        it.disk.state = DiskState.SLOW
        for hear in it.disk.changed:
            hear(DiskState.SLOW)
        await until(lambda: archive.latest.local_bytes == 0)
        assert await asyncio.to_thread(it.bronze.event, pipeline_id, 1)
