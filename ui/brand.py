"""Name, mark and colour of the appliance as markup: Dash's, or what was set. What was typed is escaped here."""

from functools import lru_cache
from html import escape
from typing import Literal
from urllib.parse import quote

from nicegui import ui

from appliance.domain import accent
from appliance.domain.brand import DASH, Brand, Kind
from ui.markup import node
from ui.theme import COLOURS, MARK

Theme = Literal["light", "dark"]


def page_title(brand: Brand, words: str) -> None:
    """Say in the browser's tab which page this is, and of what."""
    ui.page_title(f"{words} · {brand.name}")


def head(brand: Brand) -> str:
    """Return what the head of every page has beside the palette: the accent and the picture of the tab."""
    style = f"<style>{_rules(brand.words.accent)}</style>" if brand.words.accent else ""
    if (address := _tab(brand)) is None:
        return style
    # NiceGUI has written its own link before this and takes none that is an address of this very origin.
    return f"{style}<script>document.querySelector('link[rel~=icon]').href='{address}'</script>"


@lru_cache(maxsize=4)
def _rules(colour: str) -> str:
    return accent.rules(accent.tokens(colour))


def _tab(brand: Brand) -> str | None:
    """Return the address of what the tab shows: what was uploaded for it, else the logo, else the first letter."""
    kind = Kind.FAVICON if Kind.FAVICON in brand.pictures else brand.logo(dark=False)
    if kind is not None:
        return brand.address(kind)
    return None if brand.words.name is None else f"data:image/svg+xml,{quote(monogram(brand))}"


def monogram(brand: Brand) -> str:
    """Return the first letter of the name on the accent, as SVG: the mark of who has uploaded none."""
    letter = next((one for one in brand.name if one.isalnum()), "•").upper()[:1]
    fill = brand.words.accent or COLOURS["accent-fill"][0]
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" aria-hidden="true">'
        f'<rect width="24" height="24" rx="6" fill="{fill}"/><text x="12" y="17" fill="#fff" font-size="14" '
        f'font-weight="700" font-family="system-ui,sans-serif" text-anchor="middle">{escape(letter)}</text></svg>'
    )


def brand_markup(brand: Brand, theme: Theme | None = None) -> str:
    """Return logo and name. ``theme``: only as in this one; None: the page's style sheet chooses."""
    name = f'<span class="brand-name" dir="auto">{escape(brand.name)}</span>'
    light, dark = brand.logo(dark=False), brand.logo(dark=True)
    if light is None or dark is None:
        return f'<span class="mark">{MARK if brand.words.name is None else monogram(brand)}</span>{name}'
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
