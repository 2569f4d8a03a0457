"""Pictures that strangers look at before they sign in: what they are by their bytes, and what they must not hold. Pure.

PNG and SVG, and ICO for the browser's tab. A picture is shown as a picture only, and answered with a policy under which
nothing in it runs (decision 0045): what is refused here would not work there, and is told to whoever uploads it.
"""

import hashlib
import re
import struct
import zlib
from collections import defaultdict
from collections.abc import Iterator
from typing import Any, Final
from xml.parsers import expat

from appliance.domain.brand import Kind, Picture
from appliance.errors import Problem

MOST_PIXELS: Final = 2_048  # on a side: what a browser unpacks is bounded, whatever it was packed into
PNG: Final = b"\x89PNG\r\n\x1a\n"
ICO: Final = b"\x00\x00\x01\x00"
_SVG: Final = "http://www.w3.org/2000/svg"
_ACTIVE: Final = frozenset(
    {"script", "handler", "listener", "foreignobject", "iframe", "embed", "object", "audio", "video", "canvas", "a"}
)
_INSIDE: Final = re.compile(r"#|data:image/(?:png|jpeg|gif|webp)[;,]", re.IGNORECASE)
_OUTSIDE: Final = re.compile(
    r"@import|url\(\s*['\"]?(?!#|data:image/(?:png|jpeg|gif|webp)[;,])", re.IGNORECASE
)  # in styles, and in attributes such as fill


class Unfit(Exception):
    """``problems``: everything that is wrong with a picture."""

    def __init__(self, *problems: Problem) -> None:
        self.problems = problems
        super().__init__("; ".join(map(str, problems)))


def examined(data: bytes, kind: Kind) -> Picture:
    """Return ``data`` as a picture. Raises Unfit."""
    if data.startswith(PNG):
        media = _png(data)
    elif data.startswith(ICO) and kind is Kind.FAVICON:
        media = _ico(data)
    else:
        media = _svg(data, kind)
    return Picture(media, hashlib.sha256(data).hexdigest()[:16], data)


def _png(data: bytes) -> str:
    if data[12:16] != b"IHDR" or len(data) < 33:
        raise Unfit(_whole("PNG"))
    width, height = struct.unpack_from(">II", data, 16)
    if not (0 < width <= MOST_PIXELS and 0 < height <= MOST_PIXELS):
        raise Unfit(Problem("", f"it is {width:,} × {height:,} pixels, and {MOST_PIXELS:,} a side are allowed"))
    place, name = len(PNG), b""
    while name != b"IEND":
        length, name = struct.unpack_from(">I4s", data, place) if place + 12 <= len(data) else (len(data), b"")
        end = place + 8 + length
        if end + 4 > len(data) or zlib.crc32(data[place + 4 : end]) != int.from_bytes(data[end : end + 4], "big"):
            raise Unfit(_whole("PNG"))
        place = end + 4
    if place != len(data):
        raise Unfit(Problem("", "something follows the end of the PNG", "export it again"))
    return "image/png"


def _ico(data: bytes) -> str:
    count = int.from_bytes(data[4:6], "little")
    places = [place for place in range(14, 14 + 16 * count, 16) if place + 8 <= len(data)]
    entries = [struct.unpack_from("<II", data, place) for place in places]
    if not 0 < count == len(entries) or any(start + size > len(data) or not size for size, start in entries):
        raise Unfit(_whole("ICO"))
    return "image/x-icon"


def _whole(name: str) -> Problem:
    return Problem("", f"it begins as a {name} and is not a whole one", "export it again")


def _svg(data: bytes, kind: Kind) -> str:
    drawing = _Drawing()
    try:
        drawing.parser.Parse(data, True)
    except expat.ExpatError as error:
        if not drawing.root:
            kinds = "PNG, SVG or ICO" if kind is Kind.FAVICON else "PNG or SVG"
            raise Unfit(Problem("", f"it is neither of {kinds}: its first bytes are {data[:8]!r}")) from error
        raise Unfit(*drawing.problems, Problem("", f"it is not a whole SVG: {error}")) from error
    if found := [*drawing.problems, *drawing.expansions()]:
        raise Unfit(*found[:20])
    return "image/svg+xml"


class _Drawing:
    """What is found in an SVG while it is read from front to back."""

    def __init__(self) -> None:
        self.root, self.problems = "", list[Problem]()
        self._open: list[tuple[str, str]] = []  # names and ids of the elements around
        self._uses: defaultdict[str, set[str]] = defaultdict(set)  # id -> what is used inside
        self._used: set[str] = set()
        parser = self.parser = expat.ParserCreate(namespace_separator=" ")
        parser.buffer_text = True
        parser.StartElementHandler, parser.EndElementHandler = self._start, self._end
        parser.StartDoctypeDeclHandler, parser.EntityDeclHandler = self._doctype, self._entity
        parser.ProcessingInstructionHandler = lambda target, _: self._refuse(f"an instruction <?{target[:30]}?>")
        parser.SkippedEntityHandler = lambda name, _: self._refuse(f"an entity &{name[:30]};")
        parser.CharacterDataHandler = self._text

    def expansions(self) -> Iterator[Problem]:
        """Yield the uses of what uses something itself: a few of them draw a thousand million shapes."""
        for name in sorted(self._used & set(self._uses) - {""}):
            yield Problem("", f"<use> draws #{name[:30]}, which uses something itself", "export it with shapes instead")

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        space, _, name = tag.rpartition(" ")
        if not self.root:
            self.root = tag
            self._sized(space, name, attributes)
        if name.lower() in _ACTIVE:
            self._refuse(f"an element <{name[:30]}>")
        self._open.append((name, attributes.get("id", "")))
        for key, value in attributes.items():
            self._attribute(name, key.rpartition(" ")[2], value)

    def _attribute(self, element: str, key: str, value: str) -> None:
        name = key.lower()
        steered = value.lower().rpartition(":")[2] if name == "attributename" else ""
        if name.startswith("on") or steered.startswith("on") or steered == "href":
            self._refuse(f"an attribute {key[:30]}={value[:30]!r}")
        elif name in ("href", "src") and not _INSIDE.match(value.strip()):
            self._refuse(f"a reference to something else, {value[:60]!r}")
        elif _OUTSIDE.search(value):
            self._refuse(f"a reference to something else in {key[:30]}={value[:60]!r}")
        elif name == "href" and element == "use":
            self._used.add(value.strip()[1:])
            for _, around in self._open:
                self._uses[around].add(value)

    def _end(self, _: str) -> None:
        self._open.pop()

    def _text(self, text: str) -> None:
        if self._open[-1][0] == "style" and _OUTSIDE.search(text):
            self._refuse("a reference to something else in its styles")

    def _doctype(self, _name: str, _system: Any, _public: Any, has_internal_subset: int) -> None:
        if has_internal_subset:
            self._refuse("declarations in its DOCTYPE")

    def _entity(self, *_: Any) -> None:
        raise Unfit(*self.problems)  # before it could be used

    def _sized(self, space: str, name: str, attributes: dict[str, str]) -> None:
        if (space, name) != (_SVG, "svg"):
            raise Unfit(Problem("", f"it is XML, and begins with <{name[:30]}> instead of an SVG's <svg>"))
        if "viewBox" not in attributes and not {"width", "height"} <= set(attributes):
            told = "it does not say how large it is: its <svg> has neither viewBox nor width and height"
            self.problems.append(Problem("", told, "export it with a viewBox"))

    def _refuse(self, what: str) -> None:
        line = self.parser.CurrentLineNumber
        self.problems.append(Problem("", f"line {line} has {what}", "export it as a plain SVG"))
