"""The one frame every page enters: navigation, organisation, person, theme, health and the skip link.

The frame is plain HTML beside NiceGUI's root, so it is on screen before any script has run.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from nicegui import ui
from nicegui.element import Element

from appliance.domain.access import Action
from appliance.domain.brand import Brand
from ui import brand as branding
from ui.markup import node
from ui.theme import BOOT_SCRIPT, css
from ui.widgets.banner import maintenance_banner

if TYPE_CHECKING:
    from appliance.services import Services
    from ui.session import Visit

STYLES = ("base.css", "icons.css", "frame.css", "controls.css", "data.css", "pages.css")
SCRIPTS = ("app.js",)
PRELOADS = (
    "feed.js",
    "format.js",
    "live.js",
    "stats.js",
    "rows.js",
    "replay.js",
    "charts.js",
    "widgets.js",
    "forms.js",
    "shell.js",
)
SECTIONS = (  # with what somebody must be allowed to do to be led there; None: whoever is signed in
    ("dashboards", "/dashboards", "Dashboards", "gauge", None),
    ("pipelines", "/pipelines", "Pipelines", "flow", None),
    ("storage", "/storage", "Storage", "disk", None),
    ("backups", "/backups", "Backups", "download", Action.BACKUP_READ),
    ("jobs", "/jobs", "Jobs", "clock", Action.JOB_READ),
    ("nodes", "/nodes", "Nodes", "host", Action.NODE_READ),
    ("operations", "/operations", "Operations", "pulse", Action.OPERATIONS_READ),
    ("organisations", "/organisations", "Organisations", "house", Action.ORGANISATION_MANAGE),
    ("people", "/people", "People", "people", Action.USER_MANAGE),
    ("tokens", "/tokens", "API tokens", "key", Action.TOKEN_MANAGE),
    ("sign-in", "/sign-in/providers", "Sign-in", "lock", Action.USER_MANAGE),
    ("license", "/license", "Licence", "seal", Action.LICENSE_READ),
    ("appearance", "/appearance", "Appearance", "palette", Action.BRANDING_MANAGE),
)


@dataclass(frozen=True)
class Place:
    """Where a page stands: its title, the section it belongs to, and the page of the handbook that explains it."""

    title: str
    section: str = ""
    help: str = ""


def _head(assets: str, title: str, brand: Brand) -> None:
    branding.page_title(brand, title)
    links = "".join(f'<link rel="stylesheet" href="{assets}/{name}">' for name in STYLES)
    links += "".join(f'<link rel="modulepreload" href="{assets}/{name}">' for name in PRELOADS)
    links += "".join(f'<script type="module" src="{assets}/{name}"></script>' for name in SCRIPTS)
    ui.add_head_html(f"<script>{BOOT_SCRIPT}</script><style>{css()}</style>{branding.head(brand)}{links}")


@contextmanager
def bare(assets: str, title: str, services: "Services") -> Iterator[Element]:
    """Enter a page without navigation: set-up and sign-in."""
    brand = services.branding.now()
    _head(assets, title, brand)
    ui.add_body_html(f'<div class="bare-mark">{branding.brand_markup(brand)}</div>')
    with node("main", css="bare", id="main", tabindex="-1") as main:
        maintenance_banner(services.maintenance.told())
        yield main
        branding.foot(brand)


@contextmanager
def frame(visit: "Visit", place: Place, assets: str) -> Iterator[Element]:
    """Enter a page of somebody who is signed in."""
    _head(assets, place.title, visit.services.branding.now())
    ui.add_body_html(_navigation(visit, place))
    with node("main", css="page", id="main", tabindex="-1") as main:
        maintenance_banner(visit.services.maintenance.told())
        _banner(visit, place)
        yield main


def _banner(visit: "Visit", place: Place) -> None:
    """Tell an administrator what is to be seen to of the licence, quietly, on every page but its own."""
    told = None if place.section == "license" else visit.services.licenses.banner(visit.who)
    if told is not None:
        with node("a", css="banner", href="/license", role="note"):
            node("i", css="icon", data_icon="alert", aria_hidden="true")
            node("span", f"{told.message[:1].upper()}{told.message[1:]}.")


def _navigation(visit: "Visit", place: Place) -> str:
    links = "".join(_link(place, *section) for *section, needed in SECTIONS if needed is None or visit.may(needed))
    name, organisation = escape(visit.who.name), escape(visit.organisation)
    brand = visit.services.branding.now()
    return f"""
<a class="skip" href="#main">Skip to content</a>
<header class="side" data-frame>
  <div class="side-top">
    <a class="brand" href="/" aria-label="{escape(brand.name)}, start page">{branding.brand_markup(brand)}</a>
    <span class="org" title="Organisation">{organisation}</span>
    <button class="icon-btn menu-btn" type="button" aria-label="Menu" aria-expanded="false" aria-controls="side-nav"
      data-menu><i class="icon" data-icon="menu" aria-hidden="true"></i></button>
  </div>
  <div class="side-body" id="side-nav">
    <nav aria-label="Main">{links}</nav>
    <div class="side-foot">
      <a class="health" href="/readyz" data-live="health" data-state="unknown"><i class="dot"></i>
        <span>Checking…</span></a>
      <a class="nav-link" href="/docs/{place.help}" target="_blank"><i class="icon" data-icon="help"
        aria-hidden="true"></i><span>Handbook</span></a>
      <a class="nav-link" href="/api/docs" target="_blank"><i class="icon" data-icon="book" aria-hidden="true"></i>
        <span>API reference</span></a>
      <a class="nav-link" href="/account"{_current(place, "account")}><i class="icon" data-icon="user"
        aria-hidden="true"></i><span class="who" title="{name}">{name}</span></a>
      <div class="foot-row">
        <div class="segmented theme" role="radiogroup" aria-label="Theme" data-theme-toggle>{_THEMES}</div>
        <form method="post" action="/ui/sign-out"><button class="icon-btn" title="Sign out" aria-label="Sign out"><i
          class="icon" data-icon="exit" aria-hidden="true"></i></button></form>
      </div>
      <span class="version">{escape(branding.version(brand, visit.version))}</span>
    </div>
  </div>
</header>"""


_THEMES = "".join(
    f'<button type="button" role="radio" value="{value}" title="{label}" aria-label="{label}">'
    f'<i class="icon" data-icon="{glyph}"></i></button>'
    for value, label, glyph in (
        ("light", "Light theme", "sun"),
        ("dark", "Dark theme", "moon"),
        ("auto", "Theme of the system", "auto"),
    )
)


def _current(place: Place, section: str) -> str:
    return ' aria-current="page"' if place.section == section else ""


def _link(place: Place, section: str, href: str, label: str, glyph: str) -> str:
    return (
        f'<a class="nav-link" href="{href}"{_current(place, section)}>'
        f'<i class="icon" data-icon="{glyph}" aria-hidden="true"></i><span>{label}</span></a>'
    )
