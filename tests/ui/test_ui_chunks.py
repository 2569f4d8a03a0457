"""Chunks of a pipeline on screen: previewed and saved; and what is missing where there are none."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.running import RunningAppliance, until
from tests.timescale import needs_timescale, timescale_database
from tests.ui.browsing import NARROW, WIDE, Opens, shoot, sign_in

MAPPING: dict[str, Any] = {
    "time": {"path": "$.ts"},
    "fields": [
        {"name": "device", "path": "$.device", "type": "string"},
        {"name": "temp_c", "path": "$.temp_c", "type": "float"},
        {"name": "raw", "path": "$", "type": "json"},
    ],
}
ROLLUPS = [{"name": "per_day", "bucket": "1d", "measures": [{"op": "max", "field": "temp_c"}]}]
DAYS = 12


@pytest.fixture(scope="module")
def cut(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningAppliance, str]]:
    """An appliance on TimescaleDB with a pipeline of twelve days, of which four have grown old enough for columns."""
    with timescale_database() as url:
        environment = {"DASH_DATABASE_URL": url, "DASH_RETENTION_EVERY": "10s"}
        running = RunningAppliance(tmp_path_factory.mktemp("chunks"), environment=environment)
        running.setup()
        running.start()
        source = {"type": "webhook", "signature": "none"}
        pipeline_id, _ = running.create_pipeline("boiler-room", MAPPING, source=source, rollups=ROLLUPS)
        began = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=DAYS - 1)
        every = timedelta(days=DAYS) / 12_000
        for first in range(0, 12_000, 4_000):
            events = [
                {"device": f"b{n % 40}", "temp_c": 20 + n % 7, "ts": (began + n * every).isoformat()}
                for n in range(first, first + 4_000)
            ]
            httpx.post(f"{running.url}/in/{pipeline_id}", content=json.dumps(events)).raise_for_status()
        running.wait_refined(pipeline_id)
        with running.client() as client:
            until(lambda: client.get(f"/api/v1/pipelines/{pipeline_id}/chunks").json()["columnar"] >= 4, 60)
        yield running, pipeline_id
        running.stop()


def storage_of(
    cut: tuple[RunningAppliance, str], opened: Opens, *, viewport: dict[str, int] | None = None, theme: str = "light"
) -> Page:
    running, pipeline_id = cut
    path = f"/pipelines/{pipeline_id}/storage"
    page = opened(running.url, f"/sign-in?next={path}", viewport=viewport, theme=theme)
    sign_in(page)
    page.wait_for_url(running.url + path)
    page.wait_for_selector("html[data-ready]")
    return page


@needs_timescale
def test_chunks_are_previewed_in_words_and_saved(cut: tuple[RunningAppliance, str], opened: Opens) -> None:
    page = storage_of(cut, opened)
    expect(page.locator(".stats")).to_contain_text("of their size is left")
    expect(page.locator("#f-order_by option")).to_have_text(["guessed from the rows", "device", "temp_c"])
    expect(page.locator("tbody tr").first).to_contain_text("rows")
    shoot(page, "chunks-light-1440")

    page.fill("[name=interval]", "5m")
    page.fill("[name=compress_after]", "soon")
    page.get_by_role("button", name="See what it changes").click()
    expect(page.locator("#e-interval")).to_contain_text("Expected a duration from 1h to 365d, got '5m'")
    expect(page.locator("#e-compress_after")).to_contain_text("or 'never'")

    page.fill("[name=interval]", "6h")
    page.fill("[name=compress_after]", "3d")
    page.locator("[name=views]").select_option("yes")
    page.get_by_role("button", name="See what it changes").click()
    words = page.locator("dialog[open] .words")
    expect(words).to_contain_text("New chunks are for 6h each, not 1d, from the next round of retention on")
    expect(words).to_contain_text("The next rounds of retention convert 4 chunks")
    expect(words).to_contain_text("1 rollup is kept as a view for other tools")
    shoot(page, "chunks-preview-light-1440")
    page.get_by_role("button", name="Save as a new version").click()
    expect(page.get_by_text("Version 2 is running")).to_be_visible(timeout=15_000)
    expect(page.locator("[name=interval]")).to_have_value("6h")
    running, pipeline_id = cut
    with running.client() as client:
        path = f"/api/v1/pipelines/{pipeline_id}/chunks"
        assert client.get(path).json()["chunks"] == {"interval": "6h", "compress_after": "3d", "views": True}
        until(lambda: client.get(path).json()["width"] == "6h", 60)
    for theme, viewport in (("dark", WIDE), ("light", NARROW), ("dark", NARROW)):
        shown = storage_of(cut, opened, viewport=viewport, theme=theme)
        shoot(shown, f"chunks-{theme}-{viewport['width']}")
        assert shown.evaluate("document.documentElement.scrollWidth") <= viewport["width"]


def test_without_timescale_it_is_said_what_is_missing(signed_in: Opens, appliance: RunningAppliance) -> None:
    source = {"type": "webhook", "signature": "none"}
    pipeline_id, _ = appliance.create_pipeline("not-cut", {}, source=source)
    page = signed_in(f"/pipelines/{pipeline_id}/storage", viewport=NARROW)
    expect(page.get_by_text("Rows are kept in the embedded DuckDB")).to_be_visible()
    expect(page.locator("[name=interval]")).to_have_count(0)
    expect(page.get_by_text("as the organisation says, on the page Storage")).to_be_visible()
    shoot(page, "chunks-missing-light-390")
