"""The head of a page: where it stands, its title, what can be done here."""

from collections.abc import Iterator
from contextlib import contextmanager

from nicegui.element import Element

from ui.markup import icon, node


@contextmanager
def page_head(title: str, lead: str = "", crumb: tuple[str, str] | None = None) -> Iterator[Element]:
    """Draw the head and enter its actions. ``crumb``: the page above, (label, address)."""
    with node("header", css="page-head"):
        with node("div", css="titles"):
            if crumb:
                with node("a", css="crumb", href=crumb[1]):
                    icon("back")
                    node("span", crumb[0])
            with node("div", css="title-row"):
                node("h1", title)
            if lead:
                node("p", lead, "lead")
        with node("div", css="actions") as actions:
            yield actions


def live_mark() -> None:
    """Draw the mark that says whether the feed of this page is live."""
    with node("span", css="live", role="status", data_live="feed-state", data_state="idle"):
        node("i", css="dot")
        node("span", "Connecting…")
