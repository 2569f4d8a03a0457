"""A real appliance with the sample workspace, and a real browser in front of it."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.running import RunningAppliance
from tests.ui.browsing import CHROMIUM, FLAGS, WIDE, Opens, Watch, sign_in


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def appliance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningAppliance]:
    """One appliance for all tests of this folder: set up from the command line, with the sample workspace."""
    archive = tmp_path_factory.mktemp("archive")
    backups = tmp_path_factory.mktemp("backups")
    environment = {
        "DASH_ARCHIVE_URL": f"file://{archive}",
        "DASH_ARCHIVE_NAME": "office",
        "DASH_BACKUP_URL": f"file://{backups}",
    }
    running = RunningAppliance(tmp_path_factory.mktemp("ui"), environment=environment)
    running.setup(sample=True)
    running.start()
    yield running
    running.stop()
    assert "has been deleted but is still being used" not in (running.folder / "log").read_text()


@pytest.fixture
def opened(browser: Browser) -> Iterator[Opens]:
    """Return a function that opens a page at an address, in a browser that knows nobody; judges what it did."""
    watches: list[tuple[BrowserContext, Watch]] = []

    def open_page(
        origin: str, path: str = "/", *, viewport: dict[str, int] | None = None, theme: str = "light"
    ) -> Page:
        context = browser.new_context(viewport=viewport or WIDE, color_scheme=theme)  # type: ignore[arg-type]
        context.set_default_timeout(10_000)
        watches.append((context, Watch(context, origin)))
        page = context.new_page()
        page.goto(origin + path)
        page.wait_for_selector("#main")
        return page

    yield open_page
    for context, watch in watches:
        context.close()
        assert watch.foreign == []
        assert watch.errors == []
        assert watch.requests > 0


@pytest.fixture
def signed_in(opened: Opens, appliance: RunningAppliance) -> Opens:
    """Return a function that opens a page of somebody who is signed in."""

    def open_page(path: str, *, viewport: dict[str, int] | None = None, theme: str = "light") -> Page:
        page = opened(appliance.url, f"/sign-in?next={path}", viewport=viewport, theme=theme)
        sign_in(page)
        page.wait_for_url(appliance.url + path)
        page.wait_for_selector("#main h1, #main h2")
        return page

    return open_page
