"""One event posted, until a real browser shows it: a number on a live dashboard has changed and is painted."""

import time
from collections.abc import Iterator

from playwright.sync_api import Page, sync_playwright

from benchmarks.events import MAPPING, make
from benchmarks.report import Figure, median, p95
from benchmarks.running import appliance
from tests.running import RunningAppliance, standard_headers
from tests.ui.browsing import CHROMIUM, FLAGS, WIDE, sign_in

EVENTS = 60
# Resolves at the first frame in which the number shows as many events, after that frame was handed to the compositor.
SHOWN = """expected => new Promise(done => {
  const look = () => document.querySelector('[data-value]')?.firstChild?.textContent === expected
    ? requestAnimationFrame(() => setTimeout(done, 0)) : requestAnimationFrame(look);
  look();
})"""


def figures() -> Iterator[Figure]:
    with appliance() as one, sync_playwright() as playwright:
        pipeline_id, secret = one.create_pipeline("browser", MAPPING)
        dashboard = _dashboard(one, pipeline_id)
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport=WIDE)
        page.goto(f"{one.url}/sign-in?next=/dashboards/{dashboard}")
        sign_in(page)
        page.wait_for_selector(".widget.stat")
        taken = list(_looks(one, page, pipeline_id, secret))
        browser.close()
    yield Figure("one event posted → a number painted in Chromium, p95", p95(taken), "ms", 250, at_least=False,
                 remark=f"median {median(taken):.0f} ms")  # fmt: skip


def _dashboard(one: RunningAppliance, pipeline_id: str) -> str:
    query = {"pipeline": pipeline_id, "measures": [{"op": "count", "as": "n"}]}
    widget = {"id": "n", "title": "Events", "type": "stat", "query": query}
    with one.client() as client:
        answer = client.post("/api/v1/dashboards", json={"name": "latency", "widgets": [widget]}).raise_for_status()
    dashboard: str = answer.json()["id"]
    return dashboard


def _looks(one: RunningAppliance, page: Page, pipeline_id: str, secret: str) -> Iterator[float]:
    """Return the milliseconds of each event, one a second and a little more, so that no two fall together."""
    with one.client() as client:
        for number, event in enumerate(make(EVENTS), 1):
            headers = standard_headers(secret, f"shown-{number}", event)
            began = time.perf_counter()
            client.post(f"/in/{pipeline_id}", content=event, headers=headers).raise_for_status()
            page.evaluate(SHOWN, str(number))
            yield (time.perf_counter() - began) * 1000
            time.sleep(1.03)
