"""Jobs and nodes on screen: progress that moves, a job cancelled and sent back, a node drained and taken back."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from appliance.components.jobs import Claimant, Ending, Job, NewJob
from appliance.domain.job import JobProgress, JobState
from appliance.storage.control.jobs import Jobs
from appliance.storage.control.plane import ControlPlane
from tests.running import RunningAppliance
from tests.ui.browsing import NARROW, Opens, shoot

KIND = "test.long"  # nobody in the appliance does these: this test is their worker


@pytest.fixture
def queue(appliance: RunningAppliance) -> Iterator[Jobs]:
    plane = ControlPlane.open(appliance.data_dir / "control.sqlite3")
    yield Jobs(plane)
    plane.close()


def running(queue: Jobs) -> Job:
    assert queue.enqueue(NewJob(kind=KIND, max_attempts=1)) is not None
    job = queue.claim(Claimant("node_elsewhere/1", (KIND,)), 600)
    assert job is not None
    return job


def test_progress_moves_by_itself(signed_in: Opens, queue: Jobs) -> None:
    job = running(queue)
    queue.report(job, JobProgress(2, 8, "segment 2"))
    page = signed_in("/jobs?show=open")
    row = page.locator("tbody tr", has_text=KIND)
    expect(row).to_contain_text("2 of 8, segment 2")
    queue.report(job, JobProgress(6, 8, "segment 6"))
    expect(row).to_contain_text("6 of 8, segment 6", timeout=15_000)
    expect(row.locator("progress")).to_have_attribute("value", "6")
    assert page.locator("h1").bounding_box()["y"] < page.locator("table").bounding_box()["y"]  # type: ignore[index]
    shoot(page, "jobs-wide")
    queue.end(job, Ending(JobState.READY, "the disk of the database server is full: " + "it had no room left " * 8))
    expect(row).to_have_count(0, timeout=15_000)  # it failed: it is not open any more
    page.goto(page.url.split("?")[0] + "?show=failed")
    expect(page.locator("tbody tr", has_text=KIND)).to_contain_text("failed")


def test_a_job_is_cancelled_and_sent_back(signed_in: Opens, queue: Jobs) -> None:
    job = running(queue)
    page = signed_in("/jobs", viewport=NARROW, theme="dark")
    page.wait_for_selector("html[data-ready]")
    row = page.locator("tbody tr", has_text=KIND).first
    row.get_by_role("button", name="Cancel").click()
    expect(row).to_contain_text("cancelling", timeout=15_000)
    queue.end(job, Ending(JobState.CANCELLED))
    row.get_by_role("button", name="Try again").click(timeout=15_000)
    expect(row).to_contain_text("waiting", timeout=15_000)
    shoot(page, "jobs-narrow-dark")
    row.get_by_role("button", name="Cancel").click()
    expect(row).to_contain_text("cancelled", timeout=15_000)


def test_what_comes_by_the_clock_is_left_out_until_somebody_wants_it(signed_in: Opens, queue: Jobs) -> None:
    running(queue)
    page = signed_in("/jobs", theme="dark")
    page.wait_for_selector("html[data-ready]")
    routine = page.locator("tbody tr", has_text="storage.sample")
    expect(page.locator("tbody tr", has_text=KIND).first).to_be_visible()
    expect(routine).to_have_count(0)
    shoot(page, "jobs-without-routine")
    page.get_by_role("link", name="Show routine too").click()
    expect(routine.first).to_be_visible()
    page.get_by_role("link", name="Waiting and running").click()
    expect(page).to_have_url(re.compile("show=open&routine=yes"))
    page.get_by_role("link", name="Leave out routine").click()
    expect(page).to_have_url(re.compile(r"/jobs\?show=open$"))
    shoot(page, "jobs-head")


def test_where_there_are_none_it_says_so(signed_in: Opens) -> None:
    page = signed_in("/jobs?show=ended")
    expect(page.locator(".tabs [aria-current=page]")).to_have_text("Ended")
    page.goto(page.url.split("/jobs")[0] + "/nodes")
    expect(page.locator("tbody tr")).to_have_count(1)


def test_a_node_is_drained_and_taken_back(signed_in: Opens, appliance: RunningAppliance) -> None:
    page = signed_in("/nodes")
    page.wait_for_selector("html[data-ready]")
    row = page.locator("tbody tr")
    expect(row).to_contain_text("(this one)")
    expect(row.locator("[data-label=Partition]")).to_have_text("0")
    expect(row).to_contain_text("running")
    shoot(page, "nodes-wide")
    row.get_by_role("button", name="Drain").click()
    expect(row).to_contain_text("draining", timeout=15_000)
    row.get_by_role("button", name="Take back").click()
    expect(row).to_contain_text("running", timeout=15_000)


def test_nodes_on_a_phone(signed_in: Opens) -> None:
    page = signed_in("/nodes", viewport=NARROW, theme="dark")
    expect(page.locator("tbody tr")).to_contain_text("running")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    shoot(page, "nodes-narrow-dark")
