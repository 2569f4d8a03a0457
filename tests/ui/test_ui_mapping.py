"""The mapping editor: tried on real events while one types; problems stand where they are."""

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.running import RunningAppliance, standard_headers
from tests.ui.browsing import Opens, shoot

EVENTS = b'[{"device": "boiler-1", "temp_f": 212, "at": "2026-01-31T12:00:00Z"}, {"device": "boiler-2", "temp_f": -40}]'


@pytest.fixture
def pipeline(appliance: RunningAppliance, request: pytest.FixtureRequest) -> str:
    """A webhook with two events and an empty mapping; its id."""
    pipeline_id, secret = appliance.create_pipeline(f"mapped-{request.node.name}"[:60], {})
    headers = standard_headers(secret, "msg_1", EVENTS)
    httpx.post(f"{appliance.url}/in/{pipeline_id}", content=EVENTS, headers=headers).raise_for_status()
    appliance.wait_refined(pipeline_id)
    return pipeline_id


def add_field(page: Page, name: str, origin: str, text: str, type_: str) -> None:
    fields = page.locator("tr.one")
    before = fields.count()
    page.get_by_role("button", name="Add field").click()
    expect(fields).to_have_count(before + 1)
    row = page.locator("tr.one").last
    row.get_by_label("Field name").fill(name)
    if origin == "Formula":
        row.get_by_label("Comes from").select_option(label=origin)
        row = page.locator("tr.one").last
    row.get_by_label(origin, exact=True).fill(text)
    row.get_by_label("Type").select_option(type_)


def test_a_mapping_is_written_tried_and_saved(appliance: RunningAppliance, signed_in: Opens, pipeline: str) -> None:
    page = signed_in(f"/pipelines/{pipeline}/mapping")
    expect(page.locator(".tally")).to_contain_text("2 events")
    add_field(page, "device", "Path", "$.device", "string")
    add_field(page, "temp_c", "Formula", "(temp_f - 32) * 5 / 9", "float")
    expect(page.locator("table.dense tbody")).to_contain_text("100")  # 212 °F are 100 °C
    expect(page.locator("table.dense tbody")).to_contain_text("-40")  # and -40 °F are -40 °C
    shoot(page, "mapping-preview-light-1440")
    page.get_by_role("button", name="Save as version 2").click()
    expect(page.get_by_role("status").filter(has_text="Version 2 is running")).to_be_visible()
    expect(page.get_by_role("button", name="Save as version 3")).to_be_visible()
    with appliance.client() as client:
        saved = client.get(f"/api/v1/pipelines/{pipeline}").raise_for_status().json()
        assert saved["version"] == 2
        assert saved["mapping"]["fields"][1] == {"name": "temp_c", "type": "float", "expr": "(temp_f - 32) * 5 / 9"}
        document = {key: saved[key] for key in ("name", "source")} | {"mapping": {"fields": []}}
        client.put(f"/api/v1/pipelines/{pipeline}", json=document).raise_for_status()
    page.get_by_role("button", name="Save as version 3").click()
    expect(page.get_by_role("alert").filter(has_text="Version 3 was saved meanwhile")).to_be_visible()
    page.get_by_role("button", name="Save as version 4").click()
    expect(page.get_by_role("status").filter(has_text="Version 4 is running")).to_be_visible()


def test_problems_stand_in_their_cells(signed_in: Opens, pipeline: str) -> None:
    page = signed_in(f"/pipelines/{pipeline}/mapping")
    add_field(page, "temp_c", "Formula", "frobnicate(temp_f)", "float")
    formula = page.get_by_label("Formula", exact=True)
    expect(formula).to_have_attribute("aria-invalid", "true")
    expect(page.locator("tr.one .cell-error", has_text="frobnicate")).to_be_visible()
    shoot(page, "mapping-problem-light-1440")
    page.get_by_role("button", name="JSON").click()
    expect(page.locator(".cm-problem")).to_contain_text("frobnicate")
    shoot(page, "mapping-problem-json-light-1440")
    page.get_by_role("button", name="Form", exact=True).click()
    page.get_by_label("Formula", exact=True).fill("temp_f / 2")
    expect(page.locator("table.dense tbody")).to_contain_text("106")
    expect(page.get_by_label("Formula", exact=True)).not_to_have_attribute("aria-invalid", "true")


def test_dead_letters_are_seen_before_saving(signed_in: Opens, pipeline: str) -> None:
    page = signed_in(f"/pipelines/{pipeline}/mapping")
    add_field(page, "temp_f", "Path", "$.temp_f", "float")
    page.get_by_role("button", name="Limits, unit and description").click()
    page.get_by_label("Least").fill("0")
    expect(page.locator(".tally")).to_contain_text("1 dead letter")
    expect(page.locator(".problem")).to_contain_text("temp_f")


def test_fields_are_suggested_from_the_last_event(signed_in: Opens, pipeline: str) -> None:
    page = signed_in(f"/pipelines/{pipeline}/mapping")
    page.get_by_role("button", name="Suggest").click()
    expect(page.get_by_label("Field name")).to_have_count(2)
    expect(page.locator("table.dense thead")).to_contain_text("temp_f")


def test_the_json_view_is_the_same_draft(signed_in: Opens, pipeline: str) -> None:
    page = signed_in(f"/pipelines/{pipeline}/mapping")
    page.get_by_role("button", name="JSON").click()
    page.locator(".cm-content").click()
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.insert_text('{"fields": [{"name": "d", "type": "string", "path": "$.device"}')
    expect(page.locator(".problems")).to_contain_text("not JSON yet")
    page.keyboard.insert_text("]}")
    expect(page.locator("table.dense tbody")).to_contain_text("boiler-2")
    page.get_by_role("button", name="Form", exact=True).click()
    expect(page.get_by_label("Path", exact=True)).to_have_value("$.device")


def test_dead_letters_have_their_reason_and_their_event(appliance: RunningAppliance, signed_in: Opens) -> None:
    mapping = {"fields": [{"name": "temp_f", "type": "float", "path": "$.temp_f", "required": True, "min": 0}]}
    pipeline_id, secret = appliance.create_pipeline("with-dead-letters", mapping)
    body = b'[{"temp_f": -40}, {"other": 1}, {"temp_f": 20}]'
    headers = standard_headers(secret, "msg_1", body)
    httpx.post(f"{appliance.url}/in/{pipeline_id}", content=body, headers=headers).raise_for_status()
    assert appliance.wait_refined(pipeline_id)["dead"] == 2
    page = signed_in(f"/pipelines/{pipeline_id}/dead-letters")
    letters = page.locator("section[aria-label='Dead letters'] tbody tr")
    expect(letters).to_have_count(2)
    expect(letters.last).to_contain_text("-40")
    shoot(page, "dead-letters-light-1440")
    letters.last.get_by_title("Show the event").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#raw-event")).to_contain_text('"temp_f": -40')
    page.keyboard.press("Escape")
    page.locator("section[aria-label=Causes] a.badge").first.click()
    expect(letters).to_have_count(1)
    page.goto(page.url.replace("reason=", "reason=none_"))
    expect(page.get_by_role("heading", name="None of this kind")).to_be_visible()
