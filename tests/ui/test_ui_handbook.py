"""The handbook in a real browser: nobody signs in, the keyboard finds things, both themes, on a phone."""

import pytest
from playwright.sync_api import expect

from tests.running import RunningAppliance
from tests.ui.browsing import NARROW, WIDE, Opens, shoot

PAGES = ("/docs/", "/docs/mapping", "/docs/errors", "/docs/reference/settings", "/docs/reference/performance")


def test_somebody_searches_by_keyboard_and_lands_at_the_heading(opened: Opens, appliance: RunningAppliance) -> None:
    page = opened(appliance.url, "/docs/")
    page.keyboard.press("/")
    page.keyboard.type("e_rate_limited")
    expect(page.locator(".hit").first).to_contain_text("E_RATE_LIMITED")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_url("**/docs/errors.html#e_rate_limited")
    expect(page.locator("#e_rate_limited")).to_be_in_viewport()
    page.locator(".find input").fill("xylophonist")
    expect(page.locator(".nothing")).to_contain_text("Nothing is found")


# What an administrator types, and the page that answers.
ASKED = {
    "lost admin password": "lost-password",
    "forgot password": "lost-password",
    "disk full": "runbook.html#the-disk-fills",
    "how do I move to another server": "move",
    "certificate": "https",
    "ssl": "https",
    "reverse proxy": "https",
    "firewall": "https",
    "uninstall": "install.html#uninstall",
    "backup to s3 bucket": "backup",
}


def test_what_one_would_type_is_found(opened: Opens, appliance: RunningAppliance) -> None:
    page = opened(appliance.url, "/docs/")
    field = page.locator(".find input")
    for words, place in ASKED.items():
        field.fill(words)
        expect(page.locator(".hit").first).to_be_visible()  # the first time, when the index is there
        found = page.locator(".hit").evaluate_all("hits => hits.slice(0, 3).map((hit) => hit.getAttribute('href'))")
        assert any(place in one for one in found), f"{words!r} finds {found}"


def test_a_page_that_is_not_there_can_be_searched_from(opened: Opens, appliance: RunningAppliance) -> None:
    page = opened(appliance.url, "/docs/reference/nothing")
    expect(page.locator("h1")).to_contain_text("This page is not here")
    page.locator(".find input").fill("signature")
    page.locator(".hit").first.click()
    page.wait_for_url("**/docs/*.html*")
    expect(page.locator("h1")).to_be_visible()


@pytest.mark.parametrize(("viewport", "theme"), [(WIDE, "light"), (NARROW, "dark")])
def test_pages_fit_their_window(
    opened: Opens, appliance: RunningAppliance, viewport: dict[str, int], theme: str
) -> None:
    page = opened(appliance.url, "/docs/", viewport=viewport, theme=theme)
    assert page.evaluate("document.documentElement.dataset.theme") == theme
    for path in PAGES:
        page.goto(appliance.url + path)
        over = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert over <= 0, f"{path} is {over} px too wide"
        if path in PAGES[:2]:
            shoot(page, f"handbook-{path.strip('/').replace('/', '-')}-{theme}-{viewport['width']}")


def test_code_is_copied_and_the_menu_opens(opened: Opens, appliance: RunningAppliance) -> None:
    page = opened(appliance.url, "/docs/getting-started", viewport=NARROW)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.locator(".copy").first.click()
    expect(page.locator(".copy").first).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()").strip() == "./dash-appliance-0.1.0-linux-x86_64.run serve"
    page.get_by_role("button", name="Pages").click()
    page.get_by_role("link", name="Errors", exact=True).click()
    page.wait_for_url("**/docs/errors.html")


def test_a_screen_leads_to_the_page_about_it(signed_in: Opens) -> None:
    page = signed_in("/storage")
    link = page.get_by_role("link", name="Handbook")
    assert link.get_attribute("href") == "/docs/storage"
    with page.context.expect_page() as opening:
        link.click()
    expect(opening.value.locator("h1")).to_contain_text("Storage")
