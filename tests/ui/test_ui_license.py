"""The activation wizard in a browser: a code to send, what is wrong said, what changes shown, then in force."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from license.document import Limits
from tests.licensed import issued
from tests.running import RunningAppliance
from tests.ui.browsing import NARROW, Opens, shoot, sign_in

SMALL = Limits(organisations=1, users=5, pipelines=11, events_per_day=None, nodes=1)
UNSIGNED = {"type": "webhook", "signature": "none"}


@pytest.fixture(scope="module")
def unlicensed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningAppliance]:
    """An appliance without a licence, and with as many pipelines as Community allows."""
    running = RunningAppliance(tmp_path_factory.mktemp("license"), community=True)
    running.setup()
    running.start()
    with running.client() as client:
        for number in range(10):
            document = {"name": f"p{number}", "source": UNSIGNED}
            client.post("/api/v1/pipelines", json=document).raise_for_status()
    yield running
    running.stop()


def at(opened: Opens, running: RunningAppliance, path: str, **more: object) -> Page:
    page = opened(running.url, f"/sign-in?next={path}", **more)
    sign_in(page)
    page.wait_for_url(running.url + path)
    page.wait_for_selector("html[data-ready] #main h1")
    return page


def paste(page: Page, document: str) -> None:
    page.get_by_label("Licence", exact=True).fill(document)
    page.get_by_role("button", name="See what it changes").click()


def test_a_licence_is_asked_for_refused_tried_and_put_in_force(
    opened: Opens, unlicensed: RunningAppliance, tmp_path: Path
) -> None:
    page = at(opened, unlicensed, "/pipelines")
    expect(page.locator(".beside-button")).to_contain_text("Community allows 10 pipelines, and there are 10")
    page.goto(unlicensed.url + "/license")
    page.wait_for_selector("html[data-ready] #main h1")
    code = page.locator("#request-code").inner_text()
    assert re.fullmatch(r"([0-9A-Z]{4}-){3}[0-9A-Z]{4}", code)
    expect(page.get_by_role("img", name=f"QR code of the request code {code}")).to_be_visible()
    shoot(page, "license-community-light-1440")
    paste(page, "Dear customer, here it is.")
    expect(page.get_by_role("alert")).to_contain_text("This is not a whole licence")
    paste(page, issued(installation="7KQ2-M8XD-0T3W-E9HP"))
    expect(page.get_by_role("alert")).to_contain_text("It is for another installation")
    expect(page.get_by_role("alert")).to_contain_text("What was in force still is")
    expect(page.locator("#changes")).to_have_count(0)
    shoot(page, "license-refused-light-1440")
    file = tmp_path / "licence.txt"
    file.write_text(issued(installation=code, limits=SMALL, edition="Team", days=12))
    page.locator("input[type=file]").set_input_files(file)
    expect(page.get_by_role("alert")).to_have_count(0)
    page.get_by_role("button", name="See what it changes").click()
    expect(page.locator("#changes tr", has_text="Pipelines")).to_contain_text("11")
    with unlicensed.client() as client:
        assert client.get("/api/v1/license").json()["edition"] == "Community"  # looking changes nothing
    shoot(page, "license-preview-light-1440")
    page.get_by_role("button", name="Put it in force").click()
    expect(page.get_by_label("In force")).to_contain_text("Team", timeout=15_000)
    expect(page.locator(".callout.warn")).to_contain_text("ends in 12 days")
    page.goto(unlicensed.url + "/pipelines/new")
    expect(page.locator(".banner")).to_contain_text("ends in 12 days")
    expect(page.locator(".beside-button")).to_have_count(0)
    (tmp_path / "token").write_text(unlicensed.token)
    told = unlicensed.run("license", "show", "--url", unlicensed.url, "--token-file", str(tmp_path / "token"))
    assert told.stdout.startswith("Team, of Example Works (lic_tests): ending"), told.stderr


def test_the_licence_on_a_phone_and_on_another_day(opened: Opens, unlicensed: RunningAppliance) -> None:
    page = at(opened, unlicensed, "/license", viewport=NARROW, theme="dark")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.get_by_label("On this day").fill("2099-12-31")
    expect(page.locator(".deeds .refused")).to_have_count(3)
    expect(page.locator(".deeds li", has_text="sign in").last).to_contain_text("goes on")
    shoot(page, "license-dark-390")
