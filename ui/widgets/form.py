"""Labelled fields. Values reach the server by ``on_value``, or stay in the browser until the form is sent."""

from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from typing import Any

from nicegui import ui
from nicegui.element import Element

from ui.markup import Attribute, button, dress, node
from ui.toast import sentence


@dataclass(frozen=True)
class Field:
    """A drawn field: the control and the place where its error is told."""

    control: Element
    error: Element

    def complain(self, message: str) -> None:
        """Show ``message`` below the field; empty takes it away."""
        set_text(self.error, sentence(message))
        self.control.props["aria-invalid"] = "true" if message else "false"


def set_text(element: Element, text: str) -> None:
    """Show ``text`` in an element that was made with one."""
    setattr(element, "text", text)  # noqa: B010 - markup.Text, whose type Element hides


def text_field(name: str, label: str, *, hint: str = "", value: str = "", **attributes: Attribute) -> Field:
    """Draw a labelled text input; ``attributes`` go to the input (type, autocomplete, placeholder …)."""
    with _field(name, label):
        control = node("input", id=f"f-{name}", name=name, aria_describedby=f"e-{name}", **attributes)
        if value:
            control.props[".value"] = value
        return Field(control, _foot(name, hint))


def area_field(name: str, label: str, *, hint: str = "", value: str = "", rows: int = 8) -> Field:
    """Draw a labelled field of several lines, for code."""
    with _field(name, label):
        control = node("textarea", id=f"f-{name}", name=name, css="input mono", aria_describedby=f"e-{name}", rows=rows)
        if value:
            control.props[".value"] = value
        return Field(control, _foot(name, hint))


def password_field(name: str, label: str, *, hint: str = "", **attributes: Attribute) -> Field:
    """Draw a password input with a button that shows what was typed."""
    with _field(name, label):
        with node("div", css="row nowrap"):
            control = node(
                "input", id=f"f-{name}", name=name, type="password", aria_describedby=f"e-{name}", **attributes
            )
            button(
                "", "ghost", glyph="eye", data_reveal=f"f-{name}", aria_label="Show the password", aria_pressed="false"
            )
        return Field(control, _foot(name, hint))


def select_field(
    name: str, label: str, options: Iterable[tuple[str, str]], *, value: str = "", hint: str = ""
) -> Field:
    """Draw a labelled select; ``options``: (value, label)."""
    with _field(name, label):
        control = select(options, value, id=f"f-{name}", name=name)
        return Field(control, _foot(name, hint))


def select(options: Iterable[tuple[str, str]], value: str = "", css: str = "", **attributes: Attribute) -> Element:
    """Draw a bare select; ``options``: (value, label)."""
    # The options are markup, not elements: a long mapping has hundreds of them.
    markup = "".join(
        f'<option value="{escape(key)}"{" selected" if key == value else ""}>{escape(label)}</option>'
        for key, label in options
    )
    return dress(ui.html(markup, sanitize=False, tag="select"), css, attributes)


def check(name: str, label: str, *, hint: str = "", checked: bool = False) -> Element:
    """Draw a labelled checkbox and return the input."""
    with node("label", css="check"):
        control = node("input", type="checkbox", name=name)
        control.props[".checked"] = checked
        with node("span"):
            node("span", label)
            if hint:
                node("span", hint, "hint")
    return control


def _field(name: str, label: str) -> Element:
    field = node("div", css="field")
    with field:
        node("label", label, for_=f"f-{name}")
    return field


def _foot(name: str, hint: str) -> Element:
    if hint:
        node("span", hint, "hint")
    return node("span", "", "error", id=f"e-{name}", role="alert", data_error_for=name)


def set_value(control: Element, value: Any) -> None:
    """Show ``value`` in a control that is on screen already."""
    control.props[".value"] = value
