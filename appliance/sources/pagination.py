"""Pagination: where the next page of an answer is, in each of the ways servers tell it.

A *place* is text that names a page: its number, its offset, a cursor or a URL. None: the first page, or no more.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated, NamedTuple
from urllib.parse import urljoin

import msgspec
from msgspec import Meta

from appliance.errors import ConfigError, Problem
from appliance.sources.items import PATH, parse_path, text_at

_MAX_CHARS = 4_096  # of a place: it is sent in a URL and kept in the checkpoint

Param = Annotated[str, Meta(min_length=1, max_length=100)]


class Taken(NamedTuple):
    """A page as it came, and where it was. ``found``: its items, before those known already were left out."""

    url: str
    headers: Mapping[str, str]
    body: bytes
    found: int
    place: str | None


class _Pagination(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", kw_only=True):
    pass


class NoPages(_Pagination, frozen=True, tag="none"):
    """The answer is whole."""

    def params(self, place: str | None) -> dict[str, str]:
        return {}

    def url(self, place: str | None) -> str | None:
        return None

    def following(self, taken: Taken) -> str | None:
        return None


class ByPage(_Pagination, frozen=True, tag="page"):
    """Pages are numbered; the last one is empty, or shorter than ``size``."""

    param: Annotated[Param, Meta(title="Page parameter")] = "page"
    start: Annotated[int, Meta(title="First page", ge=0, le=1)] = 1
    size_param: Annotated[Param | None, Meta(title="Size parameter", examples=["per_page"])] = None
    size: Annotated[int, Meta(title="Page size", ge=1, le=100_000)] | None = None

    def params(self, place: str | None) -> dict[str, str]:
        sized = {self.size_param: str(self.size)} if self.size_param and self.size else {}
        return {self.param: place or str(self.start), **sized}

    def url(self, place: str | None) -> str | None:
        return None

    def following(self, taken: Taken) -> str | None:
        last = taken.found < (self.size or 1)
        return None if last else str(int(taken.place or self.start) + 1)


class ByOffset(_Pagination, frozen=True, tag="offset"):
    """The server skips ``offset`` items; the last page is shorter than ``limit``."""

    param: Annotated[Param, Meta(title="Offset parameter")] = "offset"
    limit_param: Annotated[Param, Meta(title="Limit parameter")] = "limit"
    limit: Annotated[int, Meta(title="Page size", ge=1, le=100_000)] = 100

    def params(self, place: str | None) -> dict[str, str]:
        return {self.param: place or "0", self.limit_param: str(self.limit)}

    def url(self, place: str | None) -> str | None:
        return None

    def following(self, taken: Taken) -> str | None:
        return None if taken.found < self.limit else str(int(taken.place or 0) + taken.found)


class ByCursor(_Pagination, frozen=True, tag="cursor"):
    """The answer names the next page at ``path``: a cursor for ``param``, or, without one, a URL. Absent: the last."""

    path: Annotated[str, Meta(title="Path of the cursor", pattern=PATH, examples=["$.next_cursor"])]
    param: Annotated[Param | None, Meta(title="Cursor parameter", examples=["cursor"])] = None

    def params(self, place: str | None) -> dict[str, str]:
        return {self.param: place} if self.param and place is not None else {}

    def url(self, place: str | None) -> str | None:
        return None if self.param else place

    def following(self, taken: Taken) -> str | None:
        cursor = text_at(taken.body, parse_path(self.path)) or None
        if cursor is not None and not self.param:
            cursor = _joined(taken.url, cursor)
        if cursor is not None and len(cursor) > _MAX_CHARS:
            raise ConfigError([Problem("/source/pagination/path", f"the cursor has more than {_MAX_CHARS} characters")])
        return None if cursor == taken.place else cursor  # a server that names the same page again would never end


class ByLink(_Pagination, frozen=True, tag="link"):
    """The header ``Link`` names the next page with ``rel="next"``, as GitHub does. Source: RFC 8288."""

    def params(self, place: str | None) -> dict[str, str]:
        return {}

    def url(self, place: str | None) -> str | None:
        return place

    def following(self, taken: Taken) -> str | None:
        for target, rels in links(taken.headers.get("link", "")):
            if "next" in rels:
                url = _joined(taken.url, target)
                return None if url in (taken.url, taken.place) else url
        return None


Pagination = NoPages | ByPage | ByOffset | ByCursor | ByLink


def links(header: str) -> Iterator[tuple[str, list[str]]]:
    """Yield the target and the relations (lower case) of each link in a ``Link`` header; rubbish ends it."""
    rest = header
    while rest.lstrip(" ,").startswith("<"):
        target, closed, rest = rest.lstrip(" ,")[1:].partition(">")
        if not closed:
            return
        rels: list[str] = []
        while rest.lstrip().startswith(";"):
            name, value, rest = _parameter(rest.lstrip()[1:])
            if name == "rel" and not rels:
                rels = value.lower().split()
        yield target.strip(), rels


def _joined(base: str, url: str) -> str:
    try:
        return urljoin(base, url)
    except ValueError:
        return url  # no URL at all: refused by whoever makes a request of it


def _parameter(text: str) -> tuple[str, str, str]:
    """Return the name and value of the parameter that ``text`` begins with, and what follows it."""
    end = min((at for at in map(text.find, "=;,") if at >= 0), default=len(text))
    name, rest = text[:end].strip().lower(), text[end:]
    if not rest.startswith("="):
        return name, "", rest
    rest = rest[1:].lstrip()
    if not rest.startswith('"'):
        end = min((at for at in map(rest.find, ";,") if at >= 0), default=len(rest))
        return name, rest[:end].strip(), rest[end:]
    value, _, rest = rest[1:].partition('"')  # escaped quotes occur in titles only, and those are not read
    return name, value, rest
