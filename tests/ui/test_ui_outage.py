"""What people see while the database of their own is away: what was known, and that it is."""

import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import expect

from tests.postgres import PostgresServer, postgres_server
from tests.running import RunningAppliance
from tests.ui.browsing import NARROW, Opens, shoot, sign_in


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with postgres_server() as server:
        yield server


@pytest.fixture(scope="module")
def connected(tmp_path_factory: pytest.TempPathFactory, server: PostgresServer) -> Iterator[RunningAppliance]:
    folder: Path = tmp_path_factory.mktemp("connected")
    one = RunningAppliance(folder, environment={"DASH_DATABASE_URL": server.new_database()})
    one.setup(sample=True)
    one.start()
    yield one
    one.stop()


def received(one: RunningAppliance) -> int:
    """Return how many events of this host's metrics have come in so far."""
    with one.client() as client:
        return sum(
            pipeline["live"]["ledger"]["received"] for pipeline in client.get("/api/v1/pipelines").json()["items"]
        )


def until_back(one: RunningAppliance) -> None:
    deadline = time.monotonic() + 30
    while httpx.get(f"{one.url}/readyz?part=database", trust_env=False).status_code != 200:
        assert time.monotonic() < deadline, "the database is not found again"
        time.sleep(0.1)


def test_screens_show_what_was_known_and_say_so(
    opened: Opens, connected: RunningAppliance, server: PostgresServer
) -> None:
    page = opened(connected.url, "/sign-in?next=/pipelines", viewport=NARROW, theme="dark")
    sign_in(page)
    page.wait_for_url(connected.url + "/pipelines")
    expect(page.get_by_role("link", name="this-host")).to_be_visible()
    assert page.locator("#outage").count() == 0
    page.get_by_role("link", name="this-host").click()
    page.wait_for_selector("html[data-ready]")
    assert received(connected) > 0
    server.stop()
    try:
        page.goto(connected.url + "/pipelines")
        expect(page.locator("#outage")).to_contain_text("The database has not answered since", timeout=30_000)
        expect(page.get_by_role("link", name="this-host")).to_be_visible()
        shoot(page, "outage-pipelines-dark-390")
        page.get_by_role("link", name="this-host").click()  # looked at before: its page shows on
        expect(page.locator("#outage")).to_contain_text("events are received and kept", timeout=30_000)
        before = received(connected)
        page.wait_for_timeout(10_000)  # longer than a lease lasts
        assert received(connected) > before  # it is polled on
        expect(page.locator("#main h1")).to_have_text("this-host")
        page.emulate_media(color_scheme="light")
        page.set_viewport_size({"width": 1440, "height": 900})
        shoot(page, "outage-pipeline-light-1440")
    finally:
        server.start()
    until_back(connected)
    page.reload()
    page.wait_for_selector("html[data-ready]")
    expect(page.locator("#outage")).to_have_count(0)
