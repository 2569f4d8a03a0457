"""Pictures: known by their bytes, whole, bounded, and with nothing in them that would do or fetch something."""

import struct

import pytest

from appliance.domain.brand import Kind
from appliance.domain.picture import Unfit, examined
from tests.pictures import FINE, SVG, png


def ico(picture: bytes) -> bytes:
    return struct.pack("<HHHBBBBHHII", 0, 1, 1, 16, 16, 0, 0, 1, 32, len(picture), 22) + picture


def told(data: bytes | str, kind: Kind = Kind.LOGO) -> str:
    with pytest.raises(Unfit) as caught:
        examined(data if isinstance(data, bytes) else data.encode(), kind)
    return str(caught.value)


def test_pictures_are_what_their_bytes_say() -> None:
    found = {kind: examined(png(), kind).media for kind in Kind}
    assert set(found.values()) == {"image/png"}
    assert examined(FINE.encode(), Kind.LOGO).media == "image/svg+xml"
    prologue = '\ufeff<?xml version="1.0"?>\n<!-- made by hand -->\n'
    public = '<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd">'
    assert examined((prologue + public + FINE).encode(), Kind.LOGO).media == "image/svg+xml"
    assert examined(ico(png()), Kind.FAVICON).media == "image/x-icon"
    assert len(examined(png(), Kind.LOGO).digest) == 16


@pytest.mark.parametrize(
    "data",
    [b"", b"GIF89a\1\0\1\0", b"\xff\xd8\xff\xe0JFIF", b"\x1f\x8b\x08gzip", b"RIFF\0\0\0\0WEBP", b"{}", b"\0" * 64],
)
def test_what_is_no_picture_is_refused_by_its_bytes(data: bytes) -> None:
    assert told(data).startswith("it is neither of PNG or SVG")


def test_an_icon_is_for_the_tab_only() -> None:
    assert told(ico(png())).startswith("it is neither of PNG or SVG")
    for cut in (6, 20, len(ico(png())) - 1):
        assert told(ico(png())[:cut], Kind.FAVICON).startswith("it begins as a ICO") or cut < 6
    assert told(b"\0\0\1\0\0\0", Kind.FAVICON).startswith("it begins as a ICO")


def test_a_png_is_whole_bounded_and_ends_where_it_ends() -> None:
    whole = png()
    for cut in range(8, len(whole)):
        assert "is not a whole one" in told(whole[:cut])
    for place in (20, 45, len(whole) - 1):
        flipped = bytearray(whole)
        flipped[place] ^= 1
        assert "it" in told(bytes(flipped))
    assert told(png(100_000, 100_000)) == "it is 100,000 × 100,000 pixels, and 2,048 a side are allowed"
    assert told(png(0, 5)).startswith("it is 0 × 5 pixels")
    assert told(png(more=b"<script>alert(1)</script>")).startswith("something follows the end")


DANGERS = {
    "script": "<script>alert(1)</script>",
    "script of another case": "<SCRIPT>alert(1)</SCRIPT>",
    "script in another namespace": '<x:script xmlns:x="http://www.w3.org/1999/xhtml">alert(1)</x:script>',
    "handler": '<rect onload="alert(1)"/>',
    "handler in capitals": '<rect ONCLICK="alert(1)"/>',
    "page inside": '<foreignObject><body xmlns="http://www.w3.org/1999/xhtml"/></foreignObject>',
    "frame": '<iframe src="https://example.org"/>',
    "link": '<a href="https://example.org"><path d="M0 0"/></a>',
    "picture from elsewhere": '<image href="https://example.org/x.png"/>',
    "picture from elsewhere, old": '<image xlink:href="//example.org/x.png"/>',
    "drawing inside a drawing": '<image href="data:image/svg+xml;base64,PHN2Zy8+"/>',
    "script as an address": '<use href=" javascript:alert(1)"/>',
    "fill from elsewhere": '<rect fill="url(https://example.org/x.svg#a)"/>',
    "style from elsewhere": "<rect style=\"background:url( 'https://example.org' )\"/>",
    "imported style": "<style>@import 'https://example.org/x.css';</style>",
    "style sheet": "<style>rect{fill:URL(//example.org)}</style>",
    "steered to an address": '<use><set attributeName="xlink:href" to="https://example.org"/></use>',
    "steered to a handler": '<rect><animate attributeName="onclick" to="alert(1)"/></rect>',
    "instruction": '<?xml-stylesheet href="https://example.org/x.css"?>',
}


@pytest.mark.parametrize("what", DANGERS)
def test_a_drawing_that_would_do_or_fetch_something_is_refused(what: str) -> None:
    found = told(SVG.format(f"\n{DANGERS[what]}"))
    assert found.startswith("line 2 has "), found
    assert "export it as a plain SVG" in found


def test_entities_are_refused_before_they_grow() -> None:
    lol = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10 if n else "ha"}">' for n in range(10))
    assert "declarations in its DOCTYPE" in told(f"<!DOCTYPE svg [{lol}]>" + SVG.format("<text>&l9;</text>"))
    secret = '<!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/passwd">]>' + SVG.format("<text>&x;</text>")
    assert "declarations in its DOCTYPE" in told(secret)
    outside = '<!DOCTYPE svg SYSTEM "file:///etc/passwd">' + SVG.format("<text>&x;</text>")
    assert "line 1 has an entity &x;" in told(outside)


def test_uses_of_uses_are_refused() -> None:
    layers = "".join(f'<g id="g{n}">' + f'<use href="#g{n - 1}"/>' * 10 + "</g>" for n in range(1, 9))
    assert "which uses something itself" in told(
        SVG.format(f'<g id="g0"><path d="M0 0"/></g>{layers}<use href="#g8"/>')
    )


def test_a_drawing_is_whole_says_its_size_and_is_an_svg() -> None:
    assert told(FINE[:-3]).startswith("it is not a whole SVG")
    assert told(SVG.format("")[: -len("</svg>")].replace('viewBox="0 0 9 9"', "") + "</svg>").startswith(
        "it does not say"
    )
    assert (
        told("<html><script>alert(1)</script></html>") == "it is XML, and begins with <html> instead of an SVG's <svg>"
    )
    assert told("<svg/>").startswith("it is XML, and begins with <svg>")  # not in the namespace: browsers show nothing
    assert told(SVG.format("<g>" * 50_000)).startswith("it is not a whole SVG")
    many = told(SVG.format('<rect onload="x"/>' * 500))
    assert many.count("onload") == 20
