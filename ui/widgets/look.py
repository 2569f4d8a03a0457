"""A page in small, as a brand would make it look, in one theme."""

from html import escape

from nicegui import ui

from appliance.domain import accent
from appliance.domain.brand import Brand
from ui.brand import Theme, brand_markup
from ui.theme import COLOURS

_LINKS = (("gauge", "Dashboards", True), ("flow", "Pipelines", False))


def looks(brand: Brand) -> None:
    """Draw it in both themes, side by side."""
    ui.html(f"{_look(brand, 'light')}{_look(brand, 'dark')}", sanitize=False).classes("looks")


def _look(brand: Brand, theme: Theme) -> str:
    place = 1 if theme == "dark" else 0
    own = accent.tokens(brand.words.accent) if brand.words.accent else {}
    tokens = "".join(f"--{name}:{pair[place]};" for name, pair in (COLOURS | own).items())
    links = "".join(
        f'<span class="nav-link"{" aria-current=page" if here else ""}><i class="icon" data-icon="{glyph}"></i>'
        f"<span>{label}</span></span>"
        for glyph, label, here in _LINKS
    )
    told = brand.words.support
    helps = "" if told is None else f'<p class="support" dir="auto">{escape(told.text)}</p>'
    return f"""<figure class="look" data-theme="{theme}" style="color-scheme:{theme};{tokens}">
<figcaption>{theme.capitalize()} theme</figcaption>
<div class="look-page" aria-hidden="true"><div class="look-side"><span class="brand">{brand_markup(brand, theme)}</span>
{links}</div><div class="look-main"><b>Sign in</b><p class="muted">Text, and <span class="look-link">a link</span></p>
<span class="btn primary">Sign in</span><span class="badge accent">chosen</span>{helps}</div></div></figure>"""
