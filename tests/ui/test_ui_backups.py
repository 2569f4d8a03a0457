"""Backups on screen: one taken and verified, the schedule changed, and how one is brought back."""

import re

from playwright.sync_api import expect

from tests.running import RunningAppliance
from tests.ui.browsing import NARROW, Opens, shoot


def test_a_backup_is_taken_verified_and_told(signed_in: Opens, appliance: RunningAppliance) -> None:
    page = signed_in("/backups")
    page.wait_for_selector("html[data-ready]")
    expect(page.locator("#main")).to_contain_text("secret.key is in no backup")
    page.get_by_role("button", name="Full backup").click()
    row = page.locator("tbody tr").first
    expect(row).to_contain_text("full", timeout=30_000)
    expect(row).to_contain_text("good", timeout=30_000)  # a full one is verified by itself
    expect(page.locator("#restore-commands")).to_contain_text("dash-appliance restore /")
    shoot(page, "backups")
    page.locator("[name=full]").fill("whenever")
    page.locator("[name=daily]").fill("9")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("#e-full")).to_contain_text("Expected five cron fields")
    page.locator("[name=full]").fill("15 3 * * *")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Saved", exact=True)).to_be_visible(timeout=15_000)
    with appliance.client() as client:
        plan = client.get("/api/v1/backups/schedule").json()
        audit = client.get("/api/v1/audit").json()["items"]
    assert (plan["full"], plan["keep"]["daily"], plan["verify"]) == ("15 3 * * *", 9, True)
    assert {"backup.create", "backup.plan"} <= {one["action"] for one in audit}


def test_it_fits_a_narrow_dark_screen(signed_in: Opens) -> None:
    page = signed_in("/backups", viewport=NARROW, theme="dark")
    page.wait_for_selector("html[data-ready]")
    expect(page.locator("h1")).to_have_text("Backups")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    expect(page.locator("#main")).to_contain_text(re.compile("The next is due"))
    shoot(page, "backups-narrow")
