"""The handbook on paper: every page in one document, printed by Chromium with a cover, contents and page numbers."""

import base64
from pathlib import Path
from typing import Any, Final

from markupsafe import Markup

from appliance import __version__
from handbook.markup import Renderer
from handbook.site import FONT_FILE, Handbook, environment, font, look_css, short
from handbook.sources import sources
from ui.theme import MARK

_PREFIX: Final = "{slug}--"
_FOOT: Final = (
    '<div style="width: 100%; padding: 0 17mm; font: 8px sans-serif; color: #656a76; display: flex; '
    'justify-content: space-between"><span>Dash handbook {version}</span>'
    '<span><span class="pageNumber"></span> / <span class="totalPages"></span></span></div>'
)


def whole() -> str:
    """Return all pages as one HTML document whose links stay inside."""
    pages = sources()
    renderer = Renderer({one.path: slug for slug, one in pages.items()}, _address, _PREFIX)
    book = Handbook(pages, {slug: renderer.render(slug, one.path, one.text) for slug, one in pages.items()})
    page: dict[str, Any] = {
        "version": __version__,
        "mark": Markup(MARK),  # noqa: S704 - ours
        "style": Markup(look_css().replace(FONT_FILE, _inline(font()))),  # noqa: S704 - ours
        "sections": [
            {
                "title": section.title,
                "entries": [
                    {"title": short(pages[slug].title), "href": _address("", slug, "")} for slug in section.pages
                ],
            }
            for section in book.sections
        ],
        "parts": [
            {"id": _id(slug), "body": Markup(book.rendered[slug].html)}  # noqa: S704 - our own pages
            for slug in book.order
        ],
    }
    return environment().get_template("print.html").render(page)


def _inline(woff2: bytes) -> str:
    return f"data:font/woff2;base64,{base64.b64encode(woff2).decode()}"


def print_pdf(into: Path, chromium: str | None) -> None:
    """Write the PDF. Needs Playwright and a Chromium; asks nothing of any network."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page()
        page.route("**/*", lambda route: route.abort())
        page.set_content(whole(), wait_until="load")
        page.pdf(
            path=into, prefer_css_page_size=True, print_background=True, display_header_footer=True, outline=True,
            tagged=True, header_template="<span></span>", footer_template=_FOOT.replace("{version}", __version__),
        )  # fmt: skip
        browser.close()


def _address(_: str, to: str, anchor: str) -> str:
    return f"#{_PREFIX.format(slug=to)}{anchor}" if anchor else f"#{_id(to)}"


def _id(slug: str) -> str:
    return f"page--{slug}"
