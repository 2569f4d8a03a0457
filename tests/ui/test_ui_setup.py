"""The first two minutes: an empty appliance, a wizard, a dashboard that moves."""

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.running import RunningAppliance
from tests.ui.browsing import Opens, shoot


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[RunningAppliance]:
    running = RunningAppliance(tmp_path)
    running.start()
    yield running
    running.stop()


def test_from_nothing_to_a_dashboard_that_moves_by_keyboard(empty: RunningAppliance, opened: Opens) -> None:
    began = time.monotonic()
    page = opened(empty.url)
    page.wait_for_url("**/setup")
    expect(page.get_by_text(str(empty.data_dir))).to_be_visible()
    expect(page.get_by_text("Events are received meanwhile, and screens wait")).to_be_visible()
    expect(page.locator("[data-next]:visible")).to_be_focused()
    shoot(page, "setup-1-light-1440")
    page.keyboard.press("Enter")

    page.wait_for_selector("[name=admin_email]:focus")
    shoot(page, "setup-2-light-1440")
    page.keyboard.press("Enter")
    expect(page.locator("#e-admin_email")).to_have_text("Please fill this in.")

    page.keyboard.type("ada@example.org")
    page.keyboard.press("Tab")
    page.keyboard.type("too short")
    expect(page.locator("[data-strength-text]")).to_have_text("3 more characters needed")
    page.keyboard.press("Enter")
    expect(page.locator("#e-admin_password")).to_have_text("At least 12 characters.")
    page.keyboard.type(" but longer now")
    expect(page.locator(".strength")).to_have_attribute("data-score", "4")
    page.keyboard.press("Enter")

    page.wait_for_selector("[name=organisation]:focus")
    page.keyboard.type("Example Works")
    page.keyboard.press("Enter")
    expect(page.locator("[data-review=organisation]")).to_have_text("Example Works")
    shoot(page, "setup-4-light-1440")
    page.keyboard.press("Enter")
    page.wait_for_url("**/dashboards/*")
    expect(page.locator("[data-value]").first).not_to_be_empty(timeout=15_000)
    samples = page.locator(".widget:has-text('Last hour') tbody td").last  # a count: it grows whatever the machine does
    expect(samples).to_have_text(re.compile(r"\d"), timeout=15_000)
    before = samples.inner_text()
    expect(samples).not_to_have_text(before, timeout=15_000)
    assert time.monotonic() - began < 120

    page.goto(f"{empty.url}/setup")
    page.wait_for_url("**/dashboards*")  # set up once: the wizard is gone
    expect(page.locator(".org")).to_have_text("Example Works")


def test_what_the_server_refuses_stands_beside_its_field(empty: RunningAppliance, opened: Opens) -> None:
    page = opened(empty.url, "/setup")
    page.locator("[data-next]:visible").click()
    page.fill("[name=admin_email]", "ada@localhost@twice")
    page.fill("[name=admin_password]", "correct horse battery")
    page.locator("[name=admin_email]").evaluate("input => input.type = 'text'")  # past the browser's own check
    page.press("[name=admin_password]", "Enter")
    page.fill("[name=organisation]", "Example Works")
    page.press("[name=organisation]", "Enter")
    page.get_by_role("button", name="Set up Dash").click()
    expect(page.locator("#e-admin_email")).not_to_be_empty()
    expect(page.locator("[name=admin_email]")).to_be_focused()


def test_starting_empty_leads_to_the_first_pipeline(empty: RunningAppliance, opened: Opens) -> None:
    page = opened(empty.url, "/setup", viewport={"width": 390, "height": 844})
    page.locator("[data-next]:visible").click()
    page.fill("[name=admin_email]", "ada@example.org")
    page.fill("[name=admin_password]", "correct horse battery")
    page.locator("[data-next]:visible").click()
    page.fill("[name=organisation]", "Example Works")
    page.locator("[data-next]:visible").click()
    page.get_by_text("Start empty").click()
    shoot(page, "setup-4-light-390")
    page.get_by_role("button", name="Set up Dash").click()
    page.wait_for_url("**/pipelines")
    expect(page.get_by_role("heading", name="Create your first pipeline")).to_be_visible()
    shoot(page, "pipelines-empty-light-390")
    page.goto(f"{empty.url}/dashboards")
    expect(page.get_by_role("heading", name="No dashboards yet")).to_be_visible()
