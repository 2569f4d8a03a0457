"""Storage on screen: how long data is kept, and somebody's data erased after it was counted."""

import re
from typing import Any

import httpx
from playwright.sync_api import expect

from tests.running import RunningAppliance
from tests.ui.browsing import NARROW, Opens, shoot

MAPPING: dict[str, Any] = {"fields": [{"name": "who", "path": "$.who", "type": "string"}]}


def test_wrong_durations_are_told_beside_their_field(signed_in: Opens, appliance: RunningAppliance) -> None:
    page = signed_in("/storage")
    page.wait_for_selector("html[data-ready]")
    page.locator("[name=silver]").fill("a fortnight")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("#e-silver")).to_contain_text("a duration such as")
    page.locator("[name=silver]").fill("400d")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Saved", exact=True)).to_be_visible(timeout=15_000)
    page.reload()
    expect(page.locator("[name=silver]")).to_have_value("400d")
    page.get_by_role("button", name="Give free space back").click()
    expect(page.get_by_text("given back in")).to_be_visible(timeout=15_000)


def test_what_was_typed_just_before_saving_is_saved(signed_in: Opens, appliance: RunningAppliance) -> None:
    page = signed_in("/storage")
    page.wait_for_selector("html[data-ready]")
    page.locator("[name=bronze]").evaluate(
        """input => {
          for (const value of ["3", "30", "300d"]) {
            input.value = value;
            input.dispatchEvent(new Event("input", { bubbles: true }));
          }
          input.form.requestSubmit();
        }"""
    )
    expect(page.get_by_text("Saved", exact=True)).to_be_visible(timeout=15_000)
    page.reload()
    expect(page.locator("[name=bronze]")).to_have_value("300d")


def test_what_is_archived_and_what_a_lost_machine_would_lose(signed_in: Opens, appliance: RunningAppliance) -> None:
    page = signed_in("/storage")
    page.wait_for_selector("html[data-ready]")
    card = page.locator(".card", has_text="under the name office")
    expect(card).to_contain_text("archiving")
    expect(card).to_contain_text(re.compile(r"Not yet archived, and lost with this machine: [\d,]+ events"))


def test_somebody_is_counted_and_erased(signed_in: Opens, appliance: RunningAppliance) -> None:
    source = {"type": "webhook", "signature": "none"}
    pipeline_id, _ = appliance.create_pipeline("erased-on-screen", MAPPING, source=source)
    events = [{"who": "ada"}, {"who": "grace"}, {"who": "ada"}]
    httpx.post(f"{appliance.url}/in/{pipeline_id}", json=events).raise_for_status()
    appliance.wait_refined(pipeline_id)
    page = signed_in("/erasures", viewport=NARROW, theme="dark")
    page.wait_for_selector("html[data-ready]")
    page.locator("[name=pipeline]").select_option(pipeline_id)
    page.get_by_role("button", name="Count").click()
    for name in ("path", "value", "reason"):  # all that lacks, each beside its field
        expect(page.locator(f"#e-{name}")).to_have_text("Please fill this in.")
    page.locator("[name=path]").fill("$.who")
    page.locator("[name=value]").fill("ada")
    page.locator("[name=reason]").fill("request 4711")
    page.get_by_role("button", name="Count").click()
    newest = page.locator("tbody tr").first
    expect(newest).to_contain_text("counted", timeout=30_000)  # by itself
    expect(newest).to_contain_text("request 4711")
    page.get_by_role("button", name="Erase", exact=True).click()  # the form still says whose
    box = page.get_by_role("dialog", name="Erase for good")
    expect(box).to_contain_text("Events of erased-on-screen where $.who is ada.")
    shoot(page, "erasures-sure-dark-390")
    box.get_by_role("button", name="Erase for good").click()
    expect(box).not_to_be_visible()
    expect(newest).to_contain_text(re.compile("confirming|done"), timeout=30_000)
    shoot(page, "erasures-done-dark-390")
    with appliance.client() as client:
        rows = client.get(f"/api/v1/pipelines/{pipeline_id}/records").raise_for_status().json()["items"]
    assert [row["who"] for row in rows] == ["grace"]
