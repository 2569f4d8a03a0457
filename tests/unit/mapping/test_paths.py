import pytest

from appliance.mapping.path import Path, PathError, parse_path


@pytest.mark.parametrize(
    ("text", "steps", "pointer"),
    [
        ("$", (), ""),
        ("$.a", ("a",), "/a"),
        ("$.a.b[0].c", ("a", "b", 0, "c"), "/a/b/0/c"),
        ('$["a.b"]', ("a.b",), "/a.b"),
        ("$['it''s']".replace("''", "\\'"), ("it's",), "/it's"),
        ('$["a/b"]["m~n"]', ("a/b", "m~n"), "/a~1b/m~0n"),
        ('$["select\\"; drop"]', ('select"; drop',), '/select"; drop'),
        ('$[""]', ("",), "/"),
        ("$[2][10]", (2, 10), "/2/10"),
        ("$.größe.温度", ("größe", "温度"), "/größe/温度"),
        ("$.a-b.$c", ("a-b", "$c"), "/a-b/$c"),
    ],
)
def test_paths_become_pointers(text: str, steps: tuple[str | int, ...], pointer: str) -> None:
    path = parse_path(text)
    assert path.steps == steps
    assert path.pointer == pointer
    assert parse_path(str(path)) == path


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a.b", "must begin with '$', the event itself, as in '$.a.b'"),
        ("", "must begin with '$'"),
        ("$.", "cannot be read from character 2 ('.') on"),
        ("$.a..b", "wildcards, slices and filters are not allowed, use 'explode'"),
        ("$.a[*]", "wildcards, slices and filters are not allowed, use 'explode'"),
        ("$.a[1:2]", "wildcards, slices and filters are not allowed, use 'explode'"),
        ("$.a[?(@.b)]", "wildcards, slices and filters are not allowed, use 'explode'"),
        ("$.a[-1]", "a place in an array is counted from 0"),
        ("$.a b", "cannot be read from character 4 (' b') on"),
        ("$.a[b]", 'write .name, ["any name"] or [0]'),
        ('$["a', 'write .name, ["any name"] or [0]'),
        ("$.a\x00", "control character"),
        ("$" + ".a" * 33, "goes 33 levels deep"),
        ("$." + "a" * 1000, "1,002 characters long"),
    ],
)
def test_what_is_no_path_is_refused_with_the_place(text: str, told: str) -> None:
    with pytest.raises(PathError) as caught:
        parse_path(text)
    assert told in str(caught.value)


def test_below_cuts_an_ancestor_off() -> None:
    assert parse_path("$.a.b[0]").below(parse_path("$.a")) == Path(("b", 0))
    assert parse_path("$.a").below(parse_path("$.a")) == Path()
    assert parse_path("$.ab").below(parse_path("$.a")) is None
