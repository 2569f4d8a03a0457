"""Charts that move: the sample dashboard, ranges, and how long a point takes to become pixels."""

import json
import statistics
import time
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import expect

from tests.running import RunningAppliance, standard_headers
from tests.ui.browsing import Opens, shoot, sign_in


def board_with_stat(appliance: RunningAppliance, name: str) -> tuple[str, str, str]:
    """Make a webhook and a dashboard that shows its last value; return (dashboard, pipeline, secret)."""
    mapping = {"fields": [{"name": "n", "type": "integer", "path": "$.n"}]}
    pipeline_id, secret = appliance.create_pipeline(name, mapping)
    last = {"pipeline": pipeline_id, "measures": [{"op": "last", "field": "n", "as": "n"}], "range": "5m"}
    line = {
        "pipeline": pipeline_id,
        "measures": [{"op": "last", "field": "n", "as": "n"}],
        "bucket": "100ms",
        "range": "5m",
    }
    widgets: list[dict[str, Any]] = [
        {"id": "now", "title": "Last", "type": "stat", "query": last},
        {"id": "line", "title": "Line", "type": "timeseries", "query": line},
    ]
    with appliance.client() as client:
        board = client.post("/api/v1/dashboards", json={"name": name, "widgets": widgets}).raise_for_status().json()
    return board["id"], pipeline_id, secret


def send(appliance: RunningAppliance, pipeline_id: str, secret: str, number: int) -> None:
    body = json.dumps({"n": number}).encode()
    headers = standard_headers(secret, f"msg_{number}", body)
    httpx.post(f"{appliance.url}/in/{pipeline_id}", content=body, headers=headers).raise_for_status()


# Remembers, for each number shown, the instant at which the frame that shows it was painted; counts canvas changes.
RECORDER = """() => {
  const value = document.querySelector("[data-value]"), canvas = document.querySelector("canvas");
  window.shown = {}; window.chart = []; let before = canvas.toDataURL();
  const look = () => {
    const text = value.textContent;
    if (!(text in window.shown)) window.shown[text] = Date.now();
    const now = canvas.toDataURL();
    if (now !== before) { before = now; window.chart.push(Date.now()); }
    requestAnimationFrame(look);
  };
  look();
}"""


def test_a_new_point_becomes_pixels_within_a_quarter_of_a_second(
    appliance: RunningAppliance, signed_in: Opens, record_property: Any
) -> None:
    board, pipeline_id, secret = board_with_stat(appliance, "latency")
    send(appliance, pipeline_id, secret, 1)
    page = signed_in(f"/dashboards/{board}", viewport={"width": 900, "height": 500})
    expect(page.locator("[data-value]")).to_have_text("1")
    page.wait_for_selector("canvas")
    page.evaluate(RECORDER)
    took, drawn = [], []
    for number in range(2, 22):
        page.wait_for_timeout(350)  # an idle flow: the next point arrives when the last one is long drawn
        began = time.time() * 1000
        send(appliance, pipeline_id, secret, number)
        page.wait_for_function("text => text in window.shown", arg=str(number))
        took.append(page.evaluate("text => window.shown[text]", str(number)) - began)
        page.wait_for_function("began => window.chart.some(at => at > began)", arg=began)
        drawn.append(page.evaluate("began => window.chart.find(at => at > began)", began) - began)
    for name, values in (("stat", took), ("chart", drawn)):
        p95 = sorted(values)[18]
        record_property(f"{name}_median_ms", statistics.median(values))
        record_property(f"{name}_p95_ms", p95)
        print(f"post to pixel, {name}: median {statistics.median(values):.0f} ms, p95 {p95:.0f} ms")
    # The promise is 250 ms on an idle machine (make bench); here other tests may run beside.
    assert statistics.median(took) < 250
    assert statistics.median(drawn) < 250


def test_the_sample_dashboard_moves_and_changes_its_range(signed_in: Opens) -> None:
    page = signed_in("/dashboards")
    page.get_by_role("link", name="This host").click()
    expect(page.locator(".live")).to_have_attribute("data-state", "live")
    expect(page.locator(".skeleton")).to_have_count(0)
    for title in ("CPU", "Memory", "Network", "Last hour"):
        expect(page.locator("section.widget", has_text=title).first).to_be_visible()
    before = page.locator("canvas").first.evaluate("canvas => canvas.toDataURL()")
    page.wait_for_function("before => document.querySelector('canvas').toDataURL() !== before", arg=before)
    expect(page.locator("section.table tbody tr").first).to_contain_text("iB")  # bytes as in the charts
    page.get_by_role("link", name="1h").click()
    page.wait_for_url("**?range=1h")
    expect(page.locator(".segmented [aria-current=true]")).to_have_text("1h")
    expect(page.locator(".skeleton")).to_have_count(0)


def test_a_widget_that_cannot_answer_says_why(appliance: RunningAppliance, signed_in: Opens) -> None:
    board, pipeline_id, _ = board_with_stat(appliance, "doomed")
    page = signed_in(f"/dashboards/{board}")
    with appliance.client() as client:
        client.delete(f"/api/v1/pipelines/{pipeline_id}").raise_for_status()
    page.reload()
    expect(page.locator(".failed b").first).to_have_text("This widget has no data")
    shoot(page, "dashboard-failed-widget-light-1440")


def test_the_screen_comes_back_after_a_restart(tmp_path: Path, opened: Opens) -> None:
    appliance = RunningAppliance(tmp_path)
    appliance.setup(sample=True)
    appliance.start()
    page = opened(appliance.url, "/sign-in?next=/pipelines")
    sign_in(page)
    expect(page.locator(".live")).to_have_attribute("data-state", "live")
    port = appliance.url.rpartition(":")[2]
    appliance.stop()
    expect(page.locator(".live")).to_have_attribute("data-state", "connecting")
    shoot(page, "pipelines-reconnecting-light-1440")
    appliance.start("--port", port)
    expect(page.locator(".live")).to_have_attribute("data-state", "live", timeout=20_000)
    expect(page.locator("#popup")).to_have_attribute("aria-hidden", "true")
    appliance.stop()


def test_a_hidden_tab_pauses(signed_in: Opens) -> None:
    page = signed_in("/pipelines")
    expect(page.locator(".live")).to_have_attribute("data-state", "live")
    hide = "hidden => {Object.defineProperty(document, 'hidden', {value: hidden, configurable: true});"
    page.evaluate(hide + "document.dispatchEvent(new Event('visibilitychange'))}", True)
    expect(page.locator(".live")).to_have_attribute("data-state", "paused", timeout=10_000)
    page.evaluate(hide + "document.dispatchEvent(new Event('visibilitychange'))}", False)
    expect(page.locator(".live")).to_have_attribute("data-state", "live")


def test_a_point_leads_to_its_raw_event(signed_in: Opens, appliance: RunningAppliance) -> None:
    with appliance.client() as client:
        boards = client.get("/api/v1/dashboards").raise_for_status().json()["items"]
    board = next(one["id"] for one in boards if one["name"] == "This host")
    page = signed_in(f"/dashboards/{board}")
    chart = page.locator("section.widget.timeseries").first
    expect(chart.locator("canvas")).to_be_visible()
    expect(chart.locator(".skeleton")).to_have_count(0)
    canvas = chart.locator("canvas").bounding_box()
    assert canvas is not None
    page.mouse.click(canvas["x"] + canvas["width"] - 40, canvas["y"] + canvas["height"] / 2)
    box = page.get_by_role("dialog", name="Behind this point")
    box.get_by_role("button", name="Event").first.click()
    expect(box.locator("#raw-event")).to_contain_text("{")
    expect(box).to_contain_text("Place in Bronze")
    shoot(page, "point-light-1440")
