"""Organisations and people on screen: one made, renamed and deleted; somebody added and shut out; what others see."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.running import RunningAppliance
from tests.ui.browsing import NARROW, Opens, shoot

PASSPHRASE = "a long pass phrase"


def ready(page: Page) -> Page:
    page.wait_for_selector("html[data-ready]")
    return page


def fits(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= innerWidth"))


@pytest.fixture
def rival(appliance: RunningAppliance) -> Iterator[str]:
    """A second organisation; its administrator is eve@example.net."""
    with appliance.client() as api:
        new = {"name": "Eve and Co", "admin_email": "eve@example.net", "admin_password": PASSPHRASE}
        own = api.post("/api/v1/organisations", json=new).raise_for_status().json()["id"]
        yield own
        api.delete(f"/api/v1/organisations/{own}", params={"name": "Eve and Co"}).raise_for_status()


def test_an_organisation_is_made_renamed_and_deleted(signed_in: Opens) -> None:
    page = ready(signed_in("/organisations"))
    expect(page.locator("#main")).to_contain_text("There is no other yet")
    shoot(page, "organisations-one")
    page.get_by_role("button", name="New organisation").click()
    box = page.get_by_role("dialog", name="New organisation")
    box.get_by_label("Name", exact=True).fill("Rival Works")
    box.get_by_label("E-mail address of its administrator").fill("mallory@example.net")
    box.get_by_label("First password", exact=True).fill("short")
    box.get_by_role("button", name="Create organisation").click()
    expect(box.locator("[data-error-for^=admin_password]")).to_contain_text("12")
    shoot(page, "organisations-new")
    box.get_by_label("First password", exact=True).fill(PASSPHRASE)
    box.get_by_role("button", name="Create organisation").click()
    expect(box).to_be_hidden()
    row = page.locator("tbody tr", has_text="Rival Works")
    expect(row.locator("[data-label=People]")).to_have_text("1")
    row.get_by_role("button", name="Rename").click()
    box = page.get_by_role("dialog", name="Rename the organisation")
    box.get_by_label("Name").fill("Rivals")
    box.get_by_role("button", name="Rename").click()
    row = page.locator("tbody tr", has_text="Rivals")
    row.get_by_role("button", name="Delete").click()
    box = page.get_by_role("dialog", name="Delete the organisation")
    box.get_by_label("Its name, to be sure").fill("Rival Works")
    box.get_by_role("button", name="Delete for good").click()
    expect(box.locator("[data-error-for^=name]")).to_contain_text("as a confirmation")
    shoot(page, "organisations-delete")
    box.get_by_label("Its name, to be sure").fill("Rivals")
    box.get_by_role("button", name="Delete for good").click()
    expect(page.locator("tbody tr")).to_have_count(1)


def test_somebody_is_added_and_shut_out(signed_in: Opens, appliance: RunningAppliance) -> None:
    page = ready(signed_in("/people"))
    page.get_by_role("button", name="Add somebody").click()
    box = page.get_by_role("dialog", name="Add somebody")
    box.get_by_label("E-mail address").fill("bob@example.org")
    box.get_by_label("Role").select_option("editor")
    box.get_by_label("First password", exact=True).fill(PASSPHRASE)
    shoot(page, "people-add")
    box.get_by_role("button", name="Add", exact=True).click()
    row = page.locator("tbody tr", has_text="bob@example.org")
    expect(row).to_contain_text("Editor")
    row.get_by_role("button", name="Shut out").click()
    expect(row).to_contain_text("shut out")
    given = {"email": "bob@example.org", "password": PASSPHRASE}
    assert httpx.post(f"{appliance.url}/api/v1/session", json=given, trust_env=False).status_code == 401
    expect(page.locator("tbody tr", has_text="you").get_by_role("button")).to_have_count(1)  # the role alone
    shoot(page, "people-wide")


@pytest.mark.usefixtures("rival")
def test_an_administrator_of_another_organisation_is_not_led_to_what_is_of_the_appliance(
    opened: Opens, signed_in: Opens, appliance: RunningAppliance
) -> None:
    page = opened(appliance.url, "/sign-in?next=/account")
    page.wait_for_selector("[name=email]:focus")
    page.fill("[name=email]", "eve@example.net")
    page.fill("[name=password]", PASSPHRASE)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{appliance.url}/account")
    assert page.locator(".org").text_content() == "Eve and Co"
    led = page.locator("nav[aria-label=Main] a").all_text_contents()
    assert [one.strip() for one in led] == [
        "Dashboards", "Pipelines", "Storage", "Jobs", "People", "API tokens", "Sign-in", "Licence",
    ]  # fmt: skip
    for path in ("/organisations", "/operations", "/nodes"):
        page.goto(appliance.url + path)
        expect(page.locator("#main")).to_contain_text("is of the whole appliance")
    shoot(page, "not-of-the-appliance")
    for path in ("/storage", "/license", "/people", "/pipelines/new"):
        page.goto(appliance.url + path)
        ready(page)
        assert page.locator("h1").count() == 1
        shoot(page, f"other{path.replace('/', '-')}")
    operator = ready(signed_in("/organisations", viewport=NARROW, theme="dark"))
    expect(operator.locator("tbody tr", has_text="Eve and Co")).to_contain_text("org_")
    assert fits(operator)
    shoot(operator, "organisations-narrow-dark")
    operator.goto(f"{appliance.url}/people")
    assert fits(ready(operator))
    shoot(operator, "people-narrow-dark")
    operator.goto(f"{appliance.url}/account")
    expect(operator.locator("#main")).to_contain_text("which operates this appliance")


def test_a_long_list_of_people_comes_by_pages(opened: Opens, appliance: RunningAppliance, rival: str) -> None:
    with closing(sqlite3.connect(appliance.data_dir / "control.sqlite3", timeout=30)) as file, file:
        file.executemany(  # made by hand: hashing so many passwords takes long
            "INSERT INTO user_account (id, organisation_id, email, email_key, password_hash, role, created_at)"
            " SELECT ?, organisation_id, ?, ?, '!', 'viewer', created_at FROM user_account WHERE email_key = ?",
            [
                (f"user_zz{one:03}", f"p{one:03}@example.net", f"p{one:03}@example.net", "eve@example.net")
                for one in range(120)
            ],
        )
    page = opened(appliance.url, "/sign-in?next=/people")
    page.wait_for_selector("[name=email]:focus")
    page.fill("[name=email]", "eve@example.net")
    page.fill("[name=password]", PASSPHRASE)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{appliance.url}/people")
    rows = ready(page).locator("tbody tr")
    expect(rows).to_have_count(100)
    shoot(page, "people-many")
    page.get_by_role("button", name="Next 100").click()
    expect(rows).to_have_count(21)
    expect(page.get_by_role("button", name="Next 100")).to_have_count(0)
    page.get_by_role("button", name="First page").click()
    expect(rows.first).to_contain_text("eve@example.net")
    httpx.post(f"{appliance.url}/ui/sign-out", cookies={"dash_session": _cookie(page)}, trust_env=False)
    page.wait_for_url("**/sign-in")


def _cookie(page: Page) -> str:
    return next(one["value"] for one in page.context.cookies() if one["name"] == "dash_session")
