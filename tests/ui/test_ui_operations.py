"""Operations on screen: incidents acknowledged, failures set aside, the log searched, a bundle looked at and saved."""

import zipfile
from pathlib import Path

from playwright.sync_api import expect

from tests.running import RunningAppliance
from tests.ui.browsing import NARROW, Opens, shoot


def test_a_well_node_says_so_and_a_drained_one_is_an_incident(signed_in: Opens) -> None:
    page = signed_in("/operations")
    expect(page.locator("#main")).to_contain_text("Open")
    shoot(page, "operations-wide")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_log_is_searched_and_goes_on_by_itself(signed_in: Opens) -> None:
    page = signed_in("/operations?show=log", viewport=NARROW, theme="dark")
    page.wait_for_selector("html[data-ready]")
    expect(page.locator("tbody tr").first).to_be_visible()
    page.get_by_role("searchbox").fill("appliance.ready")
    expect(page.locator("tbody tr")).to_have_count(1)
    page.get_by_role("searchbox").fill("there is no such line")
    expect(page.locator("#main")).to_contain_text("Nothing in memory fits that.")
    page.get_by_role("searchbox").fill("")
    shoot(page, "operations-log-narrow-dark")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_failures_have_an_empty_state(signed_in: Opens) -> None:
    page = signed_in("/operations?show=failures")
    expect(page.locator("#main")).to_contain_text("By kind")
    shoot(page, "operations-failures-wide")


def test_a_bundle_is_looked_at_and_saved(signed_in: Opens, appliance: RunningAppliance, tmp_path: Path) -> None:
    page = signed_in("/operations?show=bundle", theme="dark")
    page.locator("summary", has_text="about.json").click()
    expect(page.locator("details[open] pre")).to_contain_text('"python"')
    shoot(page, "operations-bundle-dark")
    with page.expect_download() as waiting:
        page.get_by_role("link", name="Save it").click()
    target = tmp_path / waiting.value.suggested_filename
    waiting.value.save_as(target)
    with zipfile.ZipFile(target) as bundle:
        assert {"about.json", "settings.json", "log.jsonl", "manifest.json"} <= set(bundle.namelist())


def test_a_release_is_chosen_looked_at_and_dropped(signed_in: Opens, tmp_path: Path) -> None:
    page = signed_in("/operations?show=upgrade")
    page.wait_for_selector("html[data-ready]")
    for name, label in (("release.tar.xz", "Choose the release"), ("release.tar.xz.sig", "Choose its signature")):
        (tmp_path / name).write_bytes(b"not a release")
        with page.expect_navigation():
            page.locator("label", has_text=label).locator("input").set_input_files(tmp_path / name)
        page.wait_for_selector("html[data-ready]")
    expect(page.locator("#main")).to_contain_text("What was uploaded")
    expect(page.locator(".callout.bad")).to_contain_text("only what install.sh has installed")
    shoot(page, "operations-upgrade-wide")
    page.set_viewport_size(NARROW)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    shoot(page, "operations-upgrade-narrow")
    page.get_by_role("button", name="Drop it").click()
    expect(page.locator("#main")).not_to_contain_text("What was uploaded")


def test_resources_are_told_wide_and_narrow(signed_in: Opens) -> None:
    page = signed_in("/operations?show=resources")
    expect(page.locator("#main")).to_contain_text("Threads by kind of work")
    expect(page.locator("#main")).to_contain_text("Bodies under way")
    shoot(page, "operations-resources-wide")
    page = signed_in("/operations?show=resources", viewport=NARROW, theme="dark")
    expect(page.locator("#main")).to_contain_text("Cleaning up")
    shoot(page, "operations-resources-narrow-dark")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_maintenance_is_begun_told_on_every_page_and_ended(signed_in: Opens, appliance: RunningAppliance) -> None:
    page = signed_in("/operations?show=maintenance")
    page.wait_for_selector("html[data-ready]")
    page.get_by_label("What everybody is told").fill("The database moves to a new machine")
    page.get_by_label("For how long").fill("soon")
    page.get_by_role("button", name="Begin maintenance").click()
    expect(page.locator(".field-error, [aria-invalid=true]").first).to_be_visible()
    page.get_by_label("For how long").fill("2h")
    page.get_by_role("button", name="Begin maintenance").click()
    expect(page.locator("#maintenance")).to_contain_text("The database moves to a new machine")
    shoot(page, "operations-maintenance-wide")
    elsewhere = signed_in("/pipelines", viewport=NARROW, theme="dark")
    expect(elsewhere.locator("#maintenance")).to_contain_text("Under maintenance until")
    shoot(elsewhere, "operations-maintenance-banner-narrow-dark")
    elsewhere.goto(f"{appliance.url}/operations?show=maintenance")
    expect(elsewhere.get_by_role("button", name="End it")).to_be_visible()
    shoot(elsewhere, "operations-maintenance-narrow-dark")
    assert elsewhere.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.get_by_role("button", name="End it").click()
    expect(page.locator("#maintenance")).to_have_count(0)
    expect(page.get_by_role("button", name="Begin maintenance")).to_be_visible()
