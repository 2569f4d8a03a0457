"""Native HTML elements rendered by NiceGUI: semantics and styling are ours, not Quasar's."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from nicegui.element import Element
from nicegui.elements.mixins.text_element import TextElement
from nicegui.events import GenericEventArguments

Attribute = Any  # str, int, float, bool or None; mypy cannot spread a narrower type into named parameters
Handler = Callable[[GenericEventArguments], Awaitable[None] | None]


class Text(TextElement):
    """A native element whose content is text."""

    def __init__(self, tag: str, text: str) -> None:
        super().__init__(tag=tag, text=text)


def node(tag: str, text: str | None = None, css: str = "", **attributes: Attribute) -> Element:
    """Make ``<tag class=css …>``, empty or holding ``text``, below the element that is entered at the moment.

    Attribute names are Python's: a trailing underscore falls away (``for_``), the others become hyphens
    (``aria_label``). None and False leave the attribute out.
    """
    return dress(Element(tag) if text is None else Text(tag, text), css, attributes)


def dress(element: Element, css: str, attributes: Mapping[str, Attribute]) -> Element:
    """Give ``element`` classes and attributes, as ``node`` does."""
    if css:
        element.classes(css)
    for name, value in attributes.items():
        if value is not None and value is not False:
            element.props[name.rstrip("_").replace("_", "-")] = value
    return element


def icon(name: str, css: str = "") -> Element:
    """Make a decorative icon of ``static/icons.css``; it takes the colour of the text around it."""
    return node("i", css=f"icon {css}".strip(), aria_hidden="true", data_icon=name)


def button(label: str, kind: str = "", *, glyph: str | None = None, **attributes: Attribute) -> Element:
    """Make a button. ``kind``: "" (quiet outline), primary, danger, ghost; ``glyph``: an icon before the label."""
    attributes.setdefault("type", "button")
    with node("button", css=f"btn {kind}".strip(), **attributes) as made:
        if glyph:
            icon(glyph)
        node("span", label)
    return made


def link_button(label: str, href: str, kind: str = "", *, glyph: str | None = None, **attributes: Attribute) -> Element:
    """Make a link that looks like a button."""
    with node("a", css=f"btn {kind}".strip(), href=href, **attributes) as made:
        if glyph:
            icon(glyph)
        node("span", label)
    return made


def on(element: Element, event: str, handler: Handler) -> Element:
    """Call ``handler`` on the server at ``event``, without sending the browser's event object."""
    return element.on(event, handler, args=[])


def on_value(element: Element, handler: Callable[[Any], Awaitable[None] | None], *, checked: bool = False) -> Element:
    """Call ``handler`` with the new value of a native input, select or checkbox when it has changed.

    Each change is sent at once: a throttled one would reach the server after a click that follows it.
    """
    source = "e.target.checked" if checked else "e.target.value"
    event = "change" if checked else "input"
    return element.on(event, lambda e: handler(e.args), js_handler=f"(e) => emit({source})")
