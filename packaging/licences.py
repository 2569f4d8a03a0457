"""THIRD-PARTY-LICENSES.txt of the bundle: each component with its licence, then every text once."""

from collections.abc import Iterable

import wording
from component import Component

_HEAD = """\
Dash contains work of others. Each component with its version and licence, as its makers declare them; the texts
follow: first those that came with a component, then the standard text of each licence that a component names without
bringing a text. What is compiled or packed into a component is listed below it.

"""
_LINE = "-" * 120


def page(components: Iterable[Component]) -> str:
    """Return the file's text."""
    listed = list(components)
    lines = []
    for one in listed:
        lines.append(_line(one))
        lines += [f"    {_line(inner)}" for inner in _by_name(one.inside)]
    return _HEAD + "\n".join(lines) + "\n" + "".join((*_texts(_all(listed)), *_standard_texts(_all(listed))))


def without_text(components: Iterable[Component]) -> list[str]:
    """Return the names of components that came without their licence's text, or name one whose text is not kept."""
    listed = list(components)
    inner = [part for one in listed for part in one.inside if not part.texts]
    lacking = [part.name for part in inner if None in map(wording.standard, wording.identifiers(part.licence))]
    return [*(one.name for one in listed if not one.texts), *lacking]


def _line(one: Component) -> str:
    return f"{one.name} {one.version}: {one.licence}" if one.version else f"{one.name}: {one.licence}"


def _all(components: Iterable[Component]) -> list[Component]:
    return [part for one in components for part in (one, *one.inside)]


def _texts(components: list[Component]) -> Iterable[str]:
    """Yield each text with the components that it is of."""
    of: dict[str, set[str]] = {}
    for one in components:
        for name, text in one.texts.items():
            of.setdefault(text.strip(), set()).add(f"{one.name} ({name})")
    for text, names in sorted(of.items(), key=lambda item: sorted(item[1])):
        yield f"\n{_LINE}\n{', '.join(sorted(names))}\n{_LINE}\n\n{text}\n"


def _standard_texts(components: list[Component]) -> Iterable[str]:
    """Yield the standard text of each licence of those without a text of their own, and what the LGPL takes in."""
    named = {name for one in components if not one.texts for name in wording.identifiers(one.licence)}
    named |= {"GPL-3.0"} if any("GPL-3.0" in wording.identifiers(one.licence) for one in components) else set()
    for name in sorted(named):
        yield f"\n{_LINE}\n{name}, its standard text\n{_LINE}\n\n{(wording.standard(name) or '').strip()}\n"


def _by_name(components: Iterable[Component]) -> list[Component]:
    return sorted(components, key=lambda one: (one.name.lower(), one.version))
