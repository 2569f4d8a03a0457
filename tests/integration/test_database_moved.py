"""Where the control plane is: shared by nodes, never begun anew beside what is known, moved there and back."""

import hashlib
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from appliance.compose import opened
from appliance.domain.access import Principal
from appliance.domain.database.access import Access
from appliance.domain.database.dsn import Dsn
from appliance.errors import ConfigError, Conflict, FatalError
from appliance.moving import control as moving
from appliance.placing import CONTROL_FILE, ELSEWHERE
from appliance.services.views import SetupRequest
from appliance.settings import Database, Server, Settings
from appliance.storage.control import audit, transfer
from appliance.storage.control.plane import ControlPlane
from appliance.storage.control.tables import OrganisationRow, SettingRow

HOOK = {
    "name": "hook",
    "source": {"type": "webhook"},
    "mapping": {"fields": [{"name": "n", "path": "$.n", "type": "integer"}]},
}
REQUEST = SetupRequest(admin_email="ada@example.org", admin_password="correct horse battery", organisation="Example")


def settings(data_dir: Path, url: str | None = None) -> Settings:
    return Settings(server=Server(data_dir=data_dir), database=Database(url=None if url is None else Dsn.parse(url)))


async def set_up(where: Settings) -> Principal:
    """Set up an appliance with a pipeline that has a secret; leave a session."""
    async with opened(where) as it:
        who = (await it.services.setup.run(REQUEST)).principal
        await it.services.pipelines.create(who, HOOK)
        return who


async def secrets(where: Settings, who: Principal) -> list[str]:
    async with opened(where) as it:
        (pipeline,) = (await it.services.pipelines.list(who)).items
        return await it.services.pipelines.secrets(who, pipeline.id)


async def refused(where: Settings, kind: type[Exception]) -> Any:
    with pytest.raises(kind) as caught:
        async with opened(where):
            raise AssertionError("it opened")
    return caught.value


def silent(table: str, rows: int, total: int) -> None:
    """Nobody watches."""


async def test_nodes_share_a_control_plane_and_its_key(tmp_path: Path, database_url: str) -> None:
    first, second = settings(tmp_path / "a", database_url), settings(tmp_path / "b", database_url)
    who = await set_up(first)
    known = await secrets(first, who)
    assert not (tmp_path / "a" / CONTROL_FILE).exists()

    told = await refused(second, ConfigError)
    assert "copy secret.key from the data directory of a node that runs" in str(told)
    assert not (tmp_path / "b" / "secret.key").exists()
    (tmp_path / "b").mkdir(exist_ok=True)
    await set_up(settings(tmp_path / "other"))
    shutil.copy(tmp_path / "other" / "secret.key", tmp_path / "b")
    told = await refused(second, ConfigError)
    assert (
        told.problems[0].message == "this node's key is not the one with which the control plane's secrets are sealed"
    )
    shutil.copy(tmp_path / "a" / "secret.key", tmp_path / "b")
    assert await secrets(second, who) == known


async def test_an_empty_database_beside_what_is_known_is_refused(tmp_path: Path, database_url: str) -> None:
    await set_up(settings(tmp_path))
    told = await refused(settings(tmp_path, database_url), FatalError)
    assert (f"{tmp_path / CONTROL_FILE} is not" in str(told), "database move --to" in told.hint) == (True, True)
    (tmp_path / CONTROL_FILE).unlink()
    (tmp_path / "bronze" / "pl_1").mkdir(parents=True)
    (tmp_path / "bronze" / "pl_1" / "00000001.jsonl").write_text("{}")
    told = await refused(settings(tmp_path, database_url), FatalError)
    assert f"there are events in {tmp_path / 'bronze'}" in str(told)
    assert "move bronze/ away to begin anew" in told.hint


async def test_a_data_directory_whose_control_plane_is_elsewhere_does_not_begin_anew(
    tmp_path: Path, database_url: str
) -> None:
    where = settings(tmp_path, database_url.replace("dash@", "dash:hunter2@"))
    await secrets(where, await set_up(where))
    told = await refused(settings(tmp_path), FatalError)
    assert "its control plane is in postgresql://dash:********@" in str(told)
    assert "hunter2" not in (tmp_path / ELSEWHERE).read_text()


async def test_there_and_back_with_everything(tmp_path: Path, database_url: str) -> None:
    embedded, there = settings(tmp_path), settings(tmp_path, database_url)
    file, access = tmp_path / CONTROL_FILE, Access(dsn=Dsn.parse(database_url))
    who = await set_up(embedded)
    known = await secrets(embedded, who)
    before = hashlib.sha256(file.read_bytes()).hexdigest()

    seen: list[tuple[str, int, int]] = []
    done = moving.move(tmp_path, file, access, lambda *told: seen.append(told))
    assert (done.counts["organisation"], done.counts["pipeline"], done.counts["session"]) == (1, 1, 1)
    assert ("organisation", 1, 1) in seen
    assert hashlib.sha256(file.read_bytes()).hexdigest() == before
    assert moving.has_arrived(file, access)
    assert await secrets(there, who) == known
    assert not moving.has_arrived(file, access)  # something has happened there since
    assert "database move --to embedded" in (await refused(embedded, FatalError)).hint
    with pytest.raises(Conflict, match="there are rows already in audit, "):
        moving.move(tmp_path, file, access, silent)

    back = moving.move(tmp_path, access, file, silent)
    assert back.counts["audit"] == done.counts["audit"] + 2  # + the move itself, + secrets that were looked at
    assert back.set_aside is not None
    assert hashlib.sha256((tmp_path / back.set_aside).read_bytes()).hexdigest() == before
    assert await secrets(embedded, who) == known
    plane = ControlPlane.open(file)
    assert plane.read_now(lambda tx: list(audit.verify(tx))) == []
    plane.close()


def broken(*_: Any) -> None:
    raise RuntimeError("the plug was pulled")


async def test_a_move_that_fails_leaves_nothing(tmp_path: Path, database_url: str) -> None:
    await set_up(settings(tmp_path))
    file, access = tmp_path / CONTROL_FILE, Access(dsn=Dsn.parse(database_url))
    with pytest.raises(RuntimeError):
        moving.move(tmp_path, file, access, broken)
    plane = ControlPlane.open(access)
    assert set(transfer.counts(plane).values()) == {0}
    plane.close()
    assert not (tmp_path / ELSEWHERE).exists()
    moving.move(tmp_path, file, access, silent)
    with pytest.raises(RuntimeError):
        moving.move(tmp_path, access, file, broken)
    assert sorted(path for path in os.listdir(tmp_path) if path.startswith("control.")) == [ELSEWHERE, CONTROL_FILE]


async def test_what_arrives_differently_is_not_kept(tmp_path: Path, database_url: str) -> None:
    await set_up(settings(tmp_path))
    old, new = ControlPlane.open(tmp_path / CONTROL_FILE), ControlPlane.open(database_url)

    def meddle(tx: Any) -> None:
        expected = {"organisation": 1, "setting": 5}
        transfer._prove(tx, tx, {**transfer._counts(tx), **expected})

    with pytest.raises(FatalError, match="setting: expected 5, got"):
        old.read_now(meddle)
    old.close()
    new.close()


async def test_nothing_to_move_is_told(tmp_path: Path, database_url: str) -> None:
    with pytest.raises(ConfigError, match="nobody has set Dash up there"):
        moving.plan(tmp_path, tmp_path / CONTROL_FILE)
    with pytest.raises(ConfigError, match="nobody has set Dash up there"):
        moving.plan(tmp_path, Access(dsn=Dsn.parse(database_url)))


async def test_the_fingerprint_is_not_the_key(tmp_path: Path, database_url: str) -> None:
    await set_up(settings(tmp_path, database_url))
    plane = ControlPlane.open(database_url)
    (row,) = plane.read_now(lambda tx: list(tx.scalars(select(SettingRow).where(SettingRow.key == "vault.key"))))
    assert len(plane.read_now(lambda tx: list(tx.scalars(select(OrganisationRow.id))))) == 1
    plane.close()
    assert len(row.value["fingerprint"]) == 32
    assert row.value["fingerprint"] not in (tmp_path / "secret.key").read_text()
