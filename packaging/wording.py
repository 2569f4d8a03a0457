"""Licence texts of what came without one: kept here by name, or the standard text of the licence it names.

texts/inside.txt      sections that begin with ``== kind:name kind:name …``
texts/standard/       a file for each SPDX identifier, without ``-only`` and ``-or-later``
"""

import re
from functools import cache
from pathlib import Path

from component import Component

TEXTS = Path(__file__).resolve().parent / "texts"
_NEEDS = {"LGPL-3.0": "GPL-3.0"}  # its first sentence takes the other in


def kept(one: Component) -> dict[str, str]:
    """Return the text of ``one`` that is kept here, if there is one."""
    text = _inside().get(f"{one.kind}:{one.name}")
    return {} if text is None else {"its licence": text}


def identifiers(licence: str) -> list[str]:
    """Return the licences that ``licence``, an SPDX expression, names. Of a choice, the GPL is not what we take."""
    named = [name for name in re.findall(r"[\w.+-]+", licence) if name not in ("AND", "OR", "WITH")]
    if " OR " in licence:
        named = [name for name in named if not name.startswith(("GPL", "LGPL"))]
    plain = [re.sub(r"-(only|or-later)$", "", name) for name in named]
    return [*plain, *(_NEEDS[name] for name in plain if name in _NEEDS)]


def standard(identifier: str) -> str | None:
    """Return the standard text of a licence, None where none is kept."""
    path = TEXTS / "standard" / f"{identifier}.txt"
    return path.read_text("utf-8") if path.exists() else None


@cache
def _inside() -> dict[str, str]:
    found: dict[str, str] = {}
    for section in re.split(r"^== ", (TEXTS / "inside.txt").read_text("utf-8"), flags=re.MULTILINE)[1:]:
        names, text = section.split("\n", 1)
        found |= dict.fromkeys(names.split(), text.strip())
    return found
