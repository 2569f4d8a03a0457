"""What a move has left in a database: shown, and removed only where it is proved to be the past of this appliance."""

import json
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from appliance import moving
from appliance.components.silver import Order, RecordQuery
from appliance.compose import opened
from appliance.domain.access import Principal, Role
from appliance.domain.clock import utc_now
from appliance.domain.database.access import Access
from appliance.domain.database.dsn import Dsn
from appliance.errors import Conflict
from appliance.moving import leftover
from appliance.placing import CONTROL_FILE
from appliance.settings import Settings
from appliance.storage.control.plane import ControlPlane
from appliance.storage.control.tables import NodeRow
from tests.integration.moving_rows import NAMES, filled, order, rows_of, settings, silent, store_of
from tests.running import RunningAppliance
from tests.timescale import needs_timescale, timescale_database


async def rows(where: Settings) -> list[Any]:
    async with opened(where) as it:
        silver = await store_of(it)
        ids = [one.id for one in await it.services.pipelines.stored()]
        return [silver.records(rows_of(one), RecordQuery(order=Order.ASC, limit=1000)).to_pylist() for one in ids]


def schemas(url: str) -> list[str]:
    with psycopg.connect(url) as connection:
        found = connection.execute("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'dash%' ORDER BY 1").fetchall()
    return [name for (name,) in found]


async def come_back(folder: Path, url: str) -> tuple[Settings, Path, Access]:
    """Return an appliance that lived in the database and lives in its data directory now, and both places."""
    there = settings(folder, url)
    ids = await filled(there)
    async with opened(there) as it:  # a generation that a replay has replaced, which no move takes along
        silver = await store_of(it)
        shadow = silver.generations.begin(rows_of(ids[0]), 1)
        assert shadow.generation is not None
        silver.generations.swap(ids[0], shadow.generation)
    moving.carry_out(order(there, "embedded"), silent, silent)
    return settings(folder), folder / CONTROL_FILE, Access(dsn=Dsn.parse(url))


async def test_what_a_move_left_is_shown_and_removed(tmp_path: Path, database_url: str) -> None:
    embedded, here, there = await come_back(tmp_path, database_url)
    expected = await rows(embedded)
    assert [len(one) for one in expected] == [0, 20, 20]

    found = leftover.look(here, there)
    names = {table.name for one in found.schemas for table in one.tables}
    assert [one.schema for one in found.schemas] == list(reversed(schemas(database_url)))
    assert len([name for name in names if name.startswith("rows_")]) == len(NAMES) + 1  # and the former one
    assert {"organisation", "audit", "alembic_version", "_generations"} <= names
    assert sum(table.bytes for one in found.schemas for table in one.tables) > 100_000
    assert (found.removed, len(schemas(database_url))) == (False, 2)

    done = leftover.remove(embedded, here, there)
    assert (done.removed, done.stay, schemas(database_url)) == (True, [], [])
    assert await rows(embedded) == expected
    with pytest.raises(Conflict, match="there is nothing of Dash"):
        leftover.look(here, there)
    moving.carry_out(order(embedded, database_url), silent, silent)  # there is room for it again
    assert await rows(settings(tmp_path, database_url)) == expected


@needs_timescale
async def test_hypertables_are_left_and_removed_too(tmp_path: Path) -> None:
    with timescale_database() as url:
        embedded, here, there = await come_back(tmp_path, url)
        left = {one.name: one.bytes for schema in leftover.look(here, there).schemas for one in schema.tables}
        rows_of_two = next(size for name, size in left.items() if name.startswith("rows_") and "#" not in name)
        assert rows_of_two > 8192  # an empty hypertable, its chunks and their indexes
        assert leftover.remove(embedded, here, there).stay == []
        assert schemas(url) == []


async def test_what_is_not_of_dash_stays(tmp_path: Path, database_url: str) -> None:
    embedded, here, there = await come_back(tmp_path, database_url)
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE dash.mine (n integer)")
        done = leftover.remove(embedded, here, there)
        assert done.stay == ["dash"]
        left = connection.execute("SELECT relname FROM pg_class WHERE relnamespace = 'dash'::regnamespace").fetchall()
        assert left == [("mine",)]


async def test_rows_that_are_gone_already_do_not_keep_the_rest(tmp_path: Path, database_url: str) -> None:
    embedded, here, there = await come_back(tmp_path, database_url)
    (rows_schema, _) = (one.schema for one in leftover.look(here, there).schemas)
    with psycopg.connect(database_url, autocommit=True) as connection:  # as if interrupted after them
        connection.execute(f'DROP SCHEMA "{rows_schema}" CASCADE')
    assert leftover.remove(embedded, here, there).stay == []
    assert schemas(database_url) == []


async def test_where_somebody_lives_nothing_is_removed(tmp_path: Path, database_url: str) -> None:
    there = settings(tmp_path, database_url)
    await filled(there)
    access = Access(dsn=Dsn.parse(database_url))
    with pytest.raises(Conflict, match="it is where this appliance lives"):
        leftover.remove(there, access, access)
    other = settings(tmp_path / "other")
    await filled(other)
    with pytest.raises(Conflict, match="which this appliance does not know"):
        leftover.remove(other, tmp_path / "other" / CONTROL_FILE, access)
    assert len(schemas(database_url)) == 2


@pytest.mark.parametrize("how", ["audit", "node"])
async def test_what_was_used_since_is_not_the_past(tmp_path: Path, database_url: str, how: str) -> None:
    embedded, here, there = await come_back(tmp_path, database_url)
    if how == "audit":
        async with opened(settings(tmp_path, database_url)) as it:
            (pipeline, *_) = await it.services.pipelines.stored()
            who = Principal(organisation_id=pipeline.organisation_id, role=Role.ADMIN, name="ada")
            await it.services.pipelines.pause(who, pipeline.id)
    else:
        with closing(ControlPlane.look(there)) as plane:
            plane.write_now(lambda tx: tx.add(_node()))
    told = "which this appliance does not know" if how == "audit" else "a node has used it since it was moved"
    with pytest.raises(Conflict, match=told):
        leftover.remove(embedded, here, there)
    assert len(schemas(database_url)) == 2


def _node() -> NodeRow:
    now = utc_now() + timedelta(seconds=1)
    return NodeRow(
        id="node_1", life="a", name="n", role="all", address="", version="1", offers=[], state="up", started_at=now,
        seen_at=now, every_secs=5.0, load={},
    )  # fmt: skip


async def test_a_move_that_was_not_ended_and_an_empty_database_are_told(tmp_path: Path, database_url: str) -> None:
    embedded = settings(tmp_path)
    await filled(embedded)
    here, there = tmp_path / CONTROL_FILE, Access(dsn=Dsn.parse(database_url))
    with pytest.raises(Conflict, match="there is nothing of Dash"):
        leftover.look(here, there)

    def stop(_: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        moving.carry_out(order(embedded, database_url), stop, silent)
    with pytest.raises(Conflict, match="begun and not ended: run the same move again"):
        leftover.look(here, there)


async def test_the_command_shows_first_and_removes_with_yes(tmp_path: Path, database_url: str) -> None:
    appliance = RunningAppliance(tmp_path)
    await come_back(appliance.data_dir, database_url.replace("dash@", "dash:hunter2@"))
    shown = appliance.run("database", "clean", database_url.replace("dash@", "dash:hunter2@"))
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "hunter2" not in shown.stdout
    assert "nothing was removed: --yes removes these" in shown.stdout
    assert len(schemas(database_url)) == 2
    removed = appliance.run("database", "clean", database_url, "--yes", "--json")
    assert (removed.returncode, json.loads(removed.stdout)["removed"]) == (0, True)
    assert schemas(database_url) == []
    again = appliance.run("database", "clean", database_url)
    assert (again.returncode, "there is nothing of Dash" in again.stderr) == (1, True)
