"""Chunks of one pipeline, adjusted: in the store, and by API in an appliance whose database has TimescaleDB."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import httpx
import pytest
from msgspec.structs import replace

from appliance.api.controllers.chunks import SIX_HOURS
from appliance.components.chunks import Edition
from appliance.components.silver import Column, Table
from appliance.domain.chunks import ChunkRules
from appliance.domain.database.dsn import Dsn
from appliance.domain.mapping import FieldType
from appliance.domain.rollup import Rollup, RollupMeasure
from appliance.settings.sections import Database
from appliance.storage.silver_postgres.store import PostgresSilver
from tests.scenarios.conftest import Scene, api, bare, scene  # noqa: F401 - fixtures
from tests.silver_batches import KEYED, PLAIN, START, Event, batch, number, row
from tests.timescale import LONG_AFTER, extend, needs_own_timescale, needs_timescale, own_timescale, timescale_store

pytestmark = needs_timescale

DAY = timedelta(days=1)
_numbers = count(1)


@pytest.fixture
def store(timescale_url: str) -> Iterator[PostgresSilver]:
    with timescale_store(timescale_url) as made:
        yield made


def ruled(of: Table = PLAIN, **rules: Any) -> Table:
    return replace(of, chunks=ChunkRules(**rules))


def days(count: int, *, first: int = 0, each: int = 24) -> list[Event]:
    step = DAY / each
    return [row(_time=START + (first * each + n) * step, device=f"d{n % 3}", n=n % 7) for n in range(count * each)]


def widths(store: PostgresSilver, of: Table = PLAIN) -> list[float]:
    """Return how many hours each chunk is for, oldest first."""
    found = store.upkeep.chunks(of)
    assert found is not None
    return [(one.end - one.start) / timedelta(hours=1) for one in reversed(found.chunks)]


def test_a_pipeline_has_chunks_of_its_own_width_from_its_first_row_on(store: PostgresSilver) -> None:
    store.commit(batch(ruled(interval=timedelta(hours=6)), 1, days(1)))
    assert widths(store) == [6.0] * 4


def test_another_width_counts_for_new_chunks_from_the_next_round_on(store: PostgresSilver) -> None:
    store.commit(batch(PLAIN, 1, days(2)))
    wider = ruled(interval=7 * DAY)
    store.commit(batch(wider, 49, days(1, first=2)))  # no round yet
    assert widths(store) == [24.0] * 3
    store.upkeep.arrange(wider, START)
    store.commit(batch(wider, 73, days(1, first=30)))
    assert widths(store) == [24.0, 24.0, 24.0, 168.0]
    found = store.upkeep.chunks(wider)
    assert found is not None
    assert (found.width_secs, found.usual.interval) == (604_800, DAY)


def test_each_pipeline_has_its_own_age_for_columns(store: PostgresSilver) -> None:
    store.commit(batch(PLAIN, 1, days(3, each=2_000)))
    now = START + 4 * DAY  # chunks end on the 2nd, 3rd and 4th
    assert store.upkeep.arrange(PLAIN, now) == 0  # the usual is a week
    assert store.upkeep.arrange(ruled(stay_rows=True, compress_after=DAY), now) == 0
    assert store.upkeep.arrange(ruled(compress_after=2 * DAY), now) == 2
    found = store.upkeep.chunks(PLAIN)
    assert found is not None
    assert [one.columnar for one in found.chunks] == [False, True, True]
    assert [one.as_rows_bytes > one.bytes > 0 for one in found.chunks] == [False, True, True]
    store.commit(batch(PLAIN, 6_001, days(1)))  # late
    again = store.upkeep.chunks(PLAIN)
    assert again is not None
    assert [one.grown for one in again.chunks] == [False, False, True]


def test_rows_are_put_together_by_the_field_that_is_chosen(store: PostgresSilver) -> None:
    guessing, asked = ruled(), ruled(order_by="n")
    store.commit(batch(PLAIN, 1, days(2, each=1_000)))
    assert store.upkeep.arrange(guessing, START + 8 * DAY) == 1
    found = store.upkeep.chunks(PLAIN)
    assert found is not None
    assert found.ordered_by == "device, _time, _seq"
    assert store.upkeep.arrange(asked, LONG_AFTER) == 1  # the first one stays as it is
    found = store.upkeep.chunks(PLAIN)
    assert found is not None
    assert found.ordered_by == "n, _time, _seq"
    store.commit(batch(asked, 2_001, days(1, first=5)))
    assert store.upkeep.arrange(ruled(), LONG_AFTER) == 1  # nobody chooses any more: it stays
    found = store.upkeep.chunks(PLAIN)
    assert found is not None
    assert found.ordered_by == "n, _time, _seq"


def test_a_field_that_was_widened_orders_by_what_is_written_now(store: PostgresSilver) -> None:
    wide = replace(ruled(order_by="n"), columns=(PLAIN.columns[0], Column("n", FieldType.STRING)))
    store.commit(batch(PLAIN, 1, days(1)))
    store.commit(batch(wide, 25, [row(_time=START, device="d", n=f"n{n}") for n in range(50)]))
    assert store.upkeep.arrange(wide, LONG_AFTER) == 1
    found = store.upkeep.chunks(wide)
    assert found is not None
    assert found.ordered_by == "n#string, _time, _seq"


def test_views_for_others_are_kept_for_who_asks(store: PostgresSilver) -> None:
    rollup = Rollup(name="per_day", bucket="1d", measures=[RollupMeasure("max", "n")])
    asked = replace(ruled(views=True), rollups=(rollup,))
    store.prepare(asked)
    store.commit(batch(asked, 1, days(1)))
    store.upkeep.arrange(replace(asked, chunks=ChunkRules()), START + DAY)
    chunking = store.upkeep.size().chunking
    assert chunking is not None
    assert chunking.views == ()
    store.upkeep.arrange(asked, START + DAY)
    chunking = store.upkeep.size().chunking
    assert chunking is not None
    assert chunking.views == ("pl_test.per_day",)
    store.drop(asked.pipeline_id)


def test_what_is_not_cut_says_so(store: PostgresSilver) -> None:
    store.commit(batch(KEYED, 1, [row(_key="a", n=1)]))
    found = store.upkeep.chunks(KEYED)
    assert found is not None
    assert (found.edition, found.keyed, found.width_secs, found.chunks) == (Edition.COMMUNITY, True, None, ())
    nothing_yet = store.upkeep.chunks(PLAIN)
    assert nothing_yet is not None
    assert (nothing_yet.keyed, nothing_yet.width_secs) == (False, None)


def test_a_replay_makes_chunks_as_its_version_says(store: PostgresSilver) -> None:
    store.commit(batch(PLAIN, 1, days(1)))
    shadow = store.generations.begin(ruled(interval=timedelta(hours=12)), 1)
    store.commit(batch(shadow, 1, days(1)))
    store.generations.swap(PLAIN.pipeline_id, number(shadow))
    assert widths(store) == [12.0, 12.0]


@pytest.fixture
def database(timescale_url: str) -> Database:
    return Database(url=Dsn.parse(timescale_url), schema=f"dash_api_{next(_numbers)}")


@pytest.fixture
async def boilers(scene: Scene) -> str:  # noqa: F811
    """A pipeline with rows of three days, a year ago."""
    pipeline_id = await scene.boilers(retention={"silver": "400d"})
    began = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - 300 * DAY
    events = [f'{{"device": "b{n % 3}", "temp_c": {n % 9}, "ts": "{began + n * DAY / 24:%FT%TZ}"}}' for n in range(72)]
    await scene.receive(pipeline_id, *(one.encode() for one in events))
    return pipeline_id


async def test_chunks_are_shown_previewed_and_saved(
    scene: Scene,  # noqa: F811
    api: httpx.AsyncClient,  # noqa: F811
    boilers: str,
) -> None:
    path = f"/api/v1/pipelines/{boilers}/chunks"
    shown = (await api.get(path)).raise_for_status().json()
    usual = {"interval": "1d", "compress_after": "7d", "views": False}
    assert (shown["chunks"], shown["in_force"], shown["usual"], shown["missing"]) == ({}, usual, usual, None)
    assert (shown["count"], shown["columnar"], shown["due"], shown["kept"]) == (3, 0, 3, "400d")
    assert (shown["edition"], shown["width"], len(shown["newest"])) == ("community", "1d", 3)

    told = (await api.post(f"{path}/preview", json=SIX_HOURS)).raise_for_status().json()
    assert told["in_force"] == {"interval": "6h", "compress_after": "3d", "views": False}
    assert told["effects"][0] == (
        "New chunks are for 6h each, not 1d, from the next round of retention on; the 3 chunks that are there stay as "
        "they are."
    )
    assert any(one.startswith("A chunk goes into columns 3d after its end, not 7d.") for one in told["effects"])
    assert (await api.get(f"/api/v1/pipelines/{boilers}")).json()["version"] == 1  # nothing was saved

    saved = (await api.put(path, json=SIX_HOURS)).raise_for_status().json()
    assert (saved["chunks"], saved["in_force"]) == (SIX_HOURS, told["in_force"])
    view = (await api.get(f"/api/v1/pipelines/{boilers}")).json()
    assert (view["version"], view["chunks"], view["retention"]) == (2, SIX_HOURS, {"silver": "400d"})
    [entry] = [one for one in (await api.get("/api/v1/audit")).json()["items"] if one["action"] == "pipeline.chunks"]
    assert (entry["target"], entry["detail"]) == (boilers, {"name": "boiler-room", "version": 2})
    await api.put(path, json=SIX_HOURS)  # the same again
    assert (await api.get(f"/api/v1/pipelines/{boilers}")).json()["version"] == 2

    silver = scene.it.engine.silver(scene.admin.organisation_id)
    assert silver.upkeep.arrange(scene.it.engine.table(view["id"]), datetime.now(UTC)) == 3
    shown = (await api.get(path)).raise_for_status().json()
    assert (shown["columnar"], shown["due"], shown["width"]) == (3, 0, "6h")
    assert 0 < shown["share_left"] < 2


async def test_every_problem_is_told(api: httpx.AsyncClient, boilers: str) -> None:  # noqa: F811
    path = f"/api/v1/pipelines/{boilers}/chunks"
    wrong = {"interval": "5m", "compress_after": "soon", "order_by": "divice", "views": "yes", "width": 1}
    for answer in (await api.put(path, json=wrong), await api.post(f"{path}/preview", json=wrong)):
        assert answer.status_code == 422
        found = {one["pointer"]: one["message"] for one in answer.json()["problems"]}
        assert sorted(found) == ["/compress_after", "/interval", "/order_by", "/views", "/width"]
        assert found["/interval"] == "expected a duration from 1h to 365d, got '5m'"
        assert found["/order_by"] == "the mapping has no field 'divice'"
    answer = await api.put(path, json={"order_by": "tags"})
    assert answer.json()["problems"][0]["message"] == "'tags' is JSON, which has no order"


@needs_own_timescale
def test_the_apache_edition_shows_chunks_and_no_columns() -> None:
    with own_timescale(**{"timescaledb.license": "apache"}) as server:
        extend(server.url())
        with timescale_store(server.url()) as apache:
            apache.commit(batch(ruled(interval=2 * DAY), 1, days(4)))
            found = apache.upkeep.chunks(PLAIN)
    assert found is not None
    assert (found.edition, found.in_use) == (Edition.APACHE, True)
    assert [(one.end - one.start, one.columnar) for one in found.chunks][1] == (2 * DAY, False)
