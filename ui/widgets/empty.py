"""What a screen shows when there is nothing to show: why, and the next step."""

from nicegui.element import Element

from ui.markup import icon, link_button, node


def notice(glyph: str, title: str, text: str, *steps: tuple[str, str]) -> Element:
    """Fill the place with a title, a sentence and next steps (label, address); the first one is the main one."""
    with node("section", css="notice") as made:
        icon(glyph, "notice-icon")
        node("h2", title)
        node("p", text)
        if steps:
            with node("div", css="notice-steps"):
                for place, (label, href) in enumerate(steps):
                    link_button(label, href, "" if place else "primary")
    return made
