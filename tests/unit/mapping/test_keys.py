from collections.abc import Callable

from appliance.components.mapper import Mapped

Run = Callable[..., Mapped]


def keys(answer: Mapped) -> list[bytes]:
    found: list[bytes] = answer.rows["_key"].to_pylist()
    return found


def test_rows_that_agree_in_the_key_have_the_same_digest(mapped: Run) -> None:
    mapping = {"fields": [{"name": "id", "path": "$.meta.id", "type": "integer"}], "key": ["ID", "ts"]}
    answer = mapped(
        mapping,
        {"meta": {"id": 1}, "ts": "t", "x": 1},
        {"meta": {"id": "1"}, "ts": "t", "x": 2},
        {"meta": {"id": 2}, "ts": "t"},
        {"meta": {"id": 1}, "ts": "u"},
    )
    first, second, third, fourth = keys(answer)
    assert first == second
    assert len({first, third, fourth}) == 3
    assert len(first) == 16


def test_the_digest_stays_what_it_is(mapped: Run) -> None:
    # md5 of '1:a2:bc': rows of last year must meet rows of today.
    assert keys(mapped({"key": ["x", "y"]}, {"x": "a", "y": "bc"})) == [
        bytes.fromhex("c899d7cd06102a9d8c7a6ecdb67d783e")
    ]


def test_where_one_part_ends_and_the_next_begins_matters(mapped: Run) -> None:
    first, second = keys(mapped({"key": ["x", "y"]}, {"x": "a", "y": "bc"}, {"x": "ab", "y": "c"}))
    assert first != second


def test_a_row_without_a_part_of_its_key_agrees_with_no_other(mapped: Run) -> None:
    answer = mapped({"key": ["x", "y"]}, {"x": "a"}, {"x": "a"}, {"x": "a", "y": None}, {})
    assert len(set(keys(answer))) == 4


def test_the_key_may_be_time_or_computed(mapped: Run) -> None:
    mapping = {"fields": [{"name": "c", "expr": "lower(name)", "type": "string"}], "key": ["c", "_time"]}
    first, second = keys(mapped(mapping, {"name": "A"}, {"name": "a"}))
    assert first == second
