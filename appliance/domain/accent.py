"""One accent colour becomes the tokens of both themes, each readable where it is used. Pure.

No single colour is: on white, 4.5 : 1 asks for at most 0.18 of luminance, and on the dark theme's surfaces for at least
0.24. So the colour that was chosen is the light theme's, and the dark theme's is the same hue, lighter.
"""

from functools import lru_cache
from typing import Final, NamedTuple

from appliance.domain.colour import READABLE, contrast, darkened, lightened, mixed, worst

# What text stands on: (light, dark). The screens' palette is made with these (``ui/theme.py``).
SURFACES: Final[dict[str, tuple[str, str]]] = {
    "bg": ("#f6f6f4", "#0e0f12"),
    "surface": ("#ffffff", "#15171b"),
    "sunken": ("#f0f0ed", "#1b1e23"),
    "raised": ("#ffffff", "#1e2127"),
}
OWN: Final = "#2f4fd0"  # the accent that Dash has
WHITE: Final = "#ffffff"
BLACK: Final = "#000000"
# Where text is read with the most trouble: the darkest of the light surfaces, the lightest of the dark ones.
_LIGHT: Final = worst(BLACK, (light for light, _ in SURFACES.values()))
_DARK: Final = worst(WHITE, (dark for _, dark in SURFACES.values()))
_COMFORTABLE: Final = 7.0
_STANDS_OUT: Final = 3.0  # a button against what it lies on
_PRESSED: Final = 3.4
_TINTS: Final = (0.12, 0.09, 0.06, 0.03, 0.0)

Tokens = dict[str, tuple[str, str]]


class Misfit(NamedTuple):
    """``ratio`` on ``surface`` is too small; ``nearest``: the lightest shade of the same hue that is dark enough."""

    ratio: float
    surface: str
    nearest: str


def misfit(colour: str) -> Misfit | None:
    """Return why ``colour`` cannot be the accent; None: it can."""
    ratio = contrast(colour, _LIGHT)
    return None if ratio >= READABLE else Misfit(ratio, _LIGHT, darkened(colour, _LIGHT, READABLE))


def tokens(colour: str) -> Tokens:
    """Return what the accent's tokens are, (light, dark), for a ``colour`` that is no misfit. Charts have their own."""
    text = lightened(colour, _DARK, _COMFORTABLE)
    fill = lightened(colour, _DARK, _STANDS_OUT)
    return {
        "accent": (colour, text),
        "accent-fill": (colour, fill),
        "accent-hover": (_hovered(colour), lightened(fill, _DARK, _PRESSED)),
        "accent-soft": (_soft(colour, SURFACES["surface"][0]), _soft(text, SURFACES["surface"][1])),
        "on-accent": (WHITE, WHITE),
    }


@lru_cache(maxsize=4)
def style(colour: str) -> str:
    """Return the tokens of ``colour`` as CSS, to come after those that they replace."""
    made = tokens(colour)
    light, dark = ("".join(f"--{name}:{pair[theme]};" for name, pair in made.items()) for theme in (0, 1))
    return f":root{{{light}}}:root[data-theme=dark]{{{dark}}}"


def _hovered(colour: str) -> str:
    """Return the shade of a button below the pointer: darker, or a little lighter where that is hardly possible."""
    wanted = contrast(colour, WHITE) * 1.2
    return darkened(colour, WHITE, wanted) if wanted < 19 else mixed(WHITE, colour, 0.15)


def _soft(text: str, surface: str) -> str:
    """Return the strongest tint of the surface on which ``text`` is still read."""
    tints = (mixed(text, surface, share) for share in _TINTS)
    return next(tint for tint in tints if contrast(text, tint) >= READABLE)
