"""Pipelines on screen: the list, a new one, the command that sends to it, what arrives, its end."""

import re
import subprocess
import time

from playwright.sync_api import Page, expect

from tests.running import RunningAppliance
from tests.ui.browsing import Opens, shoot


def create(page: Page, name: str, source: str = "Webhook") -> None:
    """Create a pipeline through the form, by keyboard."""
    page.wait_for_selector("[name=name]")
    page.get_by_role("radio", name=source).check(force=True)
    page.fill("[name=name]", name)
    page.press("[name=name]", "Enter")
    page.wait_for_selector(f"text={name} is running.")


def test_the_list_shows_what_is_live(signed_in: Opens) -> None:
    page = signed_in("/pipelines")
    row = page.locator("#pipelines tr", has_text="this-host")
    expect(row.locator("[data-slot=state]")).to_have_text("running")
    expect(page.locator(".live")).to_have_attribute("data-state", "live")
    expect(row.locator("[data-slot=last]")).to_have_text(re.compile("just now|s ago"))
    label = row.locator(".ledger-bar").get_attribute("aria-label") or ""
    received = int(label.split(" received")[0].replace(",", ""))
    expect(row.locator(".ledger-bar")).not_to_have_attribute("aria-label", label, timeout=10_000)  # it moves
    moved = row.locator(".ledger-bar").get_attribute("aria-label") or ""
    assert int(moved.split(" received")[0].replace(",", "")) > received


def test_the_list_is_filtered(signed_in: Opens) -> None:
    page = signed_in("/pipelines")
    page.get_by_label("Filter pipelines").fill("orders web")
    expect(page.locator("#pipelines tr:visible")).to_have_count(1)
    page.get_by_label("Filter pipelines").fill("no such thing")
    expect(page.get_by_role("heading", name="No pipeline matches")).to_be_visible()
    page.get_by_label("Filter pipelines").fill("")
    page.get_by_role("button", name="Paused").click()
    expect(page.get_by_role("heading", name="No pipeline matches")).to_be_visible()


def test_from_a_new_pipeline_to_a_record_on_screen(signed_in: Opens) -> None:
    page = signed_in("/pipelines/new")
    page.get_by_role("button", name="Create pipeline").click()
    expect(page.locator("#e-name")).not_to_be_empty()
    create(page, "from-the-screen")
    expect(page.locator("#new-secret")).to_contain_text("whsec_")
    shoot(page, "pipeline-created-light-1440")
    command = page.locator("#send-command").inner_text()

    page.get_by_role("link", name="Open the pipeline").click()
    page.wait_for_selector("h1:text('from-the-screen')")
    address = page.url
    page.goto(f"{address}/records")
    expect(page.get_by_role("heading", name="No records yet")).to_be_visible()
    expect(page.locator(".live")).to_have_attribute("data-state", "live")
    answer = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True, timeout=20).stdout
    assert '"accepted":1' in answer.replace(" ", "")
    began = time.monotonic()
    row = page.locator("tbody tr")
    expect(row).to_have_count(1)
    assert time.monotonic() - began < 1.0
    expect(row).to_contain_text("boiler-1")

    row.click()
    expect(page.locator("dialog")).to_be_visible()
    expect(page.locator("#raw-event")).to_contain_text('"temp_f": 68.5')
    expect(page.locator("dialog")).to_contain_text("00000000000000000001.jsonl")
    shoot(page, "record-event-light-1440")
    page.keyboard.press("Escape")
    expect(page.locator("dialog")).not_to_be_visible()

    page.get_by_role("link", name="15m").click()
    expect(page.locator("tbody tr")).to_have_count(1)
    with page.expect_download() as download:
        page.locator("summary", has_text="Export").click()
        page.get_by_role("link", name="CSV").click()
    assert "68.5" in download.value.path().read_text()

    number = page.get_by_label("Event number")
    for text in ("1", "0:1"):
        number.fill(text)
        number.press("Enter")
        expect(page.locator("dialog")).to_be_visible(timeout=15_000)
        expect(page.locator("#raw-event")).to_contain_text('"temp_f": 68.5', timeout=15_000)
        page.keyboard.press("Escape")
        expect(page.locator("dialog")).not_to_be_visible()
    number.fill("one")
    number.press("Enter")
    expect(page.get_by_text("'one' is no number of an event")).to_be_visible(timeout=15_000)
    module = page.locator("link[rel=modulepreload][href$='format.js']").get_attribute("href")
    written = "async (path) => { const it = await import(path); return [7, 17592186045650].map(it.eventNumber); }"
    assert page.evaluate(written, module) == ["7", "1:1,234"]  # 2^44 + 1234


def test_the_overview_balances_and_inserts_the_secret(appliance: RunningAppliance, signed_in: Opens) -> None:
    page = signed_in("/pipelines")
    page.get_by_role("link", name="orders-demo").click()
    expect(page.locator(".equation")).to_have_attribute("data-balanced", "true")
    expect(page.locator("#send-command")).to_contain_text("whsec_PASTE_THE_SIGNING_SECRET")
    page.get_by_role("button", name="Insert the secret").click()
    expect(page.locator("#send-command")).not_to_contain_text("PASTE")
    command = page.locator("#send-command").inner_text()
    stored = page.locator("dd[data-slot=count][data-kind=received]")
    before = int(stored.inner_text().replace(",", ""))
    subprocess.run(["bash", "-c", command], capture_output=True, check=True, timeout=20)
    expect(stored).to_have_text(f"{before + 1:,}")
    shoot(page, "pipeline-overview-light-1440")


def test_pausing_refuses_and_resuming_takes_again(signed_in: Opens) -> None:
    page = signed_in("/pipelines/new")
    create(page, "to-be-paused")
    page.get_by_role("link", name="Open the pipeline").click()
    page.get_by_role("button", name="Pause").click()
    expect(page.locator("[data-slot=state]")).to_have_text("paused")
    expect(page.get_by_text("it refuses events until you resume it")).to_be_visible()
    page.get_by_role("button", name="Resume").click()
    expect(page.locator("[data-slot=state]")).to_have_text("running")


def test_host_metrics_move_at_once(signed_in: Opens) -> None:
    page = signed_in("/pipelines/new?source=host_metrics")
    create(page, "second-host", "Host metrics")
    page.get_by_role("link", name="Open the pipeline").click()
    received = page.locator("dd[data-slot=count][data-kind=stored]")
    expect(received).not_to_have_text("0", timeout=10_000)


def test_settings_rotate_save_and_delete(signed_in: Opens) -> None:
    page = signed_in("/pipelines/new")
    create(page, "short-lived")
    page.get_by_role("link", name="Open the pipeline").click()
    page.wait_for_selector("h1:text('short-lived')")
    page.get_by_role("link", name="Settings").click()
    page.get_by_role("button", name="Show", exact=True).click()
    first = page.locator("#secret-0").inner_text()
    page.get_by_role("button", name="Rotate").click()
    expect(page.locator("#secret-0")).not_to_have_text(first)
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page.locator("#secret-1")).to_have_text(first)
    page.get_by_role("button", name="Forget the old ones").click()
    expect(page.get_by_role("status").filter(has_text="Only the newest")).to_be_visible()

    page.locator(".cm-content").click()
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.insert_text('{"name": "short-lived", "source": {"type": "webhook"}, "persit": true}')
    page.get_by_role("button", name="Save as a new version").click()
    expect(page.locator(".problems")).to_contain_text("persit")
    shoot(page, "pipeline-settings-problem-light-1440")

    page.get_by_role("button", name="Delete…").click()
    sure = page.get_by_role("button", name="Delete the pipeline")
    expect(sure).to_be_disabled()
    page.get_by_label("Type short-lived to confirm").fill("short-lived")
    sure.click()
    page.wait_for_url("**/pipelines")
    expect(page.get_by_role("link", name="short-lived")).to_have_count(0)


def test_a_pipeline_that_reads_another(signed_in: Opens) -> None:
    page = signed_in("/pipelines/new?source=pipeline")
    page.wait_for_selector("[name=pipeline]")
    page.select_option("[name=pipeline]", label="this-host")
    page.select_option("[name=start]", "beginning")
    page.fill("[name=name]", "of-this-host")
    shoot(page, "pipeline-new-reader-light-1440")
    page.get_by_role("button", name="Create pipeline").click()
    page.wait_for_selector("text=of-this-host is running.")
    page.get_by_role("link", name="Open the pipeline").click()
    page.wait_for_selector("h1:text('of-this-host')")
    expect(page.locator("section[aria-label=Source]").get_by_role("link", name="this-host")).to_be_visible()
    page.goto(f"{page.url}/records")
    expect(page.locator("tbody tr").first).to_be_visible()  # its mapping takes the rows as they are
    page.goto(page.url.split("/pipelines/")[0] + "/pipelines")
    expect(page.locator("#pipelines tr", has_text="of-this-host")).to_contain_text("Another pipeline")


def test_a_pipeline_that_asks_a_graphql_server(signed_in: Opens) -> None:
    page = signed_in("/pipelines/new?source=graphql_poll")
    page.wait_for_selector("[name=query]")
    page.fill("[name=name]", "asked-by-graphql")
    page.fill("[name=url]", "https://graphql.invalid/graphql")
    page.fill("[name=query]", "mutation { forget }")
    page.get_by_role("button", name="Create pipeline").click()
    expect(page.get_by_text("the query holds a mutation: only queries can be polled")).to_be_visible()
    page.fill("[name=query]", "query ($after: String) { a(after: $after) { pageInfo { hasNextPage endCursor } } }")
    page.fill("[name=items]", "data.a")
    page.get_by_role("button", name="Create pipeline").click()
    expect(page.locator("#e-items")).not_to_be_empty()
    page.fill("[name=items]", "$.data.a.nodes")
    page.fill("[name=connection]", "$.data.a")
    shoot(page, "pipeline-new-graphql-light-1440")
    page.get_by_role("button", name="Create pipeline").click()
    page.wait_for_selector("text=asked-by-graphql is running.")
    page.goto(page.url.split("/pipelines/")[0] + "/pipelines")
    row = page.locator("#pipelines tr", has_text="asked-by-graphql")
    expect(row.locator("[data-slot=error]")).to_contain_text(
        "graphql.invalid", timeout=20_000
    )  # seen without opening it
    shoot(page, "pipelines-error-light-1440")
