"""Who may look: signing in and out, other sites, other people's sessions."""

import re

import httpx
import pytest
from playwright.sync_api import expect

from tests.running import EMAIL, PASSWORD, RunningAppliance
from tests.ui.browsing import Opens, shoot, sign_in


@pytest.mark.parametrize("path", ["/", "/pipelines", "/pipelines/new", "/dashboards", "/tokens", "/account"])
def test_without_a_session_every_page_leads_to_signing_in(appliance: RunningAppliance, path: str) -> None:
    answer = httpx.get(appliance.url + path, follow_redirects=True)
    assert answer.url.path == "/sign-in"
    forged = httpx.get(appliance.url + path, cookies={"dash_session": "forged"}, follow_redirects=True)
    assert forged.url.path == "/sign-in"


def test_a_wrong_password_is_told_beside_the_form(appliance: RunningAppliance, opened: Opens) -> None:
    page = opened(appliance.url, "/sign-in?next=/pipelines")
    page.fill("[name=email]", EMAIL)
    page.fill("[name=password]", "not the password at all")
    page.press("[name=password]", "Enter")
    expect(page.get_by_role("alert").filter(has_text="wrong")).to_be_visible()
    shoot(page, "sign-in-wrong-light-1440")
    page.get_by_role("button", name="Show the password").click()
    expect(page.locator("[name=password]")).to_have_attribute("type", "text")
    page.fill("[name=password]", PASSWORD)
    page.press("[name=password]", "Enter")
    page.wait_for_url("**/pipelines")


def test_next_never_leads_to_another_site(appliance: RunningAppliance, opened: Opens) -> None:
    page = opened(appliance.url, "/sign-in?next=//example.com/pipelines")
    sign_in(page)
    page.wait_for_url(f"{appliance.url}/dashboards")


def test_the_cookie_is_out_of_reach_of_scripts(appliance: RunningAppliance, signed_in: Opens) -> None:
    page = signed_in("/account")
    assert "dash_session" not in page.evaluate("document.cookie")
    cookie = next(one for one in page.context.cookies() if one.get("name") == "dash_session")
    assert cookie.get("httpOnly") is True
    assert cookie.get("sameSite") == "Lax"


def test_signing_out_closes_the_other_pages_too(appliance: RunningAppliance, signed_in: Opens) -> None:
    page = signed_in("/account")
    other = page.context.new_page()
    other.goto(f"{appliance.url}/pipelines")
    other.wait_for_selector("#pipelines")
    page.get_by_role("button", name="Sign out").last.click()
    page.wait_for_url("**/sign-in")
    other.wait_for_url("**/sign-in", timeout=5_000)
    other.goto(f"{appliance.url}/pipelines")
    other.wait_for_url("**/sign-in?next=/pipelines")


def test_an_action_after_the_session_ended_leads_to_signing_in(appliance: RunningAppliance, signed_in: Opens) -> None:
    page = signed_in("/pipelines")
    page.get_by_role("link", name="orders-demo").click()
    page.wait_for_selector("h1:text('orders-demo')")
    cookie = next(one["value"] for one in page.context.cookies() if one["name"] == "dash_session")
    httpx.delete(f"{appliance.url}/api/v1/session", cookies={"dash_session": cookie}).raise_for_status()
    page.get_by_role("button", name="Pause").click()
    page.wait_for_url(re.compile("/sign-in[?]next=/pipelines/pl_"))


@pytest.mark.parametrize("door", ["sign-in", "setup", "sign-out", "password"])
@pytest.mark.parametrize(
    "headers", [{"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}, {"origin": "https://example.com"}]
)
def test_forms_of_other_sites_are_refused(appliance: RunningAppliance, door: str, headers: dict[str, str]) -> None:
    answer = httpx.post(f"{appliance.url}/ui/{door}", json={"email": EMAIL, "password": PASSWORD}, headers=headers)
    assert answer.status_code == 403
    assert answer.headers["content-type"] == "application/problem+json"
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"", 400), (b"{", 400), (b"[]", 422), (b'{"email": 3, "password": "x"}', 422), (b"x" * 20_000, 400)],
)
def test_bad_forms_are_the_senders_problem(appliance: RunningAppliance, body: bytes, status: int) -> None:
    answer = httpx.post(f"{appliance.url}/ui/sign-in", content=body)
    assert answer.status_code == status
    assert answer.json()["title"]


def test_socket_of_another_origin_is_refused(appliance: RunningAppliance) -> None:
    address = f"{appliance.url}/_nicegui_ws/socket.io/?EIO=4&transport=polling"
    assert httpx.get(address, headers={"origin": "https://example.com"}).status_code == 400
    assert httpx.get(address, headers={"origin": appliance.url}).status_code == 200


def test_every_answer_keeps_the_browser_within_the_origin(appliance: RunningAppliance) -> None:
    for path in ("/sign-in", "/nothing", "/assets/none/x.css"):
        headers = httpx.get(appliance.url + path).headers
        assert "default-src 'self'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"


def test_the_password_is_changed_on_the_account_page(appliance: RunningAppliance, signed_in: Opens) -> None:
    page = signed_in("/account")
    page.fill("[name=old]", "wrong old password")
    page.fill("[name=new]", PASSWORD)
    page.press("[name=new]", "Enter")
    expect(page.get_by_role("alert").filter(has_text="old password is wrong")).to_be_visible()
    page.fill("[name=old]", PASSWORD)
    page.press("[name=old]", "Enter")  # the same again: other tests sign in with it
    expect(page.get_by_role("status").filter(has_text="The password is changed")).to_be_visible()
    page.goto(f"{appliance.url}/pipelines")
    page.wait_for_selector("#pipelines")  # still signed in, by a new session
