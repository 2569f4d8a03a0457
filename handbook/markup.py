"""From Markdown to HTML: anchors as GitHub makes them, links between pages, colours for code, drawn diagrams."""

import posixpath
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any, Final

from markdown_it import MarkdownIt
from markdown_it.token import Token
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.util import ClassNotFound

from handbook import diagrams
from handbook.sources import ROOT

_NO_WORD: Final = re.compile(r"[^\w\- ]")
_FORMAT: Final = HtmlFormatter(nowrap=True, classprefix="k-")
_PROMPTS: Final = {"": "text", "mermaid": "text"}


@dataclass(frozen=True)
class Heading:
    """``level`` 1 to 6; ``anchor``: unique on its page; ``text``: what is said below it, for searching."""

    level: int
    anchor: str
    title: str
    text: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Link:
    """A link to another page or to a place: ``target`` as written, ``slug`` None where there is no such page."""

    target: str
    slug: str | None
    anchor: str


@dataclass(frozen=True)
class Rendered:
    html: str
    headings: list[Heading]
    links: list[Link]


class Renderer:
    """Renders pages that link to each other. ``pages``: their paths in the repository → their addresses."""

    def __init__(self, pages: Mapping[str, str], address: Callable[[str, str, str], str], prefix: str = "") -> None:
        """``address``: (page that links, page it links to, anchor) → what stands in the link.

        ``prefix``: before every anchor, with ``{slug}`` for the page; so that all of them may stand in one document.
        """
        self._pages, self._address, self._prefix = pages, address, prefix
        self._parser = MarkdownIt("commonmark", {"html": False}).enable("table")
        self._parser.add_render_rule("fence", _fence)
        self._parser.add_render_rule("code_block", _fence)
        self._parser.add_render_rule("table_open", lambda *_: '<div class="scroll" tabindex="0"><table>\n')
        self._parser.add_render_rule("table_close", lambda *_: "</table></div>\n")

    def render(self, slug: str, path: str, text: str) -> Rendered:
        tokens = self._parser.parse(text)
        headings = _anchored(tokens, self._prefix.format(slug=slug))
        links = [self._relink(slug, path, *ends) for ends in _links(tokens)]
        html = self._parser.renderer.render(tokens, self._parser.options, {"slug": slug})
        return Rendered(html, headings, [link for link in links if link is not None])

    def _relink(self, slug: str, path: str, token: Token, end: Token) -> Link | None:
        """Make a link to a page lead there; one to a file that is no page becomes plain text."""
        href = str(token.attrs["href"])
        if "://" in href or href.startswith("mailto:"):
            token.attrs["rel"] = "noreferrer"
            return None
        target, _, anchor = href.partition("#")
        if target.startswith("/") and not target.startswith("/docs"):
            return None  # an address of the appliance
        if target.startswith("/docs"):
            meant: str | None = target.removeprefix("/docs").strip("/") or "index"
            meant = meant if meant in self._pages.values() else None
        else:
            place = posixpath.normpath(posixpath.join(posixpath.dirname(path), target)) if target else path
            meant = self._pages.get(place)
        if meant is not None:
            token.attrs["href"] = self._address(slug, meant, anchor)
        elif (ROOT / posixpath.dirname(path) / target).is_file():
            token.type = end.type = "text"
            return None
        return Link(href, meant, anchor)


def slug_of(title: str) -> str:
    """Return the anchor of a heading, as GitHub makes it."""
    return _NO_WORD.sub("", title.lower().strip()).replace(" ", "-")


def code_css(scope: str, style: str) -> str:
    """Return the colours of code below the selector ``scope``."""
    rules: str = HtmlFormatter(style=style, classprefix="k-").get_style_defs(scope)
    return rules


def _anchored(tokens: Sequence[Token], prefix: str) -> list[Heading]:
    """Give every heading its anchor; return them with what is said below each."""
    headings: list[Heading] = []
    taken: dict[str, int] = {}
    for place, token in enumerate(tokens):
        if token.type == "heading_open":
            title = _plain(tokens[place + 1])
            anchor = slug_of(title)
            taken[anchor] = again = taken.get(anchor, -1) + 1
            anchor = prefix + (f"{anchor}-{again}" if again else anchor)
            token.attrs["id"] = anchor
            headings.append(Heading(int(token.tag[1]), anchor, title))
            mark = Token(
                "html_inline", "", 0, content=f'<a class="anchor" href="#{anchor}" aria-label="Link to this">#</a>'
            )
            tokens[place + 1].children = [*(tokens[place + 1].children or ()), mark]
        elif headings and token.type == "inline" and tokens[place - 1].type != "heading_open":
            headings[-1].text.append(_plain(token))
        elif headings and token.type == "fence" and not token.info.startswith("mermaid"):
            headings[-1].text.append(token.content)
    return headings


def _plain(token: Token) -> str:
    shown = ("text", "code_inline", "softbreak")
    return "".join(child.content or " " for child in token.children or () if child.type in shown)


def _links(tokens: Sequence[Token]) -> list[tuple[Token, Token]]:
    """Return beginning and end of every link; links are not nested."""
    inside = [child for token in tokens for child in token.children or ()]
    return list(
        zip(*([one for one in inside if one.type == kind] for kind in ("link_open", "link_close")), strict=True)
    )


def _fence(_: Any, tokens: Sequence[Token], place: int, options: Any, env: Any) -> str:
    token = tokens[place]
    language = token.info.partition(" ")[0]
    if language == "mermaid":
        drawn = diagrams.drawn(token.content)
        if drawn is not None:
            return f'<figure class="diagram" tabindex="0">{drawn}</figure>\n'
    try:
        code = highlight(token.content, get_lexer_by_name(_PROMPTS.get(language, language)), _FORMAT)
    except ClassNotFound:
        code = escape(token.content)
    return f'<div class="code"><pre tabindex="0"><code>{code}</code></pre></div>\n'
