"""What a backup takes and what it may leave as it was; buckets; one organisation brought back without the others."""

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from appliance import compose
from appliance.backups.drilling import drill
from appliance.backups.keeper import Keeper, taken_of
from appliance.backups.offline import take_offline
from appliance.backups.opening import repository_of
from appliance.backups.restoring import Restoration, Wanted
from appliance.backups.snapshots import put_back, take_snapshot
from appliance.components.source import InboundRequest
from appliance.compose import Appliance, opened
from appliance.domain.backup import Backup, Kind
from appliance.domain.backup_keeping import Keeping
from appliance.domain.clock import utc_now
from appliance.domain.database.dsn import Dsn
from appliance.domain.ids import PipelineId
from appliance.domain.job import JobState
from appliance.engine.attempt import Attempt
from appliance.errors import Conflict, NotFound
from appliance.services.views import SetupRequest
from appliance.settings import Archive, Settings
from appliance.settings import Backup as BackupSettings
from appliance.settings.sections import Database, Server
from tests.s3 import REGION, S3Server
from tests.scenarios.conftest import ADMIN, BOILERS, PASSWORD, until

BODY = b'{"device": "b1", "temp_c": 20}'
BOILER_WITH_NAME = BOILERS | {"mapping": {"fields": [{"name": "device", "path": "$.device", "type": "string"}]}}
OTHERS = BOILERS | {"name": "the others' pipeline"}


def keeper_of(scene: Any, settings: Settings | None = None) -> Keeper:
    it = scene.it
    chosen = settings or it.settings
    return Keeper(chosen, partial(taken_of, chosen, it.plane, it.bronze, it.silvers, it.node_id))


def taker(scene: Any, settings: Settings | None = None) -> Callable[..., Any]:
    keeper = keeper_of(scene, settings)

    async def take(kind: Kind | None = None) -> Backup:
        return await asyncio.to_thread(keeper.take, kind, lambda *_: None)

    return take


def restored(settings: Settings, target: Path, secret: Path, **wanted: Any) -> Settings:
    """Bring the newest backup back and return the settings of an appliance on it."""
    target.mkdir()
    (target / "secret.key").write_bytes(secret.read_bytes())
    Restoration(repository_of(settings), target, Wanted(**wanted), utc_now()).run()
    return msgspec.structs.replace(settings, server=Server(data_dir=target), archive=Archive(), backup=BackupSettings())


async def test_rows_of_before_serve_until_something_changes_that_events_do_not_tell(scene: Any, tmp_path: Path) -> None:
    take, pipeline_id = taker(scene), await scene.boilers()
    await scene.receive(pipeline_id, BODY)
    full = await take()
    await scene.receive(pipeline_id, BODY, BODY)
    second = await take()
    assert [one.kind for one in (full, second)] == [Kind.FULL, Kind.INCREMENTAL]
    assert second.rows[0].as_of == full.rows[0].as_of
    assert [(one.refined, one.last_seq) for one in second.pipelines] == [(1, 3)]
    await scene.it.services.pipelines.replace(scene.admin, PipelineId(pipeline_id), BOILER_WITH_NAME)
    third = await take()
    assert (third.rows[0].as_of > full.rows[0].as_of, third.pipelines[0].refined) == (True, 3)
    await asyncio.to_thread(scene.it.bronze.upkeep.erase, PipelineId(pipeline_id), [1], "a test", "ada")
    fourth = await take()
    assert fourth.rows[0].as_of > third.rows[0].as_of
    fifth = await take()
    assert fifth.rows == fourth.rows
    assert fifth.new_bytes < fourth.new_bytes


async def test_one_organisation_comes_back_without_the_others(scene: Any, tmp_path: Path) -> None:
    own = await scene.boilers()
    created = await scene.it.services.pipelines.create(scene.other, OTHERS)
    await scene.receive(own, BODY, BODY)
    await scene.receive(created.pipeline.id, b'{"device": "not-yours", "temp_c": 1}')
    backup = await taker(scene)()
    assert {one.organisation_id for one in backup.pipelines} == {
        scene.admin.organisation_id,
        scene.other.organisation_id,
    }
    secret = scene.it.settings.server.data_dir / "secret.key"
    settings = await asyncio.to_thread(
        restored, scene.it.settings, tmp_path / "one", secret, organisation=scene.admin.organisation_id
    )
    everything = b"".join(path.read_bytes() for path in (tmp_path / "one").rglob("*") if path.is_file())
    for word in (b"not-yours", b"the others' pipeline", created.pipeline.id.encode(), scene.other.name.encode()):
        assert word not in everything
    async with opened(settings) as it:
        await it.engine.start(await it.services.pipelines.stored())
        assert [one.id for one in (await it.services.pipelines.list(scene.admin)).items] == [own]
        await until(lambda: it.engine.stats(PipelineId(own)).ledger.stored == 2)
    report = await asyncio.to_thread(compose.verify, settings)
    assert report.findings == []
    with pytest.raises(NotFound, match="has no organisation"):
        Restoration(repository_of(scene.it.settings), tmp_path / "x", Wanted(organisation="org_none"), utc_now())


async def test_a_bucket_takes_backups_and_gives_them_back(scene: Any, tmp_path: Path, s3: S3Server) -> None:
    (tmp_path / "passphrase").write_text("correct horse battery staple\n")
    bucket = BackupSettings(
        url=f"s3://{s3.new_bucket()}/dash", endpoint=s3.endpoint, region=REGION, access_key=s3.access_key,
        secret_key=s3.secret_key, passphrase_file=tmp_path / "passphrase",
    )  # type: ignore[arg-type]  # fmt: skip
    settings = msgspec.structs.replace(scene.it.settings, backup=bucket)
    keeper, pipeline_id = keeper_of(scene, settings), await scene.boilers()
    await scene.receive(pipeline_id, BODY)
    backup = await asyncio.to_thread(keeper.take, None, lambda *_: None)
    verdict = await asyncio.to_thread(keeper.prove, backup.id, lambda *_: None)
    assert verdict.problems == ()
    secret = settings.server.data_dir / "secret.key"
    there = await asyncio.to_thread(restored, settings, tmp_path / "there", secret)
    assert (await asyncio.to_thread(compose.verify, there)).findings == []
    pruned = await asyncio.to_thread(keeper.prune, Keeping())
    assert (pruned.kept, pruned.objects) == (1, 0)


async def test_one_is_asked_for_taken_noted_and_told(scene: Any) -> None:
    await scene.receive(await scene.boilers(), BODY)
    backups = scene.it.services.backups
    async with scene.client(scene.tokens["admin"]) as client:
        empty = (await client.get("/api/v1/backups")).json()
        assert (empty["items"], empty["trouble"], empty["encrypted"]) == ([], None, False)
        (job,) = (await client.post("/api/v1/backups", json={"kind": "full"})).json()["items"]
        assert job["state"] == JobState.READY.value
        await asyncio.to_thread(backups.job.take, Attempt({"kind": "full"}))
        found = (await client.get("/api/v1/backups")).json()
        (one,) = found["items"]
        assert (one["kind"], one["events"], one["verified"]["problems"]) == ("full", 1, [])
        assert found["record"]["last_id"] == one["id"]
        (scene.it.settings.server.data_dir.parent / "backups").rename(scene.it.settings.server.data_dir.parent / "away")
        gone = (await client.get("/api/v1/backups")).json()
        assert "see whether its disk is mounted" in gone["trouble"]
        with pytest.raises(Exception, match="mounted"):
            await asyncio.to_thread(backups.job.take, Attempt({}))
        assert (await client.get("/api/v1/backups")).json()["record"]["failures"] == 1
        wrong = await client.put(
            "/api/v1/backups/schedule", json={"full": "now", "timezone": "Mars", "keep": {"last": 0}}
        )
        assert wrong.status_code == 422
        assert [one["pointer"] for one in wrong.json()["problems"]] == ["/keep/last", "/full", "/timezone"]


async def test_beside_a_database_only_what_is_on_this_disk_is_taken_and_that_is_said(
    tmp_path: Path, database_url: str
) -> None:
    (tmp_path / "place").mkdir()
    settings = Settings(
        server=Server(data_dir=tmp_path / "data"),
        database=Database(url=Dsn.parse(database_url)),
        backup=BackupSettings(url=f"file://{tmp_path}/place"),
    )
    pipeline_id, _ = await _begun(settings)
    backup = await asyncio.to_thread(take_offline, settings, repository_of(settings, make_at=utc_now()), None, _silent)
    assert (backup.rows, backup.events, backup.kind) == ((), 1, Kind.FULL)
    assert backup.database is not None
    assert "postgresql://" in backup.database
    paths = {one.path for one in repository_of(settings).catalog(backup)}
    assert {"node.id", "node.partition"} <= paths
    assert all(path.startswith("bronze/") for path in paths - {"node.id", "node.partition"})
    secret = tmp_path / "data" / "secret.key"
    rehearsed = await asyncio.to_thread(drill, settings, repository_of(settings), None, secret, _silent)
    assert (rehearsed.findings, rehearsed.events) == ([], 1)
    assert "restore that database to a moment not after" in rehearsed.notes[0]
    again = await asyncio.to_thread(take_offline, settings, repository_of(settings), None, _silent)
    assert again.kind is Kind.INCREMENTAL
    there = await asyncio.to_thread(restored, settings, tmp_path / "there", secret)
    async with opened(msgspec.structs.replace(there, database=settings.database)) as it:
        await it.engine.start(await it.services.pipelines.stored())
        await _refined(it, pipeline_id, 1)


async def test_a_snapshot_is_put_back_and_events_since_are_refined_again(tmp_path: Path) -> None:
    settings = Settings(server=Server(data_dir=tmp_path / "data"))
    pipeline_id, who = await _begun(settings)
    cut_short = tmp_path / "data" / "snapshots" / "20260101T000000Z-aaaaaa"
    (cut_short / "silver").mkdir(parents=True)
    snapshot = await asyncio.to_thread(take_snapshot, settings, "before 2.0.0")
    assert not cut_short.exists()  # nobody would find it, and it takes the room of a whole one
    async with opened(settings) as it:
        await it.engine.start(await it.services.pipelines.stored())
        await it.services.pipelines.replace(who, pipeline_id, BOILER_WITH_NAME)
        await _received(it, pipeline_id, 2)
    await asyncio.to_thread(put_back, settings, snapshot.id)
    async with opened(settings) as it:
        await it.engine.start(await it.services.pipelines.stored())
        await _refined(it, pipeline_id, 3)
        assert (await it.services.pipelines.get(who, pipeline_id)).version == 1
    with pytest.raises(NotFound):
        put_back(settings, "../../etc")
    with pytest.raises(Conflict, match="is in use"):
        async with opened(settings):
            await asyncio.to_thread(put_back, settings, snapshot.id)


async def _begun(settings: Settings) -> tuple[PipelineId, Any]:
    """Set an appliance up with one event refined, and stop it."""
    async with opened(settings) as it:
        await it.engine.start([])
        request = SetupRequest(admin_email=ADMIN, admin_password=PASSWORD, organisation="Works")
        who = (await it.services.setup.run(request)).principal
        pipeline_id = PipelineId((await it.services.pipelines.create(who, BOILERS)).pipeline.id)
        await _received(it, pipeline_id, 1)
        await _refined(it, pipeline_id, 1)
    return pipeline_id, who


async def _received(it: Appliance, pipeline_id: PipelineId, count: int) -> None:
    for _ in range(count):
        request = InboundRequest({"content-type": "application/json"}, BODY, "192.0.2.7", utc_now())
        await it.engine.receiver.post(pipeline_id, request)


async def _refined(it: Appliance, pipeline_id: PipelineId, count: int) -> None:
    await until(lambda: it.engine.stats(pipeline_id).ledger.stored == count)


def _silent(done: int, total: int | None, what: str) -> None:
    """Show nothing."""
