"""From a changed mapping to rebuilt history, on screen: compared, kept as a candidate, replayed, undone."""

import re
from typing import Any

import httpx
import pytest
from playwright.sync_api import expect

from tests.running import RunningAppliance
from tests.ui.browsing import NARROW, Opens, shoot

MAPPING: dict[str, Any] = {"fields": [{"name": "temp", "path": "$.temp", "type": "integer"}]}


@pytest.fixture
def boilers(appliance: RunningAppliance, request: pytest.FixtureRequest) -> str:
    """A pipeline with 40 rows."""
    source = {"type": "webhook", "signature": "none"}
    pipeline_id, _ = appliance.create_pipeline(f"history-{request.node.name}", MAPPING, source=source)
    events = [{"temp": number, "celsius": 2 * number} for number in range(1, 41)]
    httpx.post(f"{appliance.url}/in/{pipeline_id}", json=events).raise_for_status()
    appliance.wait_refined(pipeline_id)
    return pipeline_id


def newest(appliance: RunningAppliance, pipeline_id: str) -> Any:
    with appliance.client() as client:
        page = client.get(f"/api/v1/pipelines/{pipeline_id}/records", params={"limit": 1}).raise_for_status()
    return page.json()["items"][0]["temp"]


def test_a_candidate_rebuilds_history_and_is_undone(
    appliance: RunningAppliance, signed_in: Opens, boilers: str
) -> None:
    page = signed_in(f"/pipelines/{boilers}/mapping")
    page.wait_for_selector("html[data-ready]")
    page.get_by_label("Path", exact=True).fill("$.celsius")
    expect(page.locator(".sticky")).to_contain_text("80")
    page.get_by_role("button", name="Compare…").click()
    box = page.get_by_role("dialog", name="Compare with what runs")
    expect(box).to_contain_text("40 rows different")
    expect(box).to_contain_text("temp")
    shoot(page, "compare-light-1440")
    box.get_by_role("button", name="Save as candidate").click()
    page.wait_for_url("**/versions")
    expect(page.locator("#v2")).to_contain_text("candidate")
    page.locator("#v2").get_by_role("button", name="What changed").click()
    differs = page.get_by_role("dialog", name="What differs")
    expect(differs).to_contain_text("temp")
    shoot(page, "diff-light-1440")
    page.keyboard.press("Escape")
    assert newest(appliance, boilers) == 40

    page.locator("#v2").get_by_role("button", name="Rebuild history…").click()
    plan = page.get_by_role("dialog", name="Rebuild history")
    expect(plan).to_contain_text("40 (1 to 40)")
    expect(plan).to_contain_text("which then runs instead of 1")
    shoot(page, "replay-plan-light-1440")
    plan.get_by_role("button", name="Rebuild", exact=True).click()
    expect(page.locator("section[aria-label=Replay]")).to_contain_text("is in use", timeout=20_000)
    expect(page.locator("#v2")).to_contain_text("running")
    assert newest(appliance, boilers) == 80
    shoot(page, "replay-done-light-1440")
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("section[aria-label=Replay]")).to_contain_text("was undone")
    assert newest(appliance, boilers) == 40


def test_a_replay_waits_for_its_swap_on_a_narrow_screen(
    appliance: RunningAppliance, signed_in: Opens, boilers: str
) -> None:
    page = signed_in(f"/pipelines/{boilers}/versions", viewport=NARROW, theme="dark")
    page.locator("#v1").get_by_role("button", name="Rebuild history…").click()
    plan = page.get_by_role("dialog", name="Rebuild history")
    plan.get_by_label("Swap in when rebuilt").uncheck()
    plan.get_by_role("button", name="Rebuild", exact=True).click()
    replay = page.locator("section[aria-label=Replay]")
    expect(replay).to_contain_text(re.compile("keeps up with new events"), timeout=20_000)
    shoot(page, "replay-ready-dark-390")
    replay.get_by_role("button", name="Swap in").click()
    expect(replay).to_contain_text("is in use", timeout=20_000)
    expect(replay).to_contain_text("had made came out the very same")
    shoot(page, "replay-swapped-dark-390")
