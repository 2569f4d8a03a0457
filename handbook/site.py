"""The handbook as files: one HTML page each, what they look like, the search index, and a list of what there is."""

import gzip
import hashlib
import json
import posixpath
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup, escape

from appliance import __version__
from handbook.markup import Heading, Link, Rendered, Renderer, code_css
from handbook.outline import UNLISTED, Section, arranged
from handbook.search import index_of
from handbook.sources import Source, sources
from ui.theme import MARK, css

LOOK: Final = Path(__file__).parent / "look"
LIST: Final = "files.json"  # what the appliance serves: name -> [entity tag, media type]
FONT_FILE: Final = "roboto.woff2"
_MEDIA: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml; charset=utf-8",
    ".woff2": "font/woff2",
}
_FONT_FACE: Final = (
    '@font-face{font-family:Roboto;font-weight:100 900;font-display:swap;src:url("roboto.woff2") format("woff2")}'
)
# NiceGUI brings the font of the screens; of its files the one for Latin, all weights in one.
_LATIN: Final = re.compile(r"/\* latin \*/\s*@font-face \{[^}]*\"Roboto\"[^}]*url\((fonts/\w+\.woff2)\)")
_ICON: Final = (
    '<svg viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.8" stroke-linecap="round" '
    'stroke-linejoin="round" aria-hidden="true"><path d="{}"/></svg>'
)
_ICONS: Final = {
    "menu": "M4 6h16M4 12h16M4 18h16",
    "sun": "M12 12m-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0M12 3v2M12 19v2M3 12h2M19 12h2M5.6 5.6 7 7M17 17l1.4 1.4"
    "M18.4 5.6 17 7M7 17l-1.4 1.4",
    "moon": "M20 14.5A8.5 8.5 0 0 1 9.5 4 8.5 8.5 0 1 0 20 14.5Z",
    "auto": "M4 5h16v11H4zM9 20h6M12 16v4",
}
_MISSING: Final = """<h1>This page is not here</h1>
<p>The handbook has no page at this address. Search for what you need above, or begin at <a href="index.html">the
start</a>.</p>"""


@dataclass(frozen=True)
class Handbook:
    """All pages, rendered. ``pages``: by address, in no order."""

    pages: dict[str, Source]
    rendered: dict[str, Rendered]

    @cached_property
    def sections(self) -> list[Section]:
        return arranged(set(self.pages))

    @cached_property
    def order(self) -> list[str]:
        """The pages one after the other, as previous and next lead through them; decisions come last."""
        listed = [slug for section in self.sections for slug in section.pages]
        return listed + sorted(slug for slug in self.pages if slug.startswith(UNLISTED))

    def dead(self) -> Iterator[tuple[str, Link]]:
        """Yield links between pages that lead nowhere: no such page, or no such heading on it."""
        anchors = {slug: {one.anchor for one in page.headings} for slug, page in self.rendered.items()}
        for slug, page in self.rendered.items():
            for link in page.links:
                if link.slug is None or (link.anchor and link.anchor not in anchors[link.slug]):
                    yield self.pages[slug].path, link


def read(root: Path | None = None) -> Handbook:
    """Read and render every page of the repository."""
    pages = sources() if root is None else sources(root)
    renderer = Renderer({one.path: slug for slug, one in pages.items()}, address)
    return Handbook(pages, {slug: renderer.render(slug, one.path, one.text) for slug, one in pages.items()})


def address(of: str, to: str, anchor: str) -> str:
    """Return the link from one page to another: relative, so that the site works in any place."""
    return posixpath.relpath(f"{to}.html", posixpath.dirname(of) or ".") + (f"#{anchor}" if anchor else "")


def write(handbook: Handbook, into: Path) -> None:
    """Write the site into a folder, which is made."""
    contents = {name: text.encode() for name, text in _files(handbook)} | {f"_/{FONT_FILE}": font()}
    listed = {}
    for name, content in sorted(contents.items()):
        path = into / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.with_name(path.name + ".gz").write_bytes(gzip.compress(content, mtime=0))
        listed[name] = [hashlib.sha256(content).hexdigest()[:16], _MEDIA[path.suffix]]
    (into / LIST).write_text(json.dumps(listed, indent=0) + "\n", "utf-8")


def _files(handbook: Handbook) -> Iterator[tuple[str, str]]:
    template = environment().get_template("page.html")
    for slug in handbook.order:
        yield f"{slug}.html", template.render(_page(handbook, slug))
    yield "404.html", template.render(_missing(handbook))
    found = [(f"{slug}.html", handbook.pages[slug].title, handbook.rendered[slug].headings) for slug in handbook.order]
    yield "_/search-index.js", index_of(found)
    yield "_/handbook.css", look_css()
    yield "_/mark.svg", MARK
    for name in ("boot.js", "given.js", "brand.js", "handbook.js"):
        yield f"_/{name}", (LOOK / name).read_text("utf-8")


def look_css() -> str:
    """Return the style sheet: the design's tokens, the colours of code in both themes, and what pages look like."""
    light = _coloured(".code", "xcode")
    dark = _coloured(":root[data-theme=dark] .code", "github-dark")
    return "\n".join((_FONT_FACE, css(), light, dark, (LOOK / "handbook.css").read_text("utf-8")))


def font() -> bytes:
    """Return the font of the screens, which NiceGUI brings along."""
    static = files("nicegui") / "static"
    found = _LATIN.search((static / "fonts.css").read_text("utf-8"))
    if found is None:
        raise LookupError("NiceGUI's fonts.css names no Roboto for Latin: look what its version has instead")
    return (static / found[1]).read_bytes()


def _coloured(scope: str, style: str) -> str:
    return "\n".join(line for line in code_css(scope, style).splitlines() if ".k-" in line and "k-err" not in line)


def environment() -> Environment:
    """Return what finds and fills the templates of ``look/``."""
    return Environment(loader=FileSystemLoader(LOOK), autoescape=True, trim_blocks=True, keep_trailing_newline=True)


def _page(handbook: Handbook, slug: str) -> dict[str, Any]:
    place = handbook.order.index(slug)
    around = handbook.order[:place][-1:], handbook.order[place + 1 :][:1]
    previous, following = ([_entry(handbook, slug, one) for one in ones] for ones in around)
    page = handbook.rendered[slug]
    return _frame(handbook, slug) | {
        "title": handbook.pages[slug].title,
        "body": Markup(page.html),  # noqa: S704 - our own pages, rendered without raw HTML
        "contents": _contents(page.headings),
        "previous": previous[0] if previous else None,
        "next": following[0] if following else None,
        "source": handbook.pages[slug].path,
    }


def _missing(handbook: Handbook) -> dict[str, Any]:
    """Return what fills the page for addresses that do not exist, whatever folder they seem to be in."""
    body = Markup(_MISSING)  # noqa: S704 - ours
    return _frame(handbook, "404") | {"title": "Not here", "body": body, "base": "/docs/"}


def _frame(handbook: Handbook, slug: str) -> dict[str, Any]:
    return {
        "up": "../" * slug.count("/"),
        "version": __version__,
        "mark": Markup(MARK),  # noqa: S704 - ours
        "icons": {name: Markup(_ICON.format(path)) for name, path in _ICONS.items()},  # noqa: S704 - ours
        "sections": [
            {"title": section.title, "entries": [_entry(handbook, slug, one) for one in section.pages]}
            for section in handbook.sections
        ],
    }


def _entry(handbook: Handbook, of: str, to: str) -> dict[str, Any]:
    here = of == to or (to == UNLISTED.rstrip("/") and of.startswith(UNLISTED))
    return {"title": short(handbook.pages[to].title), "href": address(of, to, ""), "here": here}


def short(title: str) -> str:
    """Return a title as navigation shows it: only one side of a colon, unless that follows a number."""
    name, _, rest = title.partition(": ")
    if name == "Tutorial":  # the heading above it says so
        return rest[:1].upper() + rest[1:]
    return title if name.isdigit() else name


def _contents(headings: Sequence[Heading]) -> Markup | None:
    """Return the list of a page's headings; None where there is nothing to choose."""
    shown = [one for one in headings if one.level in (2, 3)]
    if len(shown) > 60:  # a page of entries: its sections are enough
        shown = [one for one in shown if one.level == 2]
    if len(shown) < 2:
        return None
    items = (f'<li class="l{one.level}"><a href="#{one.anchor}">{escape(one.title)}</a></li>' for one in shown)
    return Markup(f"<ul>{''.join(items)}</ul>")  # noqa: S704 - titles are escaped
