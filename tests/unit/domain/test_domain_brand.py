"""Words and colours of a brand: what is taken, what is refused and why, and that every accent stays readable."""

import colorsys

import pytest

from appliance.domain import accent, colour
from appliance.domain.brand import DASH, Brand, Kind, Picture, Support, Words, problems, tidied
from ui.theme import COLOURS

PICTURE = Picture("image/png", "0011223344556677", b"x")


@pytest.mark.parametrize(
    ("one", "other", "ratio"),
    [
        ("#000000", "#ffffff", 21.0),
        ("#777777", "#ffffff", 4.48),
        ("#ffcc00", "#ffffff", 1.51),
        ("#0b6e4f", "#0b6e4f", 1),
    ],
)
def test_contrast_is_that_of_wcag(one: str, other: str, ratio: float) -> None:
    assert colour.contrast(one, other) == pytest.approx(ratio, abs=0.01)
    assert colour.contrast(other, one) == colour.contrast(one, other)


@pytest.mark.parametrize(
    ("text", "found"),
    [("#0B6E4F", "#0b6e4f"), ("#fC0", "#ffcc00"), ("0b6e4f", None), ("#0b6e4", None), ("red", None), ("", None),
     ("#0b6e4f;}", None), ("#0b6e4f\n", None)],
)  # fmt: skip
def test_what_is_a_colour(text: str, found: str | None) -> None:
    assert colour.parsed(text) == found


EVERY = [
    "#" + "".join(f"{round(part * 255):02x}" for part in colorsys.hls_to_rgb(hue / 24, light / 20, saturation))
    for hue in range(24)
    for light in range(21)
    for saturation in (0.0, 0.5, 1.0)
]


def test_every_accent_is_readable_in_both_themes_or_refused_with_one_that_is() -> None:
    refused = 0
    for given in EVERY:
        wrong = accent.misfit(given)
        refused += wrong is not None
        chosen = given if wrong is None else wrong.nearest
        assert accent.misfit(chosen) is None, given
        made = accent.tokens(chosen)
        for theme in (0, 1):
            surfaces = [pair[theme] for pair in accent.SURFACES.values()] + [made["accent-soft"][theme]]
            assert all(colour.contrast(made["accent"][theme], one) >= 4.5 for one in surfaces), (given, theme)
            for fill in ("accent-fill", "accent-hover"):
                assert colour.contrast(made["on-accent"][theme], made[fill][theme]) >= 4.5, (given, fill, theme)
            for text in ("text", "text-2"):
                assert colour.contrast(COLOURS[text][theme], made["accent-soft"][theme]) >= 4.5, (given, text, theme)
        assert colour.contrast(made["accent-fill"][1], accent.SURFACES["raised"][1]) >= 3, given
    assert 0 < refused < len(EVERY)


def test_charts_keep_their_palette() -> None:
    assert set(accent.tokens("#0b6e4f")) <= {name for name in COLOURS if "accent" in name}


def test_an_accent_that_cannot_be_read_is_told_with_its_ratio_and_the_nearest_that_can() -> None:
    [problem] = problems(tidied(Words(accent="#FC0")))
    assert problem.pointer == "/accent"
    assert problem.message == (
        "#ffcc00 on the light theme's #f0f0ed has a contrast of 1.32 : 1, and text and buttons need 4.5 : 1"
    )
    assert problem.hint == "the nearest that has it is #856a00"
    assert problems(Words(accent="#856a00")) == []
    assert colour.contrast("#866b00", "#f0f0ed") < 4.5  # the next shade is too light


HOSTILE = {
    "<script>alert(1)</script>": True,
    "שלום עולם": True,
    "می‌خواهم": True,
    "A" * 60: True,
    "A" * 61: False,
    "A" * 10_000: False,
    "two\nlines": False,
    "turned\u202earound": False,
    "nul\x00": False,
    "\ud800": False,
}


@pytest.mark.parametrize("name", HOSTILE, ids=lambda name: ascii(name)[:24])
def test_names_are_one_line_that_shows_as_it_is(name: str) -> None:
    found = problems(tidied(Words(name=name, support=Support(name))))
    assert ([one.pointer for one in found] == []) is HOSTILE[name] or len(name) == 61
    assert all(len(one.message) < 200 for one in found)


@pytest.mark.parametrize(
    ("link", "taken"),
    [
        ("https://help.example.org/a?b=c#d", True), ("mailto:help@example.org", True), ("MAILTO:a@example.org", True),
        ("http://help.example.org", False), ("javascript:alert(1)", False), ("data:text/html,x", False),
        ("https:", False), ("https://", False), ("https://[", False), ("mailto:", False), ("mailto:@", False),
        ("//example.org", False), ("/local", False), ("https://a b.org", False), ("https://exämple.org", False),
        ("https://example.org/" + "a" * 500, False), (" java\tscript:alert(1)", False),
    ],
)  # fmt: skip
def test_links_lead_to_help_and_run_nothing(link: str, taken: bool) -> None:
    found = problems(tidied(Words(support=Support("Help", link))))
    assert [one.pointer for one in found] == ([] if taken else ["/support/link"])


def test_every_problem_is_told_at_once() -> None:
    found = problems(tidied(Words(name="a\nb", accent="blue", support=Support("", "ftp://x"))))
    assert [one.pointer for one in found] == ["/name", "/accent", "/support/text", "/support/link"]


def test_nothing_and_what_dash_has_anyway_are_the_same() -> None:
    assert tidied(Words(name=f" {DASH} ", accent="  ", support=Support(" ", " "))) == Words()
    assert not Brand(tidied(Words(name=""))).own
    assert Brand(Words(name="X")).own
    assert Brand(Words(), {Kind.LOGO: PICTURE}).own


def test_a_logo_counts_in_both_themes_until_there_is_one_for_the_dark() -> None:
    assert Brand().logo(dark=False) is None
    one = Brand(Words(), {Kind.LOGO: PICTURE})
    assert (one.logo(dark=False), one.logo(dark=True)) == (Kind.LOGO, Kind.LOGO)
    both = Brand(Words(), {Kind.LOGO: PICTURE, Kind.LOGO_DARK: PICTURE})
    assert (both.logo(dark=False), both.logo(dark=True)) == (Kind.LOGO, Kind.LOGO_DARK)
    assert both.address(Kind.LOGO_DARK) == "/api/v1/branding/logo_dark?v=0011223344556677"
