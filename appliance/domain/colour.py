"""Colours and how well one is read on another: WCAG 2.1 contrast, and the nearest shade that is good enough. Pure."""

import colorsys
import re
from bisect import bisect_left
from collections.abc import Iterable
from typing import Final

READABLE: Final = 4.5  # text of any size, WCAG 2.1 level AA
_HEX: Final = re.compile(r"#(?:[0-9a-f]{3}|[0-9a-f]{6})", re.IGNORECASE)
_STEPS: Final = 1000


def parsed(text: str) -> str | None:
    """Return ``#rgb`` or ``#rrggbb`` as ``#rrggbb`` in lower case; None: it is neither."""
    if _HEX.fullmatch(text) is None:
        return None
    digits = text[1:].lower()
    return f"#{digits if len(digits) == 6 else ''.join(digit * 2 for digit in digits)}"


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours: 1 where they are alike, 21 between black and white."""
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def worst(colour: str, surfaces: Iterable[str]) -> str:
    """Return the surface on which ``colour`` is read with the most trouble."""
    return min(surfaces, key=lambda one: contrast(colour, one))


def darkened(colour: str, on: str, at_least: float) -> str:
    """Return the lightest shade, no lighter than ``colour``, with that contrast on a light surface; else black."""
    hue, lightness, saturation = _hls(colour)
    if contrast(colour, on) >= at_least:
        return colour
    steps = range(round(lightness * _STEPS), -1, -1)
    found = bisect_left(steps, at_least, key=lambda step: contrast(_shade(hue, step, saturation), on))
    return _shade(hue, steps[found], saturation) if found < len(steps) else "#000000"


def lightened(colour: str, on: str, at_least: float) -> str:
    """Return the darkest shade, no darker than ``colour``, with that contrast on a dark surface; else white."""
    hue, lightness, saturation = _hls(colour)
    if contrast(colour, on) >= at_least and _luminance(colour) > _luminance(on):
        return colour
    steps = range(round(lightness * _STEPS), _STEPS + 1)
    dark = _luminance(on)

    def reached(step: int) -> float:
        shade = _shade(hue, step, saturation)
        return contrast(shade, on) if _luminance(shade) > dark else 0.0

    found = bisect_left(steps, at_least, key=reached)
    return _shade(hue, steps[found], saturation) if found < len(steps) else "#ffffff"


def mixed(colour: str, into: str, share: float) -> str:
    """Return ``into`` with so much of ``colour`` in it."""
    parts = zip(_channels(colour), _channels(into), strict=True)
    return _hex(one * share + other * (1 - share) for one, other in parts)


def _luminance(colour: str) -> float:
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in _channels(colour)
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _hls(colour: str) -> tuple[float, float, float]:
    red, green, blue = _channels(colour)
    return colorsys.rgb_to_hls(red, green, blue)


def _shade(hue: float, step: int, saturation: float) -> str:
    return _hex(colorsys.hls_to_rgb(hue, step / _STEPS, saturation))


def _channels(colour: str) -> tuple[float, float, float]:
    red, green, blue = (int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5))
    return red, green, blue


def _hex(channels: Iterable[float]) -> str:
    return "#" + "".join(f"{round(part * 255):02x}" for part in channels)
