"""A real appliance in this very process, without a port: real SQLite, Bronze, mapping and DuckDB behind the API."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog
from litestar import Litestar

from appliance.api.app import build_api
from appliance.components.jobs import NewJob
from appliance.components.source import InboundRequest
from appliance.compose import Appliance, opened
from appliance.domain.access import Principal, Role
from appliance.domain.clock import utc_now
from appliance.domain.database.dsn import Dsn
from appliance.domain.ids import OrganisationId, PipelineId, new_id
from appliance.egress.guard import parse_allowed
from appliance.services.views import SetupRequest
from appliance.settings import Backup, Settings
from appliance.settings.sections import Database, Server
from appliance.storage.control.jobs import enqueue
from appliance.storage.control.tables import OrganisationRow
from tests.licensed import EVERY_FEATURE, RING, issued

ORIGIN = "http://dash.test"
ADMIN = "ada@example.org"
PASSWORD = "correct horse battery"

BOILERS: dict[str, Any] = {
    "name": "boiler-room",
    "source": {"type": "webhook", "signature": "none"},
    "mapping": {
        "time": {"path": "$.ts"},
        "fields": [
            {"name": "device", "path": "$.device", "type": "string", "required": True},
            {"name": "temp_c", "path": "$.temp_c", "type": "float", "max": 200, "unit": "°C"},
            {"name": "tags", "path": "$.tags", "type": "json"},
        ],
    },
}


NOBODY = Principal(organisation_id=OrganisationId("org_none"), role=Role.VIEWER, name="nobody")


class Vitals:
    """Health that a test can break."""

    def __init__(self) -> None:
        self.parts = {"receiving": (True, "events are taken and made durable")}

    def checks(self) -> dict[str, tuple[bool, str]]:
        return self.parts


class Scene:
    """The appliance, its API, and people of every role in it."""

    def __init__(self, it: Appliance, api: Litestar, vitals: Vitals, stopping: asyncio.Event) -> None:
        self.it, self.api, self.vitals, self.stopping = it, api, vitals, stopping
        self.admin: Principal = NOBODY
        self.other: Principal = NOBODY  # administrator of another organisation
        self.tokens: dict[str, str] = {}  # by role; "other": of the other administrator

    def client(self, token: str | None = None, **more: Any) -> httpx.AsyncClient:
        """Return a client that sends ``token``."""
        headers = {"authorization": f"Bearer {token}"} if token else {}
        transport = httpx.ASGITransport(self.api, raise_app_exceptions=False)
        return httpx.AsyncClient(transport=transport, base_url=ORIGIN, headers=headers, **more)

    async def receive(self, pipeline_id: str, *payloads: bytes) -> None:
        """Post events to an unsigned webhook, one request each, and wait until all of them are refined."""
        for payload in payloads:
            request = InboundRequest({"content-type": "application/json"}, payload, "192.0.2.7", utc_now())
            await self.it.engine.receiver.post(PipelineId(pipeline_id), request)
        await self.refined(pipeline_id)

    async def refined(self, pipeline_id: str, received: int = 0) -> None:
        """Return once so many events were received and none is pending."""

        def done() -> bool:
            ledger = self.it.engine.stats(PipelineId(pipeline_id)).ledger
            return ledger.received >= received and ledger.pending == 0

        await until(done)

    async def closed_segments(self, pipeline_id: str) -> None:
        """Return once every segment but an open one is compressed."""
        self.it.bronze.tick()
        await until(lambda: all(one.sha256 for one in self.it.bronze.segments(PipelineId(pipeline_id)) if one.closed))

    async def boilers(self, **changes: Any) -> str:
        """Create the pipeline ``boiler-room`` and return its id."""
        created = await self.it.services.pipelines.create(self.admin, BOILERS | changes)
        return created.pipeline.id

    async def erasure(self, pipeline_id: str) -> str:
        """Ask for a dry run and return its id."""
        asked = {"pipelines": [pipeline_id], "seqs": [1], "reason": "a test", "dry_run": True}
        return (await self.it.services.erasures.request(self.admin, asked)).id

    async def job(self, **more: Any) -> str:
        """Enqueue a job of the organisation's and return its id; nobody runs it."""
        job = NewJob(kind="test.job", organisation_id=self.admin.organisation_id, **more)
        return str(await self.it.plane.write(lambda tx: enqueue(tx, job, utc_now())))

    async def provider(self, **changes: Any) -> str:
        """Set up an OpenID provider that nobody asks anything, with a licence for it, and return its id."""
        await self.it.services.licenses.install(self.admin, issued(features=EVERY_FEATURE))
        document = {"name": "Example Works", "issuer": "https://login.example.org", "client_id": "dash"} | changes
        return (await self.it.services.providers.create(self.admin, document)).id

    async def token(self, who: Principal, role: Role) -> str:
        return (await self.it.services.tokens.create(who, role.value, role)).token


async def until(holds: Callable[[], bool], within_secs: float = 10.0) -> None:
    """Return once ``holds`` does; fail when it does not in time."""
    deadline = time.monotonic() + within_secs
    while not holds():
        assert time.monotonic() < deadline, "it did not come about in time"
        await asyncio.sleep(0.01)


async def another_organisation(it: Appliance) -> Principal:
    """Return the administrator of a second organisation, made where no use case makes one yet."""
    organisation = OrganisationRow(id=new_id("org"), name="Rival Works", created_at=utc_now())
    await it.plane.write(lambda tx: tx.add(organisation))
    return Principal(organisation_id=OrganisationId(organisation.id), role=Role.ADMIN, name="eve@example.net")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run the tests of a module that has ``CONTROL_PLANES`` with each of them."""
    planes = getattr(metafunc.module, "CONTROL_PLANES", None)
    if planes and "database" in metafunc.fixturenames:
        metafunc.parametrize("database", planes, indirect=True)


@pytest.fixture
def database(request: pytest.FixtureRequest) -> Database:
    """Where everything but events lives: ``embedded`` in the data directory, or in a PostgreSQL."""
    if getattr(request, "param", os.environ.get("DASH_TEST_DATABASE", "embedded")) == "embedded":
        return Database()
    return Database(url=Dsn.parse(request.getfixturevalue("database_url")))


@pytest.fixture
async def bare(tmp_path: Path, database: Database) -> AsyncIterator[Scene]:
    """An appliance that nobody has set up yet."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    stopping, vitals = asyncio.Event(), Vitals()
    (tmp_path / "backups").mkdir()
    backup = Backup(url=f"file://{tmp_path}/backups")
    settings = Settings(server=Server(data_dir=tmp_path / "data"), database=database, backup=backup)
    async with opened(settings, ring=RING) as it:
        await it.engine.start([])
        api = build_api(it.services, vitals, lambda: b"dash_up 1\n", it.engine.hub, stopping)
        yield Scene(it, api, vitals, stopping)


@pytest.fixture
async def scene(bare: Scene) -> Scene:
    """An appliance with two organisations, and a token of each role in the first."""
    request = SetupRequest(admin_email=ADMIN, admin_password=PASSWORD, organisation="Example Works", token=True)
    done = await bare.it.services.setup.run(request)
    await bare.it.services.licenses.install(done.principal, issued())  # limits have tests of their own
    bare.admin, bare.other = done.principal, await another_organisation(bare.it)
    for role in Role:
        bare.tokens[role.value] = await bare.token(bare.admin, role)
    bare.tokens["other"] = await bare.token(bare.other, Role.ADMIN)
    return bare


@pytest.fixture
async def api(scene: Scene) -> AsyncIterator[httpx.AsyncClient]:
    """The API as the administrator's token sees it."""
    async with scene.client(scene.tokens["admin"]) as client:
        yield client


@pytest.fixture
def provider() -> Iterator[Any]:
    """A real OpenID provider on loopback."""
    from tests.fakes.openid_provider import Provider  # brings Flask: for the tests that want it

    with Provider() as running:
        yield running


@pytest.fixture
async def world(scene: Scene, api: httpx.AsyncClient, provider: Any) -> AsyncIterator[Any]:
    """The appliance with that provider set up in it, and a browser."""
    from tests.provider_world import World

    await scene.it.outbound.allow([parse_allowed("127.0.0.1/32")])
    await scene.it.services.licenses.install(scene.admin, issued(features=EVERY_FEATURE))
    made = World(scene, provider, api)
    await made.set_up()
    yield made
    await made.browser.aclose()
