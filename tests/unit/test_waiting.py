"""A start that has to wait: who is let in meanwhile, and how the port goes over to the whole appliance."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from appliance import catalog
from appliance.cluster import outward
from appliance.components.resources import Resources
from appliance.components.source import PullSource, PushSource
from appliance.domain.clock import utc_now
from appliance.domain.database.dsn import Dsn
from appliance.domain.disk import Marks
from appliance.domain.ids import OrganisationId, PipelineId
from appliance.domain.partition import Partition
from appliance.domain.pipeline import Pipeline, PipelineDocument, State
from appliance.engine.disk_guard import DiskGuard
from appliance.errors import TransientError
from appliance.observe.service_manager import ServiceManager
from appliance.settings import Settings
from appliance.settings.sections import Database, Server
from appliance.storage.bronze import FileBronzeLog
from appliance.storage.control.last_known import LastKnown, keep
from appliance.storage.control.vault import Vault
from appliance.waiting import Means, Start
from tests.running import free_port, standard_headers

ID = PipelineId("pl_" + "1" * 26)
SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()
PIPELINE = Pipeline(
    id=ID,
    organisation_id=OrganisationId("org_1"),
    version=1,
    state=State.RUNNING,
    document=PipelineDocument(name="numbers", source={"type": "webhook"}),
    secrets=(SECRET,),
)


class Runs:
    """An engine that runs the pipeline; ``arrived``: what it was told of."""

    def __init__(self) -> None:
        self.arrived_events: list[int] = []

    def runs_here(self, pipeline_id: PipelineId) -> bool:
        return pipeline_id == ID

    def run_of(self, _: PipelineId) -> "Runs":
        return self

    def arrived(self, _: Any, events: int) -> None:
        self.arrived_events.append(events)


class Node:
    """Its database answers once ``answers`` is set."""

    def __init__(self, folder: Path) -> None:
        self.settings = Settings(
            server=Server(port=free_port(), data_dir=folder), database=Database(url=Dsn.parse("postgresql://db/dash"))
        )
        self.folder, self.engine, self.answers = folder, Runs(), asyncio.Event()
        self.logs: list[FileBronzeLog | None] = []
        self.ready_at: list[str] = []

    def start(self) -> Start[FileBronzeLog]:
        marks = Marks(warn=0.8, slow=0.9, stop=0.95, stop_free_bytes=1)
        means = Means(
            opened=self._opened,
            log=lambda: FileBronzeLog(self.folder / "bronze"),
            outward=outward,
            disk=lambda: DiskGuard(self.folder, marks, 0),
            source_of=_source,
            order=_nothing_ordered,
        )
        return Start(self.settings, ServiceManager(None), self.ready_at.append, means)

    @asynccontextmanager
    async def _opened(self, _: Settings, log: FileBronzeLog | None) -> AsyncIterator[Any]:
        self.logs.append(log)
        if not self.answers.is_set():
            raise TransientError("the database cannot be used now: nobody listens on db port 5432")
        yield SimpleNamespace(engine=self.engine)

    async def post(self, number: int) -> httpx.Response:
        body = json.dumps({"n": number}).encode()
        headers = standard_headers(SECRET, f"msg_{number}", body)
        async with httpx.AsyncClient(trust_env=False) as client:
            return await client.post(f"{self.ready_at[0]}/in/{ID}", content=body, headers=headers)


def _nothing_ordered(*_: Any) -> Any:
    raise AssertionError("nobody has ordered a move")


def _source(pipeline: Pipeline) -> PushSource | PullSource:
    nothing: Any = None
    return catalog.make_source(
        pipeline.document.source,
        Resources(pipeline_id=pipeline.id, outbound=nothing, clock=utc_now, log=nothing, secrets=pipeline.secrets),
    )


@pytest.fixture
def node(tmp_path: Path) -> Node:
    known = LastKnown(database="postgresql://db/dash dash", partition=Partition(1), pipelines=[PIPELINE], refined={})
    keep(tmp_path, Vault.open(tmp_path), known)
    return Node(tmp_path)


async def test_what_comes_in_before_the_rooms_change_is_refined(node: Node) -> None:
    async with AsyncExitStack() as stack:
        start = node.start()
        whole = asyncio.create_task(start.whole(stack))
        async with asyncio.timeout(20):
            while not node.ready_at:  # noqa: ASYNC110 - the port has to open
                await asyncio.sleep(0.01)
        first = await node.post(1)
        assert (first.status_code, first.json()["first_seq"]) == (202, 2**44 + 1)
        node.answers.set()
        it = await whole
        assert it is not None
        assert (await node.post(2)).status_code == 202
        assert node.engine.arrived_events == [1]  # of the second: the first was there before the pipeline ran
        start.ready("again")
        assert len(node.ready_at) == 1
        assert node.logs[0] is None
        assert node.logs[-1] is not None


async def test_without_what_it_knew_the_reason_is_passed_on(node: Node, tmp_path: Path) -> None:
    (tmp_path / "doors.sealed").unlink()
    async with AsyncExitStack() as stack:
        with pytest.raises(TransientError, match="nobody listens on db port 5432"):
            await node.start().whole(stack)
    assert node.ready_at == []
