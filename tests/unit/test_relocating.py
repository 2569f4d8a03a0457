"""An order to move, as a start finds it: done already, impossible, or to be carried out."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from appliance.domain.database.dsn import Dsn
from appliance.domain.ids import PipelineId
from appliance.moving import ordered
from appliance.moving.ordered import Ordered, State
from appliance.placing import ELSEWHERE
from appliance.relocating import under_way
from appliance.settings import Database, Server, Settings, resolve
from appliance.settings.chosen import come_back, leave_database
from appliance.storage.control.vault import Vault

THERE = "postgresql://ada:hunter2@127.0.0.1:9/dash?connect_timeout=1"


def settings(folder: Path, url: str | None = None) -> Settings:
    return Settings(server=Server(data_dir=folder), database=Database(url=None if url is None else Dsn.parse(url)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    Vault.open(tmp_path)
    return tmp_path


def give(folder: Path, target: str | None) -> None:
    ordered.order(folder, Ordered(target=target, at=datetime.now(UTC)))


def ending(folder: Path) -> tuple[State, str | None]:
    told = ordered.told(folder)
    assert told is not None
    assert not ordered.is_ordered(folder)
    return told.state, told.reason


def test_nothing_ordered_is_nothing_to_do(folder: Path) -> None:
    start = settings(folder)
    assert under_way(start) == (start, None)
    assert ordered.told(folder) is None


def test_an_order_is_sealed_and_names_no_secret(folder: Path) -> None:
    give(folder, THERE)
    assert "hunter2" not in (folder / ordered.FILE).read_text()
    start, move = under_way(settings(folder))
    assert move is not None
    assert (start.database.url, str(move.after.database.url)) == (None, str(Dsn.parse(THERE)))
    assert "being moved to a database" in move.told()
    assert ordered.withdraw(folder)
    assert not ordered.withdraw(folder)


def test_killed_after_the_switch_the_next_start_is_there(folder: Path) -> None:
    give(folder, THERE)
    (folder / ELSEWHERE).write_text(f"{Dsn.parse(THERE)}\n")
    start, move = under_way(settings(folder))
    assert (str(start.database.url), move) == (str(Dsn.parse(THERE)), None)
    assert ending(folder) == (State.MOVED, None)
    assert "hunter2" not in (folder / ordered.TOLD).read_text()
    env = {"DASH_SERVER_DATA_DIR": str(folder)}
    assert resolve({}, env).settings.database.url == Dsn.parse(THERE)  # by chosen.toml
    give(folder, None)
    start, move = under_way(settings(folder))  # what is embedded already has come back
    assert (start.database.url, move, ending(folder)[0]) == (None, None, State.MOVED)
    assert resolve({}, env).settings.database.url is None


async def test_what_cannot_be_moved_stays_and_says_why(folder: Path) -> None:
    give(folder, THERE)
    start, move = await asyncio.to_thread(under_way, settings(folder))
    assert move is not None
    order = move.order(_no_table, lambda _: 1)
    assert await move.run(order, asyncio.Event()) == start
    state, reason = ending(folder)
    assert (state, "there is nothing to move in" in str(reason)) == (State.FAILED, True)


def _no_table(pipeline_id: PipelineId, *_: object) -> None:  # type: ignore[misc]
    raise AssertionError(pipeline_id)


def test_a_database_that_was_left_is_passed_over_whoever_names_it(tmp_path: Path) -> None:
    left, other = Dsn.parse("postgresql://ada:old@db1/dash"), Dsn.parse("postgresql://ada:old@db2/dash")
    leave_database(tmp_path, left, "dash")
    env = {"DASH_SERVER_DATA_DIR": str(tmp_path), "DASH_DATABASE_URL": "postgresql://bob:new@db1/dash?sslmode=require"}
    found = resolve({}, env)
    assert (found.settings.database.url, found.passed_over) == (None, "DASH_DATABASE_URL")
    assert found.origins["database.url"] == "default; DASH_DATABASE_URL names the database that was moved out of"
    for more in ({"DASH_DATABASE_SCHEMA": "else"}, {"DASH_DATABASE_URL": str(other)}):
        assert resolve({}, {**env, **more}).passed_over is None
    come_back(tmp_path, other, "dash")
    assert resolve({}, env).passed_over is not None
    come_back(tmp_path, left, "dash")
    assert resolve({}, env).passed_over is None
