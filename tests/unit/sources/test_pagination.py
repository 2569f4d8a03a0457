from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from appliance.errors import DashError
from appliance.sources.increment import Mark, fresh
from appliance.sources.items import parse_path, split_items, text_at, value_at
from appliance.sources.pagination import ByCursor, ByLink, Taken, links


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", []),
        ('<https://h/?page=2>; rel="next"', [("https://h/?page=2", ["next"])]),
        (
            '<https://h/a,b;c>; title="a, \'<b>\'; c"; rel="prev", <d>;rel=next ; x , <e>; rel="last  next"',
            [("https://h/a,b;c", ["prev"]), ("d", ["next"]), ("e", ["last", "next"])],
        ),
        ("<a>; REL=Next; rel=prev", [("a", ["next"])]),
        ("<a>, <b>", [("a", []), ("b", [])]),
        ("<a", []),
        ("rubbish, <a>; rel=next", []),
    ],
)
def test_link_headers(header: str, expected: list[tuple[str, list[str]]]) -> None:
    assert list(links(header)) == expected


@given(st.text('<>;,="rel nxt\\/', max_size=80))
def test_any_link_header_ends(header: str) -> None:
    assert all(isinstance(target, str) for target, _ in links(header))
    taken = Taken("https://h/x", {"link": header}, b"[]", 0, None)
    assert ByLink().following(taken) != taken.url


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"next": "abc"}', "abc"),
        (b'{"next": 17}', "17"),
        (b'{"next": null}', None),
        (b'{"next": ""}', None),
        (b'{"next": false}', None),
        (b"{}", None),
        (b"[]", None),
        (b'{"next": "\\u00e9"}', "é"),
    ],
)
def test_cursors(body: bytes, expected: str | None) -> None:
    by_cursor = ByCursor(path="$.next", param="c")
    assert by_cursor.following(Taken("https://h/x", {}, body, 0, None)) == expected


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("$", ()),
        ("$.a.b[0]", ("a", "b", 0)),
        ("$['a b'][\"c.d\"][12]", ("a b", "c.d", 12)),
        ("$.a-b.ü", ("a-b", "ü")),
    ],
)
def test_paths(text: str, path: tuple[Any, ...]) -> None:
    assert parse_path(text) == path


@pytest.mark.parametrize("text", ["", "a", "$.", "$..a", "$.a[*]", "$[?(@.a)]", "$[-1]", "$.a b", "$[a]"])
def test_what_is_no_path(text: str) -> None:
    with pytest.raises(ValueError, match="expected a path"):
        parse_path(text)


def test_values_are_found_verbatim() -> None:
    page = b'{"a": [{"b" : 1.50}, "x"], "a b": "\\n"}'
    assert bytes(value_at(page, ("a", 0)) or b"") == b'{"b" : 1.50}'
    assert text_at(page, ("a", 0, "b")) == "1.50"
    assert text_at(page, ("a b",)) == "\n"
    assert value_at(page, ("a", 2)) is None
    assert value_at(page, ("a", "b")) is None
    assert text_at(page, ("a",)) is None


@given(st.binary(max_size=60), st.sampled_from(["$", "$.a", "$[0]"]))
def test_any_page_is_split_or_refused(body: bytes, path: str) -> None:
    try:
        split_items(body, parse_path(path))
    except DashError:
        return


AT = ("at",)


def items(*values: Any) -> list[Raw]:
    return [Raw(f'{{"n":{n},"at":{value}}}'.encode()) for n, value in enumerate(values)]


@pytest.mark.parametrize(
    ("values", "highest"),
    [
        (["9", "10", "2"], "10"),
        (['"9"', '"10"'], "10"),
        (["1.5", "1.25"], "1.5"),
        (['"2026-03-01T10:00:00Z"', '"2026-03-01T11:30:00+02:00"'], "2026-03-01T10:00:00Z"),
        (['"2026-03-01"', '"2026-02-28"'], "2026-03-01"),
        (['"b"', '"a"'], "b"),
        (["null", "[1]"], None),
        ([f'"{"x" * 300}"', '"a"'], "a"),
    ],
)
def test_the_highest_value(values: list[str], highest: str | None) -> None:
    kept, mark = fresh(items(*values), AT, Mark(), Mark())
    assert len(kept) == len(values)
    assert mark.value == highest


def test_items_at_the_boundary_come_once() -> None:
    first, mark = fresh(items("1", "2", "2"), AT, Mark(), Mark())
    assert len(first) == 3
    assert len(mark.seen) == 2
    again, same = fresh(items("1", "2", "2"), AT, mark, mark)
    assert [bytes(item) for item in again] == [b'{"n":0,"at":1}']
    assert same == mark
    late, later = fresh([*items("1", "2", "2"), Raw(b'{"n":9,"at":2}')], AT, mark, mark)
    assert bytes(late[-1]) == b'{"n":9,"at":2}'
    assert len(later.seen) == 3
