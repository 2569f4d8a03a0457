"""Every screen, wide and narrow, light and dark: pictures, nothing cut off, the keyboard reaches everything."""

import json

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.running import RunningAppliance, standard_headers
from tests.ui.browsing import NARROW, WIDE, Opens, shoot

SCREENS = {
    "pipelines": "/pipelines",
    "new-pipeline": "/pipelines/new",
    "overview": "/pipelines/{orders}",
    "mapping": "/pipelines/{orders}/mapping",
    "records": "/pipelines/{host}/records",
    "settings": "/pipelines/{orders}/settings",
    "pipeline-storage": "/pipelines/{host}/storage",
    "dead-letters": "/pipelines/{orders}/dead-letters",
    "ledger": "/pipelines/{host}/ledger",
    "dashboards": "/dashboards",
    "dashboard": "/dashboards/{board}",
    "storage": "/storage",
    "erasures": "/erasures",
    "versions": "/pipelines/{host}/versions",
    "organisations": "/organisations",
    "people": "/people",
    "tokens": "/tokens",
    "sign-in": "/sign-in/providers",
    "license": "/license",
    "appearance": "/appearance",
    "account": "/account",
    "not-found": "/nothing/here",
    "gone": "/pipelines/pl_gone",
}


@pytest.fixture(scope="module")
def names(appliance: RunningAppliance) -> dict[str, str]:
    """What stands for the ids in addresses."""
    with appliance.client() as client:
        pipelines = client.get("/api/v1/pipelines").raise_for_status().json()["items"]
        boards = client.get("/api/v1/dashboards").raise_for_status().json()["items"]
    ids = {one["name"]: one["id"] for one in pipelines}
    board = next(one["id"] for one in boards if one["name"] == "This host")
    return {"orders": ids["orders-demo"], "host": ids["this-host"], "board": board}


def visit(page: Page, path: str) -> None:
    page.goto(f"{page.url.split('/', 3)[0]}//{page.url.split('/', 3)[2]}{path}")
    page.wait_for_selector("html[data-ready] #main :is(h1, h2)")
    expect(page.locator(".skeleton:visible")).to_have_count(0)


@pytest.mark.parametrize(
    ("width", "theme"),
    [
        ("1440", "light"),
        ("390", "dark"),
        pytest.param("1440", "dark", marks=pytest.mark.slow),
        pytest.param("390", "light", marks=pytest.mark.slow),
    ],
)
def test_every_screen_fits_its_window(signed_in: Opens, names: dict[str, str], theme: str, width: str) -> None:
    page = signed_in("/account", viewport=WIDE if width == "1440" else NARROW, theme=theme)
    for name, path in SCREENS.items():
        visit(page, path.format_map(names))
        overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert overflow <= 0, f"{name} is {overflow} px too wide at {width}"
        assert page.locator("h1, h2").first.is_visible()
        unnamed = page.evaluate(UNNAMED)
        assert unnamed == [], f"{name}: controls without a name"
        page.wait_for_timeout(300)  # for the picture only: let the first frames of charts settle
        shoot(page, f"{name}-{theme}-{width}")


# Controls that a screen reader could not name.
UNNAMED = """() => [...document.querySelectorAll("main :is(button, a, input, select, textarea), header :is(button, a)")]
  .filter(el => el.getClientRects().length && !el.closest(".cm-editor"))
  .filter(el => !(el.getAttribute("aria-label") || el.textContent.trim() || el.title || el.labels?.length))
  .map(el => el.outerHTML.slice(0, 120))"""


HOSTILE = '<img src=x onerror="window.hurt=1">\'`${hurt}`{{hurt}}&amp;\u2028' + "w" * 40


def test_hostile_names_and_values_are_only_text(appliance: RunningAppliance, signed_in: Opens) -> None:
    mapping = {"fields": [{"name": "text", "type": "string", "path": "$.text"}], "unmapped": "keep"}
    more = {"description": HOSTILE}
    pipeline_id, secret = appliance.create_pipeline(HOSTILE, mapping, **more)
    body = json.dumps({"text": HOSTILE, HOSTILE: HOSTILE}).encode()
    headers = standard_headers(secret, "msg_hostile", body)
    httpx.post(f"{appliance.url}/in/{pipeline_id}", content=body, headers=headers).raise_for_status()
    appliance.wait_refined(pipeline_id)
    with appliance.client() as client:
        count = {"pipeline": pipeline_id, "measures": [{"op": "count"}], "group_by": ["text"], "range": "1h"}
        widget = {"id": "w", "title": HOSTILE, "type": "table", "query": count, "unit": "<b>"}
        line = widget | {"id": "l", "type": "timeseries", "query": count | {"bucket": "1m"}}
        board = client.post("/api/v1/dashboards", json={"name": HOSTILE, "widgets": [widget, line]}).json()["id"]
    page = signed_in("/account", viewport=NARROW)
    for path in (
        "/pipelines",
        "/pipelines/{}",
        "/pipelines/{}/mapping",
        "/pipelines/{}/records",
        "/pipelines/{}/settings",
    ):
        visit(page, path.format(pipeline_id))
        expect(page.get_by_text(HOSTILE[:20]).first).to_be_visible()
        assert page.evaluate("window.hurt") is None
        assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0, path
    visit(page, f"/pipelines/{pipeline_id}/records")
    page.locator("tbody tr").first.click()
    expect(page.locator("#raw-event")).to_contain_text("onerror")
    visit(page, f"/dashboards/{board}")
    expect(page.locator("section.table tbody")).to_contain_text("onerror")
    page.locator("canvas").hover()
    assert page.evaluate("window.hurt") is None


def test_the_keyboard_skips_to_the_content_and_changes_the_theme(signed_in: Opens) -> None:
    page = signed_in("/tokens")
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="New token")).to_be_focused()
    page.get_by_role("radio", name="Theme of the system").focus()
    page.keyboard.press("ArrowLeft")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")  # remembered
    page.wait_for_selector("[data-theme-toggle]")


def test_the_menu_opens_on_a_narrow_screen(signed_in: Opens) -> None:
    page = signed_in("/account", viewport=NARROW)
    link = page.get_by_role("link", name="Dashboards")
    expect(link).not_to_be_visible()
    page.get_by_role("button", name="Menu").click()
    expect(link).to_be_visible()
    shoot(page, "menu-light-390")
    link.click()
    page.wait_for_url("**/dashboards")


def test_a_token_is_made_shown_once_used_and_revoked(appliance: RunningAppliance, signed_in: Opens) -> None:
    page = signed_in("/tokens")
    page.get_by_role("button", name="New token").click()
    page.locator("dialog [name=name]").fill("grafana")
    page.locator("dialog [name=name]").press("Enter")
    token = page.locator("#new-token").inner_text()
    headers = {"authorization": f"Bearer {token}"}
    assert httpx.get(f"{appliance.url}/api/v1/pipelines", headers=headers).status_code == 200
    shoot(page, "token-created-light-1440")
    row = page.locator("tbody tr", has_text="grafana")
    row.get_by_role("button", name="Revoke").click()
    expect(page.locator("tbody tr", has_text="grafana")).to_have_count(0)
    assert httpx.get(f"{appliance.url}/api/v1/pipelines", headers=headers).status_code == 401
    page.reload()
    expect(page.locator("#new-token")).to_have_count(0)


@pytest.mark.parametrize(("path", "status"), [("/nothing", 404), ("/pipelines/pl_gone", 404), ("/dashboards/x", 404)])
def test_what_is_not_there_is_a_404_with_a_next_step(signed_in: Opens, path: str, status: int) -> None:
    page = signed_in("/account")
    answer = page.goto(page.url.replace("/account", path))
    assert answer is not None
    assert answer.status == status
    expect(page.locator(".notice-steps a").first).to_be_visible()
