"""Rows moved with everything else: there and back, interrupted at every step, compared before anything switches."""

import asyncio
import hashlib
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from appliance import behind, moving
from appliance.cli import examinations
from appliance.components.feed import FeedPlace
from appliance.components.silver import Order, RecordQuery
from appliance.compose import opened
from appliance.domain.database.access import Access
from appliance.domain.database.dsn import Dsn
from appliance.errors import ConfigError, Conflict, FatalError, TransientError
from appliance.moving.order import UNFINISHED
from appliance.placing import CONTROL_FILE, ELSEWHERE
from appliance.settings import Settings
from appliance.silvers import FOLDER
from appliance.storage.control import audit
from appliance.storage.control.plane import ControlPlane
from tests.integration.moving_rows import dying, filled, order, rows_of, settings, silent, store_of
from tests.postgres import postgres_server


async def seen(where: Settings) -> Any:
    """Return what an appliance answers about the rows of all its pipelines."""
    async with opened(where) as it:
        silver, found = await store_of(it), {}
        for one in await it.services.pipelines.stored():
            table = rows_of(one.id)
            rows = silver.records(table, RecordQuery(order=Order.ASC, limit=1000)).to_pylist()
            read, place = silver.feed.read(table, FeedPlace(), 1000)
            found[one.document.name] = (
                rows, read.to_pylist(), place, silver.progress(one.id), silver.recount(table),
                silver.generations.spans(one.id), silver.generations.all(one.id),
            )  # fmt: skip
        return found


def bytes_of(folder: Path) -> dict[str, str]:
    """Return the digests of the files that a move comes from."""
    kept = [folder / CONTROL_FILE, *sorted((folder / FOLDER).glob("*.duckdb"))]
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in kept}


def left_behind(folder: Path) -> set[str]:
    """Return the files of rows that were in the way of those that came back."""
    (former,) = folder.glob(f"{FOLDER}.before-*")
    return {file.name for file in former.glob("*.duckdb")}


def killed(folder: Path, url: str, to: str, at: int) -> int:
    """Move in a process of its own that dies at a step; return how it ended."""
    arguments = [str(folder), url, to, str(at)]
    return subprocess.run([sys.executable, "-m", "tests.integration.moving_rows", *arguments], check=False).returncode


async def test_there_and_back_with_rows(tmp_path: Path, database_url: str) -> None:
    embedded, there = settings(tmp_path), settings(tmp_path, database_url)
    await filled(embedded)
    expected, before = await seen(embedded), bytes_of(tmp_path)

    planned = moving.plan(order(embedded, database_url))
    assert [(one.pipeline, one.events, one.rows, one.dead) for one in planned.pipelines] == [
        ("one", 40, 20, 10), ("two", 40, 20, 10), ("three", 40, 20, 10),
    ]  # fmt: skip
    steps: list[moving.Step] = []
    done = moving.carry_out(order(embedded, database_url), steps.append, silent)
    assert (done.rows.pipelines, done.rows.rows, done.rows.dead, done.rows.there) == (3, 60, 30, 0)
    assert (steps[-1].done, steps[-1].secs_left) == (steps[-1].total, 0.0)
    assert bytes_of(tmp_path) == before
    assert await seen(there) == expected
    async with opened(there) as it:  # refining goes on where it was: there is nothing to be made again
        assert await behind.look(it, await it.services.pipelines.stored()) == []

    done = moving.carry_out(order(there, "embedded"), silent, silent)
    assert done.rows.rows == 60
    assert not (tmp_path / UNFINISHED).exists()
    assert left_behind(tmp_path) == set(before) - {CONTROL_FILE}
    assert await seen(embedded) == expected


async def check_interrupted(tmp_path: Path, start: Settings, to: str, at: int, how: Any) -> bool:
    """Interrupt a move at a step; return whether it came so far. The source answers as before."""
    expected = await seen(start)
    kept = kept_elsewhere(tmp_path)
    try:
        how(order(start, to), at)
    except KeyboardInterrupt:
        assert kept_elsewhere(tmp_path) == kept
        assert await seen(start) == expected
        return True
    return False


def control_c(what: moving.Order, at: int) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    moving.carry_out(what, dying(at, stop), silent)


@pytest.mark.slow
async def test_interrupted_at_every_step_it_goes_on(tmp_path: Path, database_url: str) -> None:
    embedded, there = settings(tmp_path), settings(tmp_path, database_url)
    await filled(embedded, events=4)
    expected, at = await seen(embedded), 1
    while await check_interrupted(tmp_path, embedded, database_url, at, control_c):
        with pytest.raises(FatalError, match="begun and not ended"):
            await seen(settings(tmp_path / "elsewhere", database_url))
        at += 2
    assert at > 12  # three pipelines, each with rows, dead letters and a ledger, copied and compared
    assert await seen(there) == expected
    at = 1
    while await check_interrupted(tmp_path, there, "embedded", at, control_c):
        with pytest.raises(FatalError, match="its control plane is in"):
            await seen(embedded)
        at += 6
    assert await seen(embedded) == expected


@pytest.mark.parametrize("back", [False, True], ids=["there", "back"])
async def test_killed_on_the_way_what_has_arrived_is_not_copied_again(
    tmp_path: Path, database_url: str, back: bool
) -> None:
    embedded, there = settings(tmp_path), settings(tmp_path, database_url)
    await filled(there if back else embedded)
    start, to = (there, "embedded") if back else (embedded, database_url)
    expected = await seen(start)
    assert killed(tmp_path, database_url if back else "", to, at=15) == -9
    assert await seen(start) == expected
    done = moving.carry_out(order(start, to), silent, silent)
    assert (done.rows.pipelines, done.rows.there) == (3, 2)
    assert await seen(embedded if back else there) == expected


async def test_a_database_that_goes_away_meanwhile(tmp_path: Path) -> None:
    with postgres_server() as server:
        url = server.new_database()
        embedded, there = settings(tmp_path), settings(tmp_path, url)
        await filled(embedded)
        expected = await seen(embedded)
        with pytest.raises(TransientError):
            moving.carry_out(order(embedded, url), dying(8, server.stop), silent)
        assert await seen(embedded) == expected
        server.start()
        moving.carry_out(order(embedded, url), silent, silent)
        assert await seen(there) == expected


def changed(url: str, statement: str) -> Any:
    """Return what is told of steps, and changes what has arrived of the last pipeline before it is compared."""
    copied: list[moving.Step] = []

    def told(step: moving.Step) -> None:
        if step.doing.value == "copying" and step.pipeline == "three":
            copied.append(step)
        if copied and copied[-1] is step and len(copied) % 3 == 0:  # rows, dead letters, ledger
            with psycopg.connect(url) as connection:
                found = connection.execute("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'dash_org%'").fetchone()
                connection.execute(f"SET search_path TO {found[0]}")
                tables = connection.execute(
                    "SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace"
                    " AND relname LIKE 'rows_pl%' AND relkind = 'p' ORDER BY relname"
                ).fetchall()
                connection.execute(statement.format(rows=f'"{tables[2][0]}"'))

    return told


DIFFERENCES = {
    "UPDATE {rows} SET device = 'b' WHERE _seq = 5": "rows of 2026-01-01: device differs",
    "DELETE FROM {rows} WHERE _seq = 6": "rows of 2026-01-01: 20 at the source, 19 at the target",
    "UPDATE _spans SET version = 9": "ledger: version differs",
}


async def test_what_differs_is_named_and_nothing_switches(tmp_path: Path, database_url: str) -> None:
    embedded = settings(tmp_path)
    await filled(embedded)
    expected, before = await seen(embedded), bytes_of(tmp_path)
    for statement, told in DIFFERENCES.items():
        with pytest.raises(FatalError, match="moving the rows of three: the copy differs") as caught:
            moving.carry_out(order(embedded, database_url), changed(database_url, statement), silent)
        assert told in str(caught.value)
    assert not kept_elsewhere(tmp_path)
    assert bytes_of(tmp_path) == before
    moving.carry_out(order(embedded, database_url), changed(database_url, "SELECT 1"), silent)  # the control
    assert await seen(settings(tmp_path, database_url)) == expected


def kept_elsewhere(folder: Path) -> bool:
    return (folder / ELSEWHERE).exists()


async def expired(where: Settings) -> int:
    """Let retention remove what can be removed from the first pipeline's Bronze; return the last event gone."""
    async with opened(where) as it:
        (first, *_) = await it.services.pipelines.stored()
        it.bronze.upkeep.expire(first.id, before=datetime(2027, 1, 1, tzinfo=UTC), keep_bytes=0, up_to=40)
        return it.bronze.upkeep.first_seq(first.id) - 1


async def test_rows_that_cannot_be_made_again_are_not_lost_silently(tmp_path: Path, database_url: str) -> None:
    embedded, there = settings(tmp_path), settings(tmp_path, database_url)
    await filled(embedded)
    gone = await expired(embedded)
    assert gone > 0
    with pytest.raises(ConfigError, match=f"Bronze has its events up to {gone} no more"):
        await rebuilt(embedded, database_url)
    assert not kept_elsewhere(tmp_path)
    moving.carry_out(order(embedded, database_url), silent, silent)  # the control: with rows nothing is in the way
    await checked(there)
    assert await asyncio.to_thread(lambda: list(examinations.rows(there))) == []
    with psycopg.connect(database_url) as connection:
        (schema,) = connection.execute("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'dash_org%'").fetchone()
        connection.execute(f"DROP SCHEMA {schema} CASCADE")
    with pytest.raises(FatalError, match=f"one: events 1 to {gone}") as caught:
        await checked(there)
    assert "database move --to DSN" in caught.value.hint
    told = await asyncio.to_thread(lambda: [(one.state, one.message) for one in examinations.rows(there)])
    assert told == [
        ("bad", "one: rows of events 1 to 40 are missing, and Bronze has those events no more: it does not start"),
        ("warning", "two: the next start makes the rows of 40 events again"),
        ("warning", "three: the next start makes the rows of 40 events again"),
    ]
    assert [(one.name, one.again) for one in await behinds(there)] == [("one", 40 - gone), ("two", 40), ("three", 40)]


async def rebuilt(where: Settings, to: str, **more: Any) -> moving.Moved:
    """Move without rows, as a command does: in a thread that has no event loop."""
    return await asyncio.to_thread(moving.carry_out, order(where, to, rebuild=True, **more), silent, silent)


async def checked(where: Settings) -> None:
    async with opened(where) as it:
        await behind.check(it, await it.services.pipelines.stored())


async def behinds(where: Settings) -> list[behind.Behind]:
    async with opened(where) as it:
        return await behind.look(it, await it.services.pipelines.stored())


async def test_loss_that_is_accepted_is_put_down(tmp_path: Path, database_url: str) -> None:
    embedded, there = settings(tmp_path), settings(tmp_path, database_url)
    await filled(embedded)
    gone = await expired(embedded)
    done = await rebuilt(embedded, database_url, accept_loss=True)
    assert done.rows is None
    await checked(there)
    plane = ControlPlane.look(Access(dsn=Dsn.parse(database_url)))
    assert plane.read_now(lambda tx: list(audit.verify(tx))) == []
    plane.close()
    assert (gone, [one.lost_up_to for one in await behinds(there)]) == (40, [0, 0])


async def test_rows_left_from_before_are_not_taken_for_new_ones(tmp_path: Path, database_url: str) -> None:
    embedded, there = settings(tmp_path), settings(tmp_path, database_url)
    await filled(there)
    await rebuilt(there, "embedded")
    assert [one.again for one in await behinds(embedded)] == [40, 40, 40]
    assert not list((tmp_path / FOLDER).glob("*.wal"))


async def test_somebody_elses_move_is_not_mixed_up_with(tmp_path: Path, database_url: str) -> None:
    one, other = settings(tmp_path / "one"), settings(tmp_path / "other")
    await filled(one, events=4)
    await filled(other, events=4)
    assert await check_interrupted(tmp_path / "one", one, database_url, 3, control_c)
    with pytest.raises(Conflict, match=r"a move of .*one.* to the same database was begun and not ended"):
        moving.carry_out(order(other, database_url), silent, silent)
    moving.carry_out(order(one, database_url), silent, silent)
    with pytest.raises(Conflict, match="there are rows already in audit"):
        moving.carry_out(order(other, database_url), silent, silent)
