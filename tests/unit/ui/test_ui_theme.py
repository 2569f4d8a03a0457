"""Colours are readable: WCAG 2.1 contrast of every text on every surface it stands on, in both themes."""

import pytest

from ui.theme import COLOURS, css, is_dark

TEXTS = ("text", "text-2", "text-3", "accent", "ok", "warn", "bad")
PAIRS = [(text, surface) for text in TEXTS for surface in ("bg", "surface", "raised")]
PAIRS += [("text", "sunken"), ("text-2", "sunken"), ("on-accent", "accent-fill"), ("on-accent", "bad-fill")]
PAIRS += [
    ("ok", "ok-soft"),
    ("warn", "warn-soft"),
    ("bad", "bad-soft"),
    ("accent", "accent-soft"),
    ("text-2", "bad-soft"),
]


def luminance(colour: str) -> float:
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(("text", "surface"), PAIRS)
def test_text_is_readable(text: str, surface: str, theme: int) -> None:
    assert contrast(COLOURS[text][theme], COLOURS[surface][theme]) >= 4.5


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(
    "name", ["series-1", "series-2", "series-3", "series-4", "series-5", "series-6", "stored", "dead"]
)
def test_lines_stand_out(name: str, theme: int) -> None:
    assert contrast(COLOURS[name][theme], COLOURS["surface"][theme]) >= 3


def test_both_themes_have_every_token() -> None:
    light, dark = css().split(":root[data-theme=dark]")
    assert all(f"--{name}:{pair[0]};" in light and f"--{name}:{pair[1]};" in dark for name, pair in COLOURS.items())


@pytest.mark.parametrize(
    ("cookie", "dark"), [(None, False), ("auto.dark", True), ("dark.dark", True), ("auto.light", False), ("x", False)]
)
def test_the_cookie_says_which_theme_is_in_force(cookie: str | None, dark: bool) -> None:
    assert is_dark(cookie) is dark
