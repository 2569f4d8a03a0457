"""The handbook: no link is dead, from pages or code; no name is stale; diagrams are drawn; all is explained."""

import re
from pathlib import Path

import pytest

from appliance.api.problems import KINDS
from appliance.domain import handbook as explained
from appliance.observe.alert_rules import ALERTS, RUNBOOK
from handbook import diagrams, names
from handbook.reference.metrics import metrics
from handbook.site import Handbook, read

HOUSES = ("appliance", "ui", "license")
ABOUT = re.compile(r"Examined\(\s*\"([a-z ]+)\"")
HELP = re.compile(r"Place\(\"[^\"]*\", \"[^\"]*\", \"([^\"]*)\"\)")
DOCS = re.compile(r"[\"'](/docs(?:/[\w/.-]*)?(?:#[\w-]+)?)[\"']")
INCIDENT = re.compile(r"\"((?:runbook|operations|archive)#[\w-]+)\"")
PART = re.compile(r"\"([a-z]+)\": self\._|found\[\"([a-z]+)\"\]")
HISTORY = ("decisions/", "changelog")  # says what was so then

# Words that look like a name of one kind and are another. name -> what it is
OTHERWISE = {
    "archive.pending_events": "a field of GET /api/v1/storage",
    "DASH_TEST_POSTGRES_BIN": "a variable of the tests",
    "database.password": "a credential's name below systemd, chosen by the administrator",
    "silver.moving": "a folder of the data directory while rows move",
    "retention.silver": "a part of a pipeline's document",
}


@pytest.fixture(scope="module")
def book() -> Handbook:
    return read()


def anchors(book: Handbook, slug: str) -> set[str]:
    return {heading.anchor for heading in book.rendered[slug].headings}


def leads_somewhere(book: Handbook, target: str) -> bool:
    place, _, anchor = target.removeprefix("/docs").strip("/").partition("#")
    slug = place.removesuffix("/") or "index"
    return slug in book.pages and (not anchor or anchor in anchors(book, slug))


def code(root: Path) -> dict[Path, str]:
    found = (path for house in HOUSES for kind in ("*.py", "*.js") for path in (root / house).rglob(kind))
    return {path: path.read_text("utf-8") for path in found}


def test_no_link_between_pages_is_dead(book: Handbook) -> None:
    assert [f"{path}: {link.target}" for path, link in book.dead()] == []


def test_no_link_from_the_product_to_the_handbook_is_dead(book: Handbook, root: Path) -> None:
    linked = [(path, target) for path, text in code(root).items() for target in DOCS.findall(text)]
    helped = [(path, f"/docs/{slug}") for path, text in code(root).items() for slug in HELP.findall(text)]
    assert len(helped) >= 15
    dead = [f"{path}: {target}" for path, target in linked + helped if not leads_somewhere(book, target)]
    assert dead == []


def test_every_alert_and_every_incident_leads_to_its_place(book: Handbook, root: Path) -> None:
    pages = [f"{RUNBOOK}#{one.page}" for one in ALERTS]
    pages += [f"/docs/{page}" for text in code(root).values() for page in INCIDENT.findall(text)]
    assert len(pages) > len(ALERTS) + 5
    assert [target for target in pages if not leads_somewhere(book, target)] == []


def test_every_error_code_leads_to_its_place(book: Handbook) -> None:
    told = [explained.of_error(code) for code in {*KINDS, *names.error_codes()}]
    assert [target for target in told if not leads_somewhere(book, target)] == []


def test_everything_that_doctor_finds_is_explained(book: Handbook, root: Path) -> None:
    """A new kind of finding needs a heading of its name in docs/handbook/doctor.md."""
    found = {about for text in code(root).values() for about in ABOUT.findall(text)}
    assert len(found) >= 10
    assert [about for about in sorted(found) if not leads_somewhere(book, explained.of_finding(about))] == []


def test_every_part_of_readiness_is_in_the_runbook(book: Handbook, root: Path) -> None:
    text = (root / "appliance" / "vitals.py").read_text("utf-8")
    parts = {first or second for first, second in PART.findall(text)}
    assert {"receiving", "refining", "storage", "disk", "archive", "node", "database"} <= parts
    assert [part for part in sorted(parts) if part not in anchors(book, "runbook")] == []


def test_every_metric_that_pages_alert_on_or_explain_exists_and_none_is_forgotten(root: Path) -> None:
    told = {one.name for one in metrics()}
    named = {
        name
        for path, text in code(root).items()
        if path.suffix == ".py"
        for name in re.findall(r"\"(dash_[a-z]+_[a-z_]+)\"", text)
    }
    assert named - told == set()


def test_no_name_in_a_page_is_stale(book: Handbook) -> None:
    """Rename it in the page; or, if it is no such name, say in OTHERWISE what it is."""
    found = {one for page in book.pages.values() if not page.slug.startswith(HISTORY) for one in names.stale(page)}
    assert sorted(one for one in found if one.name not in OTHERWISE) == []
    assert set(OTHERWISE) <= {one.name for one in found}, "a waiver that is needed no more"


@pytest.mark.parametrize(
    "written",
    [
        "`server.prot`", "`DASH_SERVER_PROT`", "`dash_lag_minutes`", "`E_NOPE`", "`data.reed`",
        "`GET /api/v1/pipeline`", "`POST /api/v1/pipelines/$ID/stop`", "`DELETE /api/v1/users/{id}`",
        "```sh\ndash-appliance sing\n```", "```sh\ndash-appliance doctor --colour\n```",
    ],
)  # fmt: skip
def test_a_stale_name_is_found(book: Handbook, written: str) -> None:
    """The control: a test that cannot fail proves nothing."""
    page = book.pages["index"]._replace(text=written)
    assert len(list(names.stale(page))) == 1


def test_every_diagram_is_drawn_and_no_drawing_is_left_over(book: Handbook) -> None:
    """'make docs' draws what is missing and removes what is left."""
    texts = [page.text for page in book.pages.values()]
    assert [source.splitlines()[:2] for source in diagrams.missing(texts)] == []
    assert diagrams.left_over(texts) == []
