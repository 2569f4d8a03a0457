"""Diagrams: Mermaid in the pages, drawn once as SVG and kept in ``docs/diagrams/`` by the hash of their text.

Drawing needs Chromium (``make docs``); who only shows a page needs nothing. Mermaid itself is the one that NiceGUI
brings.
"""

import hashlib
import re
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from handbook.sources import ROOT

if TYPE_CHECKING:
    from playwright.sync_api import Route

FOLDER: Final = ROOT / "docs" / "diagrams"
SOURCE: Final = re.compile(r"^```mermaid\n(.*?)^```", re.MULTILINE | re.DOTALL)
_ORIGIN: Final = "http://handbook.invalid"
# Mermaid computes with colours and knows no variables: these stand for the design's, and are put back after drawing.
_STANDS_FOR: Final = {
    "#0a0b01": "var(--text)",
    "#0a0b02": "var(--surface)",
    "#0a0b03": "var(--line-strong)",
    "#0a0b04": "var(--text-2)",
    "#0a0b05": "var(--sunken)",
    "#0a0b06": "var(--accent)",
    "#0a0b07": "var(--accent-soft)",
}
_TEXT, _SURFACE, _LINE, _QUIET, _SUNKEN, _ACCENT, _SOFT = _STANDS_FOR
_CONFIG: Final[dict[str, Any]] = {
    "startOnLoad": False,
    "theme": "base",
    "htmlLabels": False,
    "deterministicIds": True,
    "flowchart": {"htmlLabels": False, "curve": "basis", "padding": 12},
    "sequence": {"useMaxWidth": True, "mirrorActors": False},
    "fontFamily": "sans-serif",
    "themeVariables": {
        "fontFamily": "sans-serif", "fontSize": "14px", "background": _SURFACE, "mainBkg": _SURFACE,
        "primaryColor": _SURFACE, "primaryTextColor": _TEXT, "primaryBorderColor": _LINE, "nodeBorder": _LINE,
        "secondaryColor": _SUNKEN, "secondaryTextColor": _TEXT, "secondaryBorderColor": _LINE,
        "tertiaryColor": _SUNKEN, "tertiaryTextColor": _TEXT, "tertiaryBorderColor": _LINE,
        "lineColor": _QUIET, "textColor": _TEXT, "titleColor": _QUIET, "nodeTextColor": _TEXT,
        "clusterBkg": _SUNKEN, "clusterBorder": _LINE, "edgeLabelBackground": _SURFACE,
        "actorBkg": _SURFACE, "actorBorder": _LINE, "actorTextColor": _TEXT, "actorLineColor": _LINE,
        "signalColor": _QUIET, "signalTextColor": _TEXT, "labelBoxBkgColor": _SUNKEN, "labelBoxBorderColor": _LINE,
        "labelTextColor": _TEXT, "loopTextColor": _TEXT, "noteBkgColor": _SOFT, "noteBorderColor": _ACCENT,
        "noteTextColor": _TEXT, "transitionColor": _QUIET, "transitionLabelColor": _TEXT, "stateLabelColor": _TEXT,
        "stateBkg": _SURFACE, "labelBackgroundColor": _SURFACE, "compositeBackground": _SUNKEN,
        "altBackground": _SUNKEN, "specialStateColor": _QUIET, "innerEndBackground": _LINE,
    },
}  # fmt: skip


def drawn(source: str) -> str | None:
    """Return the drawing of a diagram; None: nobody has drawn it yet."""
    path = FOLDER / name_of(source)
    return path.read_text("utf-8") if path.exists() else None


def name_of(source: str) -> str:
    """Return the file that the drawing is kept in: what is drawn anew when the text or this configuration changes."""
    return hashlib.sha256((source.strip() + repr(_CONFIG)).encode()).hexdigest()[:16] + ".svg"


def of(texts: Iterable[str]) -> list[str]:
    """Return every diagram of the pages, each once."""
    return list(dict.fromkeys(source for text in texts for source in SOURCE.findall(text)))


def missing(texts: Iterable[str]) -> list[str]:
    return [source for source in of(texts) if not (FOLDER / name_of(source)).exists()]


def left_over(texts: Iterable[str]) -> list[Path]:
    """Return drawings that no page shows any more."""
    wanted = {name_of(source) for source in of(texts)}
    return [path for path in sorted(FOLDER.glob("*.svg")) if path.name not in wanted]


def draw(sources: Iterable[str], chromium: str | None) -> None:
    """Draw each diagram and keep it. Needs Playwright and a Chromium; asks nothing of any network."""
    from playwright.sync_api import sync_playwright

    FOLDER.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page()
        page.route("**/*", _answer)
        page.goto(f"{_ORIGIN}/page")
        for source in sources:
            name = name_of(source)
            svg = page.evaluate(_DRAW, [f"d{name[:8]}", source, _CONFIG])
            (FOLDER / name).write_text(_themed(svg) + "\n", "utf-8")
        browser.close()


_DRAW: Final = """async ([id, source, config]) => {
  const { mermaid } = await import("/mermaid/index.js");
  mermaid.initialize(config);
  return (await mermaid.render(id, source)).svg;
}"""


def _answer(route: "Route") -> None:
    """Answer what the page asks from the files that NiceGUI brings."""
    path = route.request.url.removeprefix(_ORIGIN)
    if path == "/page":
        route.fulfill(body="<!doctype html><body></body>", content_type="text/html")
        return
    file = files("nicegui") / "elements" / "mermaid" / "dist" / path.removeprefix("/mermaid/")
    if file.is_file():
        route.fulfill(body=file.read_text("utf-8"), content_type="text/javascript")
    else:
        route.abort()


def _themed(svg: str) -> str:
    for stand_in, colour in _STANDS_FOR.items():
        number = tuple(int(stand_in[place : place + 2], 16) for place in (1, 3, 5))
        svg = svg.replace(stand_in, colour).replace(f"rgb({number[0]}, {number[1]}, {number[2]})", colour)
    return svg.replace("sans-serif", "var(--font)")
