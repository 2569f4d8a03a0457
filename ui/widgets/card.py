"""A surface with a heading."""

from collections.abc import Iterator
from contextlib import contextmanager

from nicegui.element import Element

from ui.markup import node


@contextmanager
def card(title: str, *, tight: bool = False) -> Iterator[tuple[Element, Element]]:
    """Draw a card and enter its body; yields (head, body). ``tight``: the body has no padding (tables)."""
    with node("section", css="card", aria_label=title):
        with node("div", css="card-head") as head:
            node("h2", title)
        with node("div", css="card-body tight" if tight else "card-body") as body:
            yield head, body
