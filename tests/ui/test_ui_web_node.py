"""The screens of a web node, whose pipelines an ingestor runs."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.roles import Pair, ingestor_and_web
from tests.ui.browsing import NARROW, WIDE, Opens, shoot, sign_in

MAPPING: dict[str, Any] = {"fields": [{"name": "device", "path": "$.device", "type": "string", "required": True}]}


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory, postgres: Any) -> Iterator[Pair]:
    with ingestor_and_web(tmp_path_factory.mktemp("pair"), postgres.new_database(), sample=True) as pair:
        yield pair


@pytest.mark.slow
@pytest.mark.parametrize(("viewport", "theme"), [(WIDE, "light"), (NARROW, "dark")])
def test_every_screen_opens(opened: Opens, pair: Pair, viewport: dict[str, int], theme: str) -> None:
    with pair.web.client() as client:
        pipeline_id = client.get("/api/v1/pipelines").json()["items"][0]["id"]
        dashboard_id = client.get("/api/v1/dashboards").json()["items"][0]["id"]
    page = opened(pair.web.url, "/sign-in?next=/nodes", viewport=viewport, theme=theme)
    sign_in(page)
    expect(page.get_by_text("ingestor", exact=True).first).to_be_visible()
    expect(page.get_by_text("web", exact=True).first).to_be_visible()
    below = ("", "/records", "/dead-letters", "/mapping", "/versions", "/ledger", "/storage", "/settings")
    paths = [f"/pipelines/{pipeline_id}{one}" for one in below]
    paths += ["/pipelines", f"/dashboards/{dashboard_id}", "/jobs", "/storage", "/erasures", "/tokens", "/nodes"]
    for path in paths:
        page.goto(pair.web.url + path)
        page.wait_for_selector("#main h1, #main h2")
        if "/dashboards/" in path:
            expect(page.get_by_text("MiB").or_(page.get_by_text("%")).first).to_be_visible()
        shoot(page, f"web{path.replace(pipeline_id, 'p').replace(dashboard_id, 'd').replace('/', '-')}-{theme}")


@pytest.mark.slow
def test_rows_appear_while_somebody_looks(opened: Opens, pair: Pair) -> None:
    pipeline_id, _ = pair.web.create_pipeline("live", MAPPING, source={"type": "webhook", "signature": "none"})
    page = opened(pair.web.url, f"/sign-in?next=/pipelines/{pipeline_id}/records")
    sign_in(page)
    page.wait_for_url(f"{pair.web.url}/pipelines/{pipeline_id}/records")
    page.wait_for_selector("#main h1, #main h2")
    with pair.ingestor.client() as client:
        while client.post(f"/in/{pipeline_id}", json={"device": "boiler-4711"}).status_code == 404:
            page.wait_for_timeout(100)
    expect(page.get_by_text("boiler-4711").first).to_be_visible()


@pytest.mark.slow
def test_the_sidebar_says_who_is_away(opened: Opens, pair: Pair) -> None:
    page = opened(pair.web.url, "/sign-in?next=/nodes")
    sign_in(page)
    mark = page.locator(".health")
    expect(mark).to_contain_text("All systems ready")
    names = page.locator("tbody .name")
    expect(names).to_have_count(2)
    assert len(set(names.all_inner_texts())) == 2  # of one machine, and told apart
    pair.ingestor.kill()
    expect(mark).to_contain_text("Ingestors are away", timeout=40_000)
    expect(mark).to_have_attribute("title", re.compile("no ingestor runs: nothing is received"))
    shoot(page, "web-ingestors-away")
