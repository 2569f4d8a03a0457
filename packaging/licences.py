"""THIRD-PARTY-LICENSES.txt of the bundle: each component with its licence, then every text once."""

from collections.abc import Iterable

from inventory import Component

_HEAD = """\
Dash contains work of others. Each component with its version and licence, as its makers declare them; the texts
follow. What is compiled into a component is listed below it.

"""
_LINE = "-" * 120


def page(components: Iterable[Component]) -> str:
    """Return the file's text."""
    listed = list(components)
    lines = []
    for one in listed:
        lines.append(f"{one.name} {one.version}: {one.licence}")
        lines += [f"    {inner.name} {inner.version}: {inner.licence}" for inner in _by_name(one.inside)]
    return _HEAD + "\n".join(lines) + "\n" + "".join(_texts(listed))


def without_text(components: Iterable[Component]) -> list[str]:
    """Return the names of components that came without their licence's text."""
    return [one.name for one in components if not one.texts]


def _texts(components: list[Component]) -> Iterable[str]:
    """Yield each text with the components that it is of."""
    of: dict[str, list[str]] = {}
    for one in components:
        for name, text in sorted(one.texts.items()):
            of.setdefault(text.strip(), []).append(f"{one.name} ({name})")
    for text, names in sorted(of.items(), key=lambda item: item[1]):
        yield f"\n{_LINE}\n{', '.join(names)}\n{_LINE}\n\n{text}\n"


def _by_name(components: Iterable[Component]) -> list[Component]:
    return sorted(components, key=lambda one: (one.name.lower(), one.version))
