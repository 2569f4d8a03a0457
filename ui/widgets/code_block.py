"""Text to be copied: commands and secrets."""

from nicegui.element import Element

from ui.markup import button, node


def code_block(code: str, name: str, *, wrap: bool = False, label: str = "Copy") -> Element:
    """Draw ``code`` with a copy button. ``name``: the id of the text, unique on the page."""
    with node("div", css="code wrap" if wrap else "code") as block:
        node("pre", code, id=name, tabindex="0")
        button(label, "small", glyph="copy", data_copy_from=name)
    return block


def secret_line(secret: str, name: str) -> None:
    """Draw a secret that is shown this once, with a copy button."""
    with node("div", css="secret"):
        node("code", secret, id=name)
        button("Copy", "small", glyph="copy", data_copy_from=name)
