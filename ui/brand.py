"""Name, mark and colour of the appliance as markup: Dash's, or what was set. What was typed is escaped here."""

from html import escape
from typing import Literal

from nicegui import ui

from appliance.domain import accent
from appliance.domain.brand import DASH, Brand
from ui.markup import node
from ui.theme import MARK

Theme = Literal["light", "dark"]


def page_title(brand: Brand, words: str) -> None:
    """Say in the browser's tab which page this is, and of what."""
    ui.page_title(f"{words} · {brand.name}")


def head(brand: Brand) -> str:
    """Return what the head of every page has beside the palette: the accent and the picture of the tab."""
    style = f"<style>{accent.style(brand.words.accent)}</style>" if brand.words.accent else ""
    if (address := brand.tab()) is None:
        return style
    # NiceGUI has written its own link before this and takes none that is an address of this very origin.
    return f"{style}<script>document.querySelector('link[rel~=icon]').href='{address}'</script>"


def brand_markup(brand: Brand, theme: Theme | None = None) -> str:
    """Return logo and name. ``theme``: only as in this one; None: the page's style sheet chooses."""
    name = f'<span class="brand-name" dir="auto">{escape(brand.name)}</span>'
    light, dark = brand.logo(dark=False), brand.logo(dark=True)
    if light is None or dark is None:
        return f'<span class="mark">{MARK if brand.words.name is None else brand.monogram()}</span>{name}'
    beside = brand.words.name_beside_logo
    chosen = [(light, "")] if light is dark else [(light, " on-light"), (dark, " on-dark")]
    if theme is not None:
        chosen = [(dark if theme == "dark" else light, "")]
    alternative = "" if beside else escape(brand.name)
    logos = (f'<img class="logo{css}" src="{brand.address(kind)}" alt="{alternative}">' for kind, css in chosen)
    return "".join(logos) + (name if beside else "")


def version(brand: Brand, number: str) -> str:
    """Return which version this is, and of what unless that is not to be said."""
    return f"{DASH} {number}" if brand.words.powered_by else f"Version {number}"


def support(brand: Brand) -> None:
    """Draw who helps, where somebody told."""
    told = brand.words.support
    if told is None:
        return
    with node("p", css="support"):
        if told.link is None:
            node("span", told.text, dir="auto")
        else:
            node("a", told.text, href=told.link, rel="noopener noreferrer", dir="auto")


def foot(brand: Brand) -> None:
    """Draw what stands below a page of somebody nobody knows yet: who helps, and what this is by another name."""
    with node("footer", css="bare-foot"):
        support(brand)
        if brand.words.name is not None and brand.words.powered_by:
            node("p", f"Powered by {DASH}", "faint")
