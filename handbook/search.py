"""The search index: every section of every page with its text, read by ``look/handbook.js`` when somebody searches."""

import json
import re
from collections.abc import Sequence
from typing import Final

from handbook.markup import Heading

_SPACE: Final = re.compile(r"\s+")
MOST_TEXT: Final = 4_000  # of one section; the longest have less, so this only bounds what a page to come might bring


def index_of(pages: Sequence[tuple[str, str, Sequence[Heading]]]) -> str:
    """Return the index as a script, so that it also works from a folder; ``pages``: (address, title, headings)."""
    sections = [
        [number, heading.anchor if heading.level > 1 else "", heading.title, _text(heading)]
        for number, (_, _, headings) in enumerate(pages)
        for heading in headings
    ]
    index = {"pages": [[address, title] for address, title, _ in pages], "sections": sections}
    return f"window.handbookIndex = {json.dumps(index, ensure_ascii=False, separators=(',', ':'))};\n"


def _text(heading: Heading) -> str:
    return _SPACE.sub(" ", " ".join(heading.text)).strip()[:MOST_TEXT]
