"""Signing in by a provider in a browser: set up on the page, tried, gone to, come back from, and out again."""

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.fakes.openid_provider import CLIENT_ID, CLIENT_SECRET, Provider
from tests.licensed import EVERY_FEATURE, issued
from tests.running import RunningAppliance
from tests.ui.browsing import NARROW, WIDE, Opens, Watch, shoot, sign_in

PAGE = "/sign-in/providers"


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with Provider() as running:
        running.asks = True
        yield running


@pytest.fixture(scope="module")
def entitled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningAppliance]:
    """An appliance whose licence names enterprise sign-in, and that may ask a provider on this machine."""
    running = RunningAppliance(
        tmp_path_factory.mktemp("sign-in"), environment={"DASH_EGRESS_ALLOW": "127.0.0.1/32"}, community=True
    )
    running.setup()
    running.start()
    yield running
    running.stop()


def at(opened: Opens, running: RunningAppliance, path: str, **more: object) -> Page:
    page = opened(running.url, f"/sign-in?next={path}", **more)
    sign_in(page)
    page.wait_for_url(running.url + path)
    page.wait_for_selector("html[data-ready] #main h1")
    return page


def test_a_provider_is_set_up_and_people_come_and_go_by_it(
    opened: Opens, browser: Browser, entitled: RunningAppliance, provider: Provider
) -> None:
    page = at(opened, entitled, PAGE)
    expect(page.locator(".callout")).to_contain_text("Community has no enterprise sign in")
    expect(page.get_by_role("button", name="New provider")).to_be_disabled()
    shoot(page, "sign-in-locked-light-1440")
    with entitled.client() as client:
        client.put("/api/v1/license", json={"document": issued(features=EVERY_FEATURE)}).raise_for_status()
    page.reload()
    page.wait_for_selector("html[data-ready] #main h1")
    page.get_by_role("button", name="New provider").click()
    page.get_by_label("Name", exact=True).fill("Example Works")
    page.get_by_label("Issuer", exact=True).fill("login.example.org")
    page.get_by_role("button", name="Go on").click()
    expect(page.locator("[data-error-for=issuer]")).to_contain_text("is no plain address")
    page.get_by_label("Issuer", exact=True).fill(provider.issuer)
    page.get_by_role("button", name="Go on").click()
    page.wait_for_url(f"**{PAGE}/idp_*")
    page.wait_for_selector("html[data-ready] #main h1")
    callback = page.locator("#callback").inner_text()
    assert callback.startswith(f"{entitled.url}/sign-in/callback/idp_")
    provider.client.redirect_uris = [callback]
    page.get_by_label("Client ID").fill(CLIENT_ID)
    page.get_by_label("Client secret").fill(CLIENT_SECRET)
    page.get_by_label("Roles of groups").fill("staff = boss")
    for label in ("Offer it on the sign-in page", "Make a user of whoever comes", "Signing out here signs out there"):
        page.get_by_label(label).check()
    page.get_by_role("button", name="Save").click()
    expect(page.locator("[data-error-for=roles]")).to_contain_text("one of 'admin', 'editor', 'viewer'")
    page.get_by_label("Roles of groups").fill("staff = editor\nbosses = admin")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".title-row + *, .actions")).to_contain_text(["on"], timeout=15_000)
    page.wait_for_selector("html[data-ready] #main h1")
    assert page.get_by_label("Client secret").input_value() == "********"
    page.get_by_role("button", name="Test", exact=True).click()
    expect(page.locator("[data-state=fine]", has_text="client ID and secret are accepted")).to_be_visible()
    shoot(page, "sign-in-provider-light-1440")
    _come_and_go(browser, entitled, provider)
    page.reload()
    expect(page.locator("[aria-label='Known by it']")).to_contain_text("grace@example.org")


def _come_and_go(browser: Browser, entitled: RunningAppliance, provider: Provider) -> None:
    context = browser.new_context(viewport=WIDE, color_scheme="light")
    context.set_default_timeout(10_000)
    watch, page = Watch(context, entitled.url), context.new_page()
    page.goto(f"{entitled.url}/sign-in?next=/storage")
    shoot(page, "sign-in-with-light-1440")
    page.get_by_role("link", name="Sign in with Example Works").click()
    page.get_by_role("button", name="Let me in").click()
    page.wait_for_url(f"{entitled.url}/storage")
    expect(page.locator(".side .who")).to_have_text("grace@example.org")
    cookies = {one["name"]: one for one in context.cookies()}
    assert (cookies["dash_session"]["httpOnly"], cookies["dash_session"]["sameSite"]) == (True, "Lax")
    assert "dash_ticket" not in cookies
    page.goto(f"{entitled.url}/account")
    expect(page.get_by_role("button", name="Change the password")).to_have_count(0)
    with page.expect_request(f"{provider.issuer}/out?*"):  # signed out there too, where no redirect of a form leads
        page.get_by_role("button", name="Sign out").last.click()
    page.wait_for_url(f"{entitled.url}/sign-in")
    provider.person["groups"], provider.person["email_verified"] = ["staff"], False
    provider.person["sub"] = "u-2"
    page.get_by_role("link", name="Sign in with Example Works").click()
    page.get_by_role("button", name="Let me in").click()
    expect(page.get_by_role("alert").first).to_contain_text("no e-mail address of yours that it has verified")
    shoot(page, "sign-in-refused-light-1440")
    context.close()
    assert {urlsplit(url).netloc for url in watch.foreign} == {urlsplit(provider.issuer).netloc}
    assert watch.errors == []


def test_the_pages_on_a_phone_in_the_dark(opened: Opens, entitled: RunningAppliance) -> None:
    page = opened(entitled.url, "/sign-in?refused=role", viewport=NARROW, theme="dark")
    expect(page.get_by_role("link", name="Sign in with Example Works")).to_be_visible()
    shoot(page, "sign-in-with-dark-390")
    sign_in(page)
    page.wait_for_url("**/dashboards")
    page.goto(entitled.url + PAGE)
    page.wait_for_selector("html[data-ready] #main h1")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    shoot(page, "sign-in-providers-dark-390")
    page.get_by_role("link", name="Example Works").click()
    page.wait_for_url(f"**{PAGE}/idp_*")
    page.wait_for_selector("html[data-ready] #main h1")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    shoot(page, "sign-in-provider-dark-390")
    page.get_by_role("button", name="Switch off").click()
    expect(page.get_by_role("button", name="Switch off")).to_have_count(0)
    page.get_by_role("button", name="Remove…").click()
    page.get_by_role("button", name="Remove the provider").click()
    page.wait_for_url(entitled.url + PAGE)
    expect(page.locator(".notice")).to_contain_text("Everybody signs in by password")
