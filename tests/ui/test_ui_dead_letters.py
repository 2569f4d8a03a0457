"""Dead letters on screen: found by cause, tried, retried, fixed and dropped; the ledger follows."""

import re
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.running import RunningAppliance
from tests.ui.browsing import NARROW, Opens, shoot

MAPPING: dict[str, Any] = {
    "fields": [
        {"name": "device", "path": "$.device", "type": "string", "required": True},
        {"name": "temp_c", "path": "$.temp_c", "type": "float", "max": 200},
    ]
}
EVENTS = [
    {"device": "b1", "temp_c": 20},
    {"temp_c": 21},
    {"device": "b1", "temp_c": 999},
    {"device": "b2", "temp_c": 500},
    {"device": "b2", "temp_c": "warm"},
]


@pytest.fixture
def boilers(appliance: RunningAppliance, request: pytest.FixtureRequest) -> str:
    """A pipeline with one row and four dead letters."""
    source = {"type": "webhook", "signature": "none"}
    name = f"boilers-{request.node.name}"
    pipeline_id, _ = appliance.create_pipeline(name, MAPPING, source=source)
    httpx.post(f"{appliance.url}/in/{pipeline_id}", json=EVENTS).raise_for_status()
    appliance.wait_refined(pipeline_id)
    return pipeline_id


def rows(appliance: RunningAppliance, pipeline_id: str) -> list[int]:
    with appliance.client() as client:
        page = client.get(f"/api/v1/pipelines/{pipeline_id}/records", params={"order": "asc"}).raise_for_status()
    return [row["_seq"] for row in page.json()["items"]]


def at_dead_letters(signed_in: Opens, pipeline_id: str, **more: Any) -> Page:
    page: Page = signed_in(f"/pipelines/{pipeline_id}/dead-letters", **more)
    page.wait_for_selector("html[data-ready]")
    return page


def test_a_cause_is_chosen_tried_and_retried(appliance: RunningAppliance, signed_in: Opens, boilers: str) -> None:
    page = at_dead_letters(signed_in, boilers)
    expect(page.locator("section[aria-label=Causes] tbody tr")).to_have_count(3)
    shoot(page, "dead-letters-found-light-1440")
    page.locator("section[aria-label=Causes]").get_by_role("link", name="max").click()
    page.wait_for_url("**reason=max**")
    expect(page.locator("section[aria-label='Dead letters'] tbody tr")).to_have_count(2)
    page.get_by_role("button", name="Retry", exact=True).click()
    box = page.get_by_role("dialog", name="Dead letters")
    expect(box).to_contain_text("2 events: 2 still dead")  # tried at once, nothing changed
    shoot(page, "dead-letters-retry-light-1440")
    with appliance.client() as client:
        view = client.get(f"/api/v1/pipelines/{boilers}").json()
        better = {**MAPPING, "fields": [MAPPING["fields"][0], MAPPING["fields"][1] | {"max": 600}]}
        document = {"name": view["name"], "source": view["source"], "mapping": better}
        client.put(f"/api/v1/pipelines/{boilers}", json=document).raise_for_status()
    box.get_by_role("button", name="Retry", exact=True).click()
    expect(page.get_by_text(re.compile("2 events: 1 stored, 1 still dead"))).to_be_visible()
    assert rows(appliance, boilers) == [1, 4]


def test_one_event_is_fixed(appliance: RunningAppliance, signed_in: Opens, boilers: str) -> None:
    page = at_dead_letters(signed_in, boilers)
    page.get_by_label("Choose event 2", exact=True).check()
    expect(page.get_by_text("1 chosen")).to_be_visible()
    page.get_by_role("button", name="Fix…").click()
    box = page.get_by_role("dialog", name="Dead letters")
    expect(box.locator("[name=document]")).to_have_value(re.compile('"temp_c": 21'))
    box.locator("[name=document]").fill('{"device": "b7", "temp_c": 21}')
    box.get_by_role("button", name="Try").click()
    expect(box).to_contain_text("1 event: 1 stored")
    box.get_by_role("button", name="Fix", exact=True).click()
    expect(box).to_contain_text("Give a reason")
    box.locator("[name=reason]").fill("the sender forgot it")
    shoot(page, "dead-letters-fix-light-1440")
    box.get_by_role("button", name="Fix", exact=True).click()
    expect(page.get_by_text("1 event: 1 stored").last).to_be_visible()
    assert rows(appliance, boilers) == [1, 2]


def test_a_cause_is_dropped_on_a_narrow_screen(appliance: RunningAppliance, signed_in: Opens, boilers: str) -> None:
    page = at_dead_letters(signed_in, boilers, viewport=NARROW, theme="dark")
    page.locator("section[aria-label=Causes]").get_by_role("link", name="type").click()
    page.wait_for_url("**reason=type**")
    page.get_by_role("button", name="Drop…").click()
    box = page.get_by_role("dialog", name="Dead letters")
    box.locator("[name=reason]").fill("a test message")
    shoot(page, "dead-letters-drop-dark-390")
    box.get_by_role("button", name="Drop", exact=True).click()
    expect(page.get_by_text("1 event: 1 filtered")).to_be_visible()
    assert appliance.ledger(boilers)["filtered"] == 1
    page.goto(f"{appliance.url}/pipelines/{boilers}/ledger")
    expect(page.get_by_role("heading", name="Where they went")).to_be_visible()
    shoot(page, "ledger-dropped-dark-390")
