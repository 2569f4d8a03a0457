"""What the appliance is called and looks like: Dash, or what an administrator made of it. Pure."""

from enum import StrEnum
from html import escape
from typing import Annotated, Final
from urllib.parse import quote, urlsplit

import msgspec
from msgspec import Meta

from appliance.domain import accent, colour
from appliance.errors import Problem

DASH: Final = "Dash"
MOST_LETTERS: Final = 60
MOST_SUPPORT: Final = 200
MOST_LINK: Final = 500
_JOINERS: Final = "\u200c\u200d"  # between letters of Persian and Indic words, and inside emoji


class Support(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who helps, told where people cannot get on by themselves."""

    text: Annotated[str, Meta(description="One line", examples=["Help desk, extension 4711"])]
    link: Annotated[str | None, Meta(description="mailto: or https:", examples=["mailto:help@example.org"])] = None


class Words(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything but pictures. What is left out is as Dash has it."""

    name: Annotated[str | None, Meta(description="Shown instead of Dash", examples=["Example Insight"])] = None
    accent: Annotated[str | None, Meta(description="Of buttons and links in the light theme", examples=["#0b6e4f"])] = (
        None
    )
    support: Support | None = None
    powered_by: Annotated[bool, Meta(description="Whether screens say that this is Dash")] = True
    name_beside_logo: Annotated[bool, Meta(description="false: the logo holds the name already")] = True


class Kind(StrEnum):
    """What a picture is for. A logo counts in both themes until there is one for the dark theme."""

    LOGO = "logo"
    LOGO_DARK = "logo_dark"
    FAVICON = "favicon"


class Picture(msgspec.Struct, frozen=True):
    """``media``: by what the bytes are, not by what was said. ``digest``: names this very content."""

    media: str
    digest: str
    data: bytes


class Brand(msgspec.Struct, frozen=True):
    """What is shown. Without anything of its own it is Dash."""

    words: Words = Words()
    pictures: dict[Kind, Picture] = {}

    @property
    def name(self) -> str:
        return self.words.name or DASH

    @property
    def own(self) -> bool:
        """Return whether anything is not as Dash has it."""
        return self != Brand()

    def logo(self, *, dark: bool) -> Kind | None:
        """Return which picture is the logo in that theme; None: there is none."""
        wanted = (Kind.LOGO_DARK, Kind.LOGO) if dark else (Kind.LOGO, Kind.LOGO_DARK)
        return next((kind for kind in wanted if kind in self.pictures), None)

    def address(self, kind: Kind) -> str | None:
        """Return where the picture is read, in a form that changes with it; None: there is none."""
        found = self.pictures.get(kind)
        return None if found is None else f"/api/v1/branding/{kind.value}?v={found.digest}"

    def tab(self) -> str | None:
        """Return the address of what the browser's tab shows: what was uploaded for it, else the logo, else the first
        letter of the name; None: Dash's own mark."""
        kind = Kind.FAVICON if Kind.FAVICON in self.pictures else self.logo(dark=False)
        if kind is not None:
            return self.address(kind)
        return None if self.words.name is None else f"data:image/svg+xml,{quote(self.monogram())}"

    def monogram(self) -> str:
        """Return the first letter of the name on the accent, as SVG: the mark of who has uploaded none."""
        letter = next((one for one in self.name if one.isalnum()), "•").upper()[:1]
        return (
            '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" aria-hidden="true">'
            f'<rect width="24" height="24" rx="6" fill="{self.words.accent or accent.OWN}"/><text x="12" y="17" '
            f'fill="#fff" font-size="14" font-weight="700" font-family="system-ui,sans-serif" text-anchor="middle">'
            f"{escape(letter)}</text></svg>"
        )


def tidied(words: Words) -> Words:
    """Return ``words`` without what surrounds them; nothing, and what Dash has anyway, becomes None."""
    name = (words.name or "").strip()
    support = words.support
    if support is not None:
        support = Support(support.text.strip(), (support.link or "").strip() or None)
    given = (words.accent or "").strip()
    return msgspec.structs.replace(
        words,
        name=None if name in ("", DASH) else name,
        accent=(colour.parsed(given) or given) if given else None,
        support=None if support is None or support == Support("") else support,
    )


def problems(words: Words) -> list[Problem]:
    """Return everything that is wrong with tidied ``words``."""
    found = []
    if words.name is not None and not _line(words.name, MOST_LETTERS):
        found.append(Problem("/name", f"expected one line of 1 to {MOST_LETTERS} letters, got {_quoted(words.name)}"))
    if words.accent is not None and (problem := _accent(words.accent)) is not None:
        found.append(problem)
    if words.support is not None and not _line(words.support.text, MOST_SUPPORT):
        told = f"expected one line of 1 to {MOST_SUPPORT} letters, got {_quoted(words.support.text)}"
        found.append(Problem("/support/text", told))
    if words.support is not None and words.support.link is not None and not _leads(words.support.link):
        told = f"expected an address with https: or mailto:, got {_quoted(words.support.link)}"
        found.append(Problem("/support/link", told, "such as mailto:help@example.org"))
    return found


def _accent(given: str) -> Problem | None:
    if colour.parsed(given) is None:
        return Problem("/accent", f"expected a colour such as #0b6e4f, got {_quoted(given)}")
    if (found := accent.misfit(given)) is None:
        return None
    told = (
        f"{given} on the light theme's {found.surface} has a contrast of {_floored(found.ratio)} : 1, and text and "
        f"buttons need {colour.READABLE} : 1"
    )
    return Problem("/accent", told, f"the nearest that has it is {found.nearest}")


def _floored(ratio: float) -> str:
    """Return the ratio so that it never reads as enough where it is not."""
    return f"{int(ratio * 100) / 100:.2f}"


def _line(text: str, most: int) -> bool:
    """Return whether ``text`` is one line that shows as it is: nothing in it turns the direction of what follows."""
    return 1 <= len(text) <= most and all(letter.isprintable() or letter in _JOINERS for letter in text)


def _leads(link: str) -> bool:
    if len(link) > MOST_LINK or not link.isascii() or not link.isprintable() or " " in link:
        return False
    try:
        parts = urlsplit(link)
        host = parts.hostname
    except ValueError:
        return False
    local, _, domain = parts.path.partition("@")
    return bool(host) if parts.scheme == "https" else parts.scheme == "mailto" and bool(local and domain)


def _quoted(text: str) -> str:
    return repr(text) if len(text) <= 80 else f"{text[:40]!r}… of {len(text):,} letters"
