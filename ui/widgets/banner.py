"""What everybody is told at the top of a page."""

from ui.markup import icon, node


def maintenance_banner(told: str | None) -> None:
    """Draw what is told of maintenance; None: draw nothing. The browser keeps it current (``static/shell.js``)."""
    if told:
        with node("div", css="banner warn", id="maintenance", role="status"):
            icon("alert")
            node("p", f"{told[0].upper()}{told[1:]}")
