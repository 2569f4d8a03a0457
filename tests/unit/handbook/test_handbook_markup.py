"""How pages become HTML: anchors, links, code, and what the search finds."""

import json
from pathlib import Path

import pytest

from handbook.markup import Renderer, slug_of
from handbook.outline import REST, arranged
from handbook.search import index_of
from handbook.site import LIST, address, read, short, write

PAGES = {
    "docs/handbook/index.md": "index",
    "docs/handbook/nodes.md": "nodes",
    "docs/reference/cli.md": "reference/cli",
}


@pytest.mark.parametrize(
    ("title", "anchor"),
    [
        ("E_RATE_LIMITED", "e_rate_limited"),
        ("When the disk fills", "when-the-disk-fills"),
        ("Erasing somebody's events", "erasing-somebodys-events"),
        ("archive.cache_size", "archivecache_size"),
        ("1. Start it", "1-start-it"),
    ],
)
def test_anchors_are_those_of_github(title: str, anchor: str) -> None:
    assert slug_of(title) == anchor


def test_links_between_pages_are_relative_and_keep_their_anchor() -> None:
    page = Renderer(PAGES, address).render(
        "reference/cli",
        "docs/reference/cli.md",
        "# Commands\n\n[one](../handbook/nodes.md#roles) [two](/docs/nodes) [three](cli.md) [four](gone.md) "
        "[five](https://example.org/x.md) [six](../handbook/nodes.md) [seven](../../README.md)",
    )
    for wanted in (
        'href="../nodes.html#roles"', 'href="../nodes.html">two', 'href="cli.html"', 'href="https://example.org/x.md"',
    ):  # fmt: skip
        assert wanted in page.html
    assert [(link.target, link.slug) for link in page.links if link.slug is None] == [("gone.md", None)]
    assert "seven" in page.html
    assert "README" not in page.html  # a file that is no page of the handbook


def test_headings_of_one_name_have_anchors_of_their_own_and_know_their_text() -> None:
    page = Renderer(PAGES, address).render(
        "index", "docs/handbook/index.md", "# A\n\nx `y`\n\n## B\n\n- z\n\n## B\n\nw"
    )
    assert [(one.anchor, one.title, one.text) for one in page.headings] == [
        ("a", "A", ["x y"]),
        ("b", "B", ["z"]),
        ("b-1", "B", ["w"]),
    ]


def test_html_in_a_page_is_text() -> None:
    page = Renderer(PAGES, address).render("index", "docs/handbook/index.md", "a <script>x</script>\n\n```\n<b>\n```")
    assert "<script>" not in page.html
    assert "&lt;b&gt;" in page.html


def test_the_index_is_a_script_that_holds_every_section() -> None:
    page = Renderer(PAGES, address).render("index", "docs/handbook/index.md", "# A\n\nfirst\n\n## B\n\nsecond\n")
    script = index_of([("index.html", "A", page.headings)])
    index = json.loads(script.removeprefix("window.handbookIndex = ").rstrip(";\n"))
    assert index == {
        "pages": [["index.html", "A"]],
        "sections": [[0, "", "A", "first"], [0, "b", "B", "second"]],
    }


def test_a_page_that_no_section_names_is_shown_all_the_same() -> None:
    found = {section.title: section.pages for section in arranged({"index", "brand-new", "decisions/0001-a"})}
    assert found == {"Start": ("index",), REST: ("brand-new",)}


def test_titles_in_the_navigation_are_short() -> None:
    assert short("Gold: rollups") == "Gold"
    assert short("Tutorial: an event that does not fit") == "An event that does not fit"
    assert short("0041: The handbook is files") == "0041: The handbook is files"


def test_the_site_lists_every_file_and_is_the_same_each_time(tmp_path: Path) -> None:
    book = read()
    for place in ("one", "two"):
        write(book, tmp_path / place)
    listed = json.loads((tmp_path / "one" / LIST).read_text())
    for name in listed:
        content = (tmp_path / "one" / name).read_bytes()
        assert content == (tmp_path / "two" / name).read_bytes(), name
        assert (tmp_path / "one" / f"{name}.gz").exists(), name
    assert {"index.html", "404.html", "errors.html", "_/search-index.js", "_/handbook.css"} <= set(listed)
    outside = [name for name in listed if b'src="http' in (tmp_path / "one" / name).read_bytes()]
    assert outside == []
