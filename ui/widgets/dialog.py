"""Dialogs on the browser's own ``<dialog>``: focus stays inside, Escape closes."""

from collections.abc import Iterator
from contextlib import contextmanager

from nicegui.element import Element

from ui.markup import icon, node


@contextmanager
def dialog(title: str) -> Iterator[Element]:
    """Draw a closed dialog and enter it; fill a ``dialog-body`` and perhaps a ``dialog-foot``."""
    with node("dialog", aria_label=title) as made:
        with node("div", css="dialog-head"):
            node("h2", title)
            with node("button", css="icon-btn", type="button", aria_label="Close", data_close=""):
                icon("close")
        yield made


def show(made: Element) -> None:
    """Open the dialog; who types goes on in its first field, not on the button that closes it."""
    field = ".dialog-body :is(input, select, textarea):not(:disabled)"
    made.client.run_javascript(
        f"const box = getHtmlElement({made.id}); box.showModal(); box.querySelector('{field}')?.focus()"
    )


def close(made: Element) -> None:
    """Close the dialog."""
    made.client.run_javascript(f"getHtmlElement({made.id}).close()")
