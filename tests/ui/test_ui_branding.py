"""White label in a browser: set on the page, seen at sign-in, on pages and in the handbook, in both themes; locked."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.licensed import issued
from tests.pictures import SVG
from tests.running import RunningAppliance
from tests.ui.browsing import NARROW, Opens, shoot, sign_in

HOSTILE = "<script>window.hurt=1</script>שלום"
LOGO = SVG.format('<rect width="9" height="9" rx="2" fill="{}"/>')


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningAppliance]:
    running = RunningAppliance(tmp_path_factory.mktemp("label"), community=True)
    running.setup()
    running.start()
    license_(running, "white_label")
    yield running
    running.stop()


def license_(running: RunningAppliance, *features: str) -> None:
    with running.client() as client:
        client.put("/api/v1/license", json={"document": issued(features=features)}).raise_for_status()


def at(opened: Opens, running: RunningAppliance, path: str, **more: object) -> Page:
    page = opened(running.url, f"/sign-in?next={path}", **more)
    sign_in(page)
    page.wait_for_url(running.url + path)
    page.wait_for_selector("html[data-ready] #main :is(h1, h2)")
    return page


def colour(page: Page, selector: str, of: str = "background-color") -> str:
    return str(page.locator(selector).first.evaluate("(el, of) => getComputedStyle(el).getPropertyValue(of)", of))


def fits(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= innerWidth && window.hurt === undefined"))


def test_a_brand_is_tried_saved_and_shown_everywhere(opened: Opens, labelled: RunningAppliance, tmp_path: Path) -> None:
    page = at(opened, labelled, "/appearance")
    shoot(page, "appearance-dash-light-1440")
    page.get_by_label("Name", exact=True).fill("Example Insight")
    page.get_by_label("Accent", exact=True).fill("#ffcc00")
    expect(page.locator("#e-accent")).to_contain_text("has a contrast of 1.32 : 1")
    shoot(page, "appearance-too-light-light-1440")
    page.get_by_role("button", name="Take #856a00").click()
    expect(page.get_by_label("Accent", exact=True)).to_have_value("#856a00")
    page.get_by_label("Accent", exact=True).fill("#0b6e4f")
    expect(page.locator(".look[data-theme=light] .btn.primary")).to_have_css("background-color", "rgb(11, 110, 79)")
    expect(page.locator(".look[data-theme=dark] .brand-name")).to_have_text("Example Insight")
    page.get_by_label("Who helps").fill("Help desk, extension 4711")
    page.get_by_label("Where that leads").fill("javascript:alert(1)")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#e-link")).to_contain_text("Expected an address with https: or mailto:")
    page.get_by_label("Where that leads").fill("mailto:help@example.org")
    for number, (label, content) in enumerate(
        (("Logo", LOGO.format("#0b6e4f")), ("Logo for the dark theme", LOGO.format("#9be8c8")))
    ):
        file = tmp_path / f"{number}.svg"
        file.write_text(content)
        page.get_by_label(label, exact=True).set_input_files(file)
        expect(page.locator(".picture img")).to_have_count(number + 1)
    expect(page.locator(".side .brand img")).to_have_count(2)
    (tmp_path / "script.svg").write_text(SVG.format("<script>alert(1)</script>"))
    page.get_by_label("Icon of the browser's tab").set_input_files(tmp_path / "script.svg")
    expect(page.locator("[data-upload-error]")).to_contain_text("line 1 has an element <script>")
    expect(page.get_by_label("Name", exact=True)).to_have_value("Example Insight")  # what is typed stays
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".side .brand-name")).to_have_text("Example Insight", timeout=15_000)
    expect(page).to_have_title("Appearance · Example Insight")
    assert colour(page, "main .btn.primary") == "rgb(11, 110, 79)"
    assert page.locator("link[rel~=icon]").get_attribute("href").startswith("/api/v1/branding/logo?v=")
    shoot(page, "appearance-light-1440")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_everybody_sees_it_before_signing_in(opened: Opens, labelled: RunningAppliance, theme: str) -> None:
    page = opened(labelled.url, "/sign-in", theme=theme)
    expect(page).to_have_title("Sign in · Example Insight")
    expect(page.locator(".bare-mark")).to_contain_text("Example Insight")
    logo = page.locator(f".bare-mark img.on-{theme}")
    expect(logo).to_be_visible()
    assert logo.evaluate("(el) => el.complete && el.naturalWidth > 0")
    expect(page.locator(f".bare-mark img.on-{'dark' if theme == 'light' else 'light'}")).to_be_hidden()
    expect(page.get_by_role("link", name="Help desk, extension 4711")).to_have_attribute(
        "href", "mailto:help@example.org"
    )
    expect(page.locator(".bare-foot")).to_contain_text("Powered by Dash")
    shoot(page, f"branded-sign-in-{theme}-1440")
    page.set_viewport_size(NARROW)
    assert fits(page)
    shoot(page, f"branded-sign-in-{theme}-390")
    page.goto(labelled.url + "/docs/")
    expect(page.locator(".top .brand")).to_have_text("Example Insight handbook")
    accent = {"light": "rgb(11, 110, 79)", "dark": "rgb(19, 194, 139)"}[theme]
    assert colour(page, ".pages [aria-current=page]", "color") == accent
    shoot(page, f"branded-handbook-{theme}-390")


def test_a_page_in_the_dark_and_one_that_is_not_there(opened: Opens, labelled: RunningAppliance) -> None:
    page = at(opened, labelled, "/appearance", theme="dark")
    shoot(page, "appearance-dark-1440")
    page.set_viewport_size(NARROW)
    assert fits(page)
    shoot(page, "appearance-dark-390")
    page.goto(labelled.url + "/nothing/here")
    expect(page.get_by_role("link", name="Help desk, extension 4711")).to_be_visible()
    shoot(page, "branded-not-found-dark-390")


EVIL = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><script>
document.documentElement.setAttribute("hurt", "1"); fetch("/livez");</script></svg>"""


def test_a_drawing_that_got_through_all_checks_does_nothing(browser: Browser, labelled: RunningAppliance) -> None:
    """The answer's own headers, with another body; and, as a control, that body without them."""
    context = browser.new_context()
    page, address, asked = context.new_page(), "/api/v1/branding/logo", list[str]()
    context.on("request", lambda request: asked.append(request.url.removeprefix(labelled.url)))
    try:
        page.route(f"**{address}", lambda route: route.fulfill(response=route.fetch(), body=EVIL))
        page.route(f"**{address}?", lambda route: route.fulfill(content_type="image/svg+xml", body=EVIL))
        for path, hurt in ((address, None), (f"{address}?", "1")):
            asked.clear()
            page.goto(labelled.url + path)
            assert page.evaluate("document.documentElement.getAttribute('hurt')") == hurt
            assert ("/livez" in asked) is (hurt is not None)
    finally:
        context.close()


def test_hostile_names_are_only_text_and_without_a_licence_it_is_locked(
    opened: Opens, labelled: RunningAppliance, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text(labelled.token)
    there = ("--url", labelled.url, "--token-file", str(tmp_path / "token"))
    words = ("--name", HOSTILE + "W" * 20, "--support", HOSTILE, "--support-link", "https://example.org/'\"><b>")
    assert labelled.run("branding", "reset", *there).returncode == 0
    told = labelled.run("branding", "set", *words, "--no-powered-by", *there)
    assert HOSTILE in told.stdout, told.stderr
    license_(labelled)
    refused = labelled.run("branding", "set", "--accent", "#000000", *there)
    assert (refused.returncode, "install a licence that names white_label" in refused.stderr) == (1, True)
    page = opened(labelled.url, "/sign-in", viewport=NARROW)
    expect(page.locator(".bare-mark")).to_contain_text(HOSTILE)
    expect(page.locator(".bare-foot")).not_to_contain_text("Powered")
    assert fits(page)
    shoot(page, "branded-hostile-light-390")
    for path in ("/appearance", "/nothing/here", "/docs/"):
        page = at(opened, labelled, path, viewport=NARROW) if path == "/appearance" else page
        page.goto(labelled.url + path)
        page.wait_for_selector("#main :is(h1, h2)")
        expect(page.locator(".brand").first).to_contain_text(HOSTILE)
        assert fits(page), path
    page.goto(labelled.url + "/appearance")
    expect(page.locator(".callout")).to_contain_text("what was set stays and may be taken away")
    expect(page.get_by_label("Name", exact=True)).to_be_disabled()
    expect(page.get_by_role("button", name="Save")).to_be_disabled()
    expect(page.locator("[data-upload]")).to_have_count(0)
    shoot(page, "appearance-locked-light-390")
    page.get_by_role("button", name="Reset…").click()
    page.get_by_role("dialog").get_by_role("button", name="Reset").click()
    expect(page.locator(".side .brand")).to_have_text("Dash", timeout=15_000)
    expect(page).to_have_title("Appearance · Dash")
